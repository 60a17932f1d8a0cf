using System.Globalization;
using Microsoft.ML;
using TorchBridge.Inference;
using TorchBridge.Training.Data;
using TorchBridge.Training.Estimators;

namespace TorchBridge.Pipeline.Tests;

/// <summary>A model fitted by TuneImages works in a program that has only TorchBridge.Inference:
/// samples/ConsoleClassifier.</summary>
public class TunedModelTests
{
    private static readonly string Output = Run.OutputOf("samples", "ConsoleClassifier");

    [Fact]
    public void There_is_no_libtorch_in_the_folder_of_the_program_that_loads_it()
    {
        var files = NamesIn(Output);
        Assert.Contains("TorchBridge.Inference.dll", files);
        Assert.DoesNotContain(files, IsTorch);
        Assert.DoesNotContain("TorchBridge.Training.dll", files);
        // The check works: it finds the library in the folder of this test.
        Assert.Contains(NamesIn(AppContext.BaseDirectory), IsTorch);
    }

    [Fact]
    public void A_network_tuned_from_ImageNet_says_there_what_it_says_in_its_pipeline()
    {
        using var folder = new TempFolder();
        var context = new MLContext(seed: 1);
        Row[] rows = [.. Photos(folder)];
        var view = context.Data.LoadFromEnumerable(rows);
        using var fitted = context
            .MulticlassClassification.Trainers.TuneImages(
                new TuneImagesOptions
                {
                    Epochs = 5,
                    Size = 64,
                    ValidationShare = 0.25,
                }
            )
            .Fit(view);
        fitted.SaveOnnx(folder["photos.onnx"]);
        var expected = context
            .Data.CreateEnumerable<Scored>(fitted.Transform(view), reuseRowObject: false)
            .Select(row => (row.PredictedLabel, Probability: row.Score.Max()))
            .ToArray();
        // Both classes must occur; otherwise a program that always gives the same answer would pass.
        Assert.Equal(2, expected.Select(row => row.PredictedLabel).Distinct().Count());

        var result = Run.Program(
            Path.Combine(Output, "ConsoleClassifier.dll"),
            [folder["photos.onnx"], .. rows.Select(row => row.ImagePath)]
        );
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        var lines = result.Output.Trim().Split('\n')[1..];
        Assert.Equal(rows.Length, lines.Length);
        for (var i = 0; i < rows.Length; i++)
        {
            string[] words = lines[i].Trim()[(rows[i].ImagePath.Length + 2)..].Split(' ');
            Assert.Equal(expected[i].PredictedLabel, words[0]);
            // Four digits are printed, and float32 sums differ in batches of another size.
            Assert.Equal(expected[i].Probability, float.Parse(words[1], CultureInfo.InvariantCulture), 1e-4f);
        }
    }

    private static string[] NamesIn(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(file => Path.GetFileName(file)!)];

    private static bool IsTorch(string file) =>
        file.Contains("torch_cpu", StringComparison.OrdinalIgnoreCase)
        || file.Contains("TorchSharp", StringComparison.OrdinalIgnoreCase);

    /// <summary>A few pictures of two classes.</summary>
    private static IEnumerable<Row> Photos(TempFolder folder)
    {
        var set = DrawnPictures.Make(6, 200, 10, 10).Training;
        foreach (var label in (int[])[0, 1])
        {
            foreach (var index in Enumerable.Range(0, set.Count).Where(i => set.Labels[i] == label).Take(12))
            {
                var path = folder[$"{index:D3}.png"];
                File.WriteAllBytes(path, DataSource.ToPng(set.Picture(index), set.Width, set.Height));
                yield return new Row { ImagePath = path, Label = label == 0 ? "first" : "second" };
            }
        }
    }

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }

    private sealed class Scored
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
