using TorchBridge.Export;
using TorchBridge.Quantization;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Data;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Parity;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Reports;
using RunResult = TorchBridge.Training.Ablation.RunResult;

namespace TorchBridge.Training.Tests;

/// <summary>A page, and the files of the pictures on it, in the page's order.</summary>
internal sealed record SamplePage(string Name, string Path, IReadOnlyList<string> Pictures);

/// <summary>Every page that the program writes, made from figures that need no training.</summary>
internal static class SamplePages
{
    /// <summary>The report of a training run of ten classes, some of whose names a page must escape.</summary>
    public static SamplePage Report(string folder) =>
        Report(
            "report",
            folder,
            [
                "apple",
                "a <b> & \"c\"",
                "bicycle",
                "a class with a long name",
                "motorcycle",
                "überschall",
                "x",
                "y",
                "z",
                "zebra",
            ],
            12
        );

    /// <summary>The report of a run of two classes and one epoch, whose loss is not a number.</summary>
    public static SamplePage ShortReport(string folder) => Report("short", folder, ["no", "yes"], 1, double.NaN);

    /// <summary>The report of a long run of a hundred classes with long names.</summary>
    public static SamplePage LargeReport(string folder) =>
        Report(
            "large",
            folder,
            [.. Enumerable.Range(1, 100).Select(i => $"n{i:D8} a species of bird with a long common name, no. {i}")],
            300
        );

    private static SamplePage Report(string name, string folder, string[] names, int epochs, double worst = 2.4)
    {
        var files = new ModelFolder(folder);
        var history = Enumerable
            .Range(1, epochs)
            .Select(epoch => new EpochRecord(
                epoch,
                worst / epoch,
                (epoch - 0.5) / epochs,
                worst / epoch,
                (epoch - 0.6) / epochs,
                0.001 / epoch,
                250,
                10,
                800
            ))
            .ToArray();
        var training = new TrainingResult(history, epochs, TrainingResult.AllEpochs);
        var test = Figures(names);
        var settings = new ModelSettings(
            new NetworkOptions { Classes = names.Length },
            new Recipe(),
            new ComputeOptions(Precision.Float32, 2, "cpu"),
            1,
            "drawn",
            null,
            names,
            new ChannelStatistics([120, 110, 100], [60, 61, 62])
        );
        HtmlReport.Write(
            files,
            settings,
            "drawn pictures",
            training,
            test,
            [new ParityRow("ONNX, folded", 9.54e-7, 1.2e-5, 5.63e-4, 1000, [], 1000)],
            Mistakes()
        );
        return new SamplePage(
            name,
            files.Report,
            Write(
                files,
                [LearningCurves.Of(history, training.BestEpoch), TestPlots.Confusion(test), TestPlots.Reliability(test)]
            )
        );
    }

    /// <summary>The page of the whole lab, trained on next to nothing.</summary>
    public static SamplePage Lab(string folder, CancellationToken stop)
    {
        using var data = LabData.Of(DrawnPictures.Make(1, 32, 20, 10), 1);
        var pages = LabTopics.All.Select(topic => topic.Run(new LabContext(8, 1, data, stop))).ToArray();
        var path = Path.Combine(folder, "lab.html");
        LabOutput.WriteHtml(path, "The lab", "of all topics", pages);
        return new SamplePage(
            "lab",
            path,
            [.. pages.SelectMany(page => LabOutput.WritePictures(folder, page)).Select(picture => $"{picture}.svg")]
        );
    }

    /// <summary>The report of an ablation with every variant, with invented figures.</summary>
    public static SamplePage Ablation(string folder)
    {
        var variants = AblationPlan.Variants(20, 8, []);
        var results = new Dictionary<(string Variant, int Seed), RunResult>();
        foreach (var (variant, i) in variants.Select((variant, i) => (variant, i)))
        {
            for (var seed = 1; seed <= 3; seed++)
            {
                var test = 0.5 + (0.013 * i) + (0.01 * (seed * (i % 4)));
                results[(variant.Name, seed)] = new RunResult(
                    new RunRequest(variant.Configuration, DataSource.Drawn, 60, seed),
                    0.9,
                    test - 0.02,
                    test,
                    0.05,
                    18,
                    [.. Enumerable.Range(1, 20).Select(epoch => test * epoch / 20)],
                    false,
                    1
                );
            }
        }

        var rows = AblationSummary.Of(variants, results);
        AblationReport.Write(folder, "made up", rows);
        return new SamplePage(
            "ablation",
            Path.Combine(folder, "ablation.html"),
            [
                .. AblationReport
                    .Pages(rows)
                    .SelectMany(page => LabOutput.WritePictures(folder, page))
                    .Select(picture => $"{picture}.svg"),
            ]
        );
    }

    /// <summary>The pictures that commands write without a page of their own, on one page.</summary>
    public static SamplePage Loose(string folder)
    {
        var files = new ModelFolder(folder);
        var layers = Enumerable
            .Range(1, 14)
            .Select(i => new LayerSensitivity(
                i % 5 == 0
                    ? $"/model/encoder/layers.{i}/self_attention/output/dense/MatMul"
                    : $"network.res_block{i}.0/conv2d",
                "Conv",
                (6 * i) - 10,
                0.99
            ))
            .ToArray();
        var drift = Enumerable
            .Range(1, 10)
            .Select(i => new NormalizationDrift(
                $"network.res_block{i}.1",
                4,
                [-0.1 * i, 0, 0.05 * i, 0.1],
                [0.5, 1, 1.5, 2]
            ))
            .ToArray();
        var modes = new ModeParityResult(
            drift,
            0.4,
            0.9,
            [new ModeRow(2, 1.2, 0.55), new ModeRow(8, 0.6, 0.8), new ModeRow(32, 0.45, 0.89)],
            500
        );
        var pictures = Write(files, [SensitivityPlot.Of(layers), .. ModeParityReport.Figures(modes)]);
        var page = new HtmlPage("Pictures without a page");
        foreach (var picture in pictures)
            page.Picture(System.Xml.Linq.XElement.Load(picture));
        var path = Path.Combine(folder, "loose.html");
        page.Write(path);
        return new SamplePage("sensitivity and modes", path, pictures);
    }

    private static Mistake[] Mistakes()
    {
        var planes = DrawnPictures.Make(1, 10, 10, 10).Training.Picture(0);
        var map = new ClassActivation([1, 2, 0, -1], 2, 2);
        return
        [
            new Mistake(
                "a <b> & \"c\"",
                "zebra",
                0.987,
                MapOverlay.Png(planes, 32, 32, null),
                MapOverlay.Png(planes, 32, 32, map)
            ),
            new Mistake("zebra", "apple", 0.5, MapOverlay.Png(planes, 32, 32, null), null),
        ];
    }

    private static string[] Write(ModelFolder folder, IReadOnlyList<Figure> figures) =>
        [
            .. figures.Select(figure =>
            {
                figure.WriteTo(folder);
                return $"{folder.Picture(figure.Name)}.svg";
            }),
        ];

    private static TestFigures Figures(IReadOnlyList<string> names)
    {
        var confusion = names
            .Select((_, t) => names.Select((_, p) => t == p ? 1234 : (t + (3 * p)) % 5 * 50).ToArray())
            .ToArray();
        var classes = names
            .Select((name, t) => new ClassFigures(name, 1234.0 / confusion[t].Sum(), confusion[t].Sum()))
            .ToArray();
        var bins = Enumerable
            .Range(3, 12)
            .Select(i => new CalibrationBin(
                i / 15.0,
                (i + 1) / 15.0,
                (i + 0.5) / 15,
                Math.Min(1, (i + 1) / 15.0),
                10 * i
            ))
            .ToArray();
        return new TestFigures(0.9, 0.99, 0.35, classes.Sum(item => item.Count), 0.031, classes, confusion, bins);
    }
}
