using TorchBridge.Export;
using TorchBridge.Export.Quantization;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Parity;
using TorchBridge.Training.Reports;
using RunResult = TorchBridge.Training.Ablation.RunResult;

namespace TorchBridge.Training.Tests;

/// <summary>A page, and the files of the pictures on it, in the page's order.</summary>
internal sealed record SamplePage(string Name, string Path, IReadOnlyList<string> Pictures);

/// <summary>Every page that the program writes, made of figures that take no training.</summary>
internal static class SamplePages
{
    private const string Long = "a class with a long name";

    /// <summary>The report of a training run.</summary>
    public static SamplePage Report(string folder)
    {
        var files = new ModelFolder(folder);
        string[] names = ["apple", "a <b> & \"c\"", "bicycle", Long, "motorcycle", "überschall", "x", "y", "z", "zebra"];
        var history = Enumerable.Range(1, 12).Select(epoch => new EpochRecord(epoch, 2.3 / epoch, 0.08 * epoch, 2.4 / epoch, 0.078 * epoch, 0.001 / epoch, 250, 10, 800)).ToArray();
        var training = new TrainingResult(history, 11, TrainingResult.AllEpochs);
        var test = Figures(names);
        var settings = new ModelSettings(new NetworkOptions { Classes = names.Length }, new Recipe(), new ComputeOptions(Precision.Float32, 2, "cpu"), 1, "drawn", null, names, new ChannelStatistics([120, 110, 100], [60, 61, 62]));
        HtmlReport.Write(files, settings, "drawn pictures", training, test, [new ParityRow("ONNX, folded", 9.54e-7, 1.2e-5, 5.63e-4, 1000, [], 1000)]);
        LearningCurves.Write(files, history, training.BestEpoch);
        PlotFile.Write(files.Picture("confusion"), () => TestPlots.Confusion(test), 760, 700);
        PlotFile.Write(files.Picture("reliability"), () => TestPlots.Reliability(test), 560, 520);
        return new SamplePage("report", files.Report, [.. ((string[])["curves", "confusion", "reliability"]).Select(name => $"{files.Picture(name)}.svg")]);
    }

    /// <summary>The page of the whole lab, trained on next to nothing.</summary>
    public static SamplePage Lab(string folder, CancellationToken stop)
    {
        using var data = LabData.Of(DrawnPictures.Make(1, 32, 20, 10), 1);
        var pages = LabTopics.All.Select(topic => topic.Run(new LabContext(8, 1, data, stop))).ToArray();
        var path = Path.Combine(folder, "lab.html");
        LabOutput.WriteHtml(path, "The lab", "of all topics", pages);
        return new SamplePage("lab", path, [.. pages.SelectMany(page => LabOutput.WritePictures(folder, page)).Select(picture => $"{picture}.svg")]);
    }

    /// <summary>The report of an ablation with every variant; the figures are made up.</summary>
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
                    new RunRequest(variant.Configuration, DataSource.Drawn, 60, seed), 0.9, test - 0.02, test, 0.05, 18, [.. Enumerable.Range(1, 20).Select(epoch => test * epoch / 20)], false, 1);
            }
        }

        var rows = AblationSummary.Of(variants, results);
        AblationReport.Write(folder, "made up", rows);
        return new SamplePage("ablation", Path.Combine(folder, "ablation.html"), [.. AblationReport.Pages(rows).SelectMany(page => LabOutput.WritePictures(folder, page)).Select(picture => $"{picture}.svg")]);
    }

    /// <summary>The pictures that commands write without a page of their own, on one page.</summary>
    public static SamplePage Loose(string folder)
    {
        var files = new ModelFolder(folder);
        var layers = Enumerable.Range(1, 14).Select(i => new LayerSensitivity($"network.res_block{i}.0/conv2d", "Conv", 30 + i, 0.99)).ToArray();
        PlotFile.Write(files.Picture("sensitivity"), () => SensitivityPlot.Of(layers), 760, 120 + (28 * layers.Length));
        var drift = Enumerable.Range(1, 10).Select(i => new NormalizationDrift($"network.res_block{i}.1", 4, [-0.1 * i, 0, 0.05 * i, 0.1], [0.5, 1, 1.5, 2])).ToArray();
        ModeParityReport.Draw(files, new ModeParityResult(drift, 0.4, 0.9, [new ModeRow(2, 1.2, 0.55), new ModeRow(8, 0.6, 0.8), new ModeRow(32, 0.45, 0.89)], 500));
        string[] pictures = [.. ((string[])["sensitivity", "drift", "modes"]).Select(name => $"{files.Picture(name)}.svg")];
        var page = new HtmlPage("Pictures without a page");
        foreach (var picture in pictures) page.Picture(System.Xml.Linq.XElement.Load(picture));
        var path = Path.Combine(folder, "loose.html");
        page.Write(path);
        return new SamplePage("sensitivity and modes", path, pictures);
    }

    private static TestFigures Figures(IReadOnlyList<string> names)
    {
        var confusion = names.Select((_, t) => names.Select((_, p) => t == p ? 80 : (t + (3 * p)) % 5).ToArray()).ToArray();
        var classes = names.Select((name, t) => new ClassFigures(name, 80.0 / confusion[t].Sum(), confusion[t].Sum())).ToArray();
        var bins = Enumerable.Range(3, 12).Select(i => new CalibrationBin(i / 15.0, (i + 1) / 15.0, (i + 0.5) / 15, Math.Min(1, (i + 1) / 15.0), 10 * i)).ToArray();
        return new TestFigures(0.9, 0.99, 0.35, classes.Sum(item => item.Count), 0.031, classes, confusion, bins);
    }
}
