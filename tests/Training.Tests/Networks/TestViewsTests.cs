using TorchBridge.Export;
using TorchBridge.Onnx.Contract;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Networks;

/// <summary>Test views give the same as averaging by hand, in TorchSharp and in the exported file.</summary>
public class TestViewsTests
{
    [Theory]
    [InlineData(ViewKind.Mirror)]
    [InlineData(ViewKind.MirrorShifts)]
    internal void The_logits_are_the_mean_by_hand_in_eval_mode_only(ViewKind views)
    {
        using var scope = NewDisposeScope();
        using var model = Model();
        model.Classifier.eval();
        var pixels = randint(0, 256, [3, 3, 12, 12], dtype: ScalarType.Float32);
        using var noGrad = no_grad();
        var single = model.Classifier.Logits(pixels);
        var expected = ByHand(pixels, views, picture => model.Classifier.Logits(picture));
        model.Classifier.Views = views;
        var averaged = model.Classifier.Logits(pixels);
        // The same sums over another batch.
        Close.To(Read(expected), Read(averaged), 1e-5, 1e-5, "float32 sums in another order");
        Assert.True((averaged - single).abs().max().item<float>() > 1e-3, "the views change nothing");
        model.Classifier.train();
        Assert.Equal([3, 4], model.Classifier.Logits(pixels).shape);
    }

    [Fact]
    public void A_shift_moves_by_one_pixel_and_mirrors_the_edge()
    {
        using var scope = NewDisposeScope();
        var picture = arange(9f).view(1, 1, 3, 3).expand(1, 3, 3, 3);
        var views = TestViews.Of(picture, ViewKind.MirrorShifts);
        Assert.Equal([6, 3, 3, 3], views.shape);
        float[] View(int i) => Read(views[i][0]);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8], View(0));
        Assert.Equal([2, 1, 0, 5, 4, 3, 8, 7, 6], View(1));
        // Down and right: row 1 and column 1 come back as the edge.
        Assert.Equal([4, 3, 4, 1, 0, 1, 4, 3, 4], View(2));
        Assert.Equal([4, 5, 4, 7, 8, 7, 4, 5, 4], View(4));
    }

    [Theory]
    [InlineData(ViewKind.Mirror)]
    [InlineData(ViewKind.MirrorShifts)]
    internal void The_exported_file_holds_the_views(ViewKind views)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var model = Model();
        model.Classifier.Views = views;
        model.Classifier.eval();
        var report = OnnxExporter.Export(
            model.Classifier,
            randint(0, 256, [1, 3, 12, 12], dtype: ScalarType.Float32),
            folder["m.onnx"],
            new ExportOptions
            {
                OutputNames = [ModelNames.Logits, ModelNames.Probabilities],
                Metadata = new Dictionary<string, string> { [MetadataKeys.Views] = Naming.Of(views) },
            }
        );
        // Compared with the module at several batch sizes before it is written.
        Assert.Equal(2, report.Parity!.Outputs.Count);
        Assert.Equal(views, ModelPackager.ViewsOf(folder["m.onnx"]));
    }

    [Fact]
    public void Views_that_are_not_known_are_refused()
    {
        using var folder = new TempFolder();
        using var model = Model();
        model.Classifier.eval();
        OnnxExporter.Export(
            model.Classifier,
            zeros(1, 3, 12, 12),
            folder["m.onnx"],
            new ExportOptions { Metadata = new Dictionary<string, string> { [MetadataKeys.Views] = "ten_crops" } }
        );
        var error = Assert.Throws<UserException>(() => ModelPackager.ViewsOf(folder["m.onnx"]));
        Assert.Contains("ten_crops; allowed is none, mirror, mirror_shifts", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Figures_say_which_views_they_are_of()
    {
        using var model = Model();
        var set = new PictureSet(
            [.. Enumerable.Range(0, 5 * 3 * 12 * 12).Select(i => (byte)(i * 7))],
            new int[5],
            12,
            12
        );
        Assert.Equal(ViewKind.None, Evaluation.Of(model.Classifier, set, TestContext.Current.CancellationToken).Views);
        model.Classifier.Views = ViewKind.Mirror;
        var test = Evaluation.Of(model.Classifier, set, TestContext.Current.CancellationToken);
        var figures = TorchBridge.Training.Reports.TestFigures.Of(test, set, model.Settings.ClassNames);
        Assert.Equal(", mean of two views (mirror)", figures.Views.Note());
        Assert.Equal("", ViewKind.None.Note());
    }

    private static Tensor ByHand(Tensor pixels, ViewKind views, Func<Tensor, Tensor> logits)
    {
        Tensor Mirrored(Tensor x) => (logits(x) + logits(x.flip(3))) / 2;
        if (views == ViewKind.Mirror)
            return Mirrored(pixels);
        // Moved by index lists instead of padding: 1, 0, 1 … and 1 …, n - 1, n - 2.
        var n = pixels.shape[2];
        var before = tensor(Enumerable.Range(0, (int)n).Select(i => (long)Math.Abs(i - 1)).ToArray());
        var after = tensor(Enumerable.Range(1, (int)n).Select(i => i < n ? i : n - 2).ToArray());
        Tensor Moved(Tensor order) => pixels.index_select(2, order).index_select(3, order);
        return (Mirrored(pixels) / 2) + (Mirrored(Moved(before)) / 4) + (Mirrored(Moved(after)) / 4);
    }

    private static float[] Read(Tensor x) => x.contiguous().data<float>().ToArray();

    private static TrainedModel Model()
    {
        var model = new TrainedModel(
            new ModelSettings(
                new NetworkOptions
                {
                    Classes = 4,
                    Height = 12,
                    Width = 12,
                    Channels = 8,
                },
                new Recipe(),
                ComputeOptions.Default,
                5,
                "none",
                null,
                ["a", "b", "c", "d"],
                new ChannelStatistics([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])
            )
        );
        nn.init.normal_(model.Network.LastLayer.weight, 0, 0.3);
        return model;
    }
}
