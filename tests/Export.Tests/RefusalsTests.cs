using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>Code that the exporter does not understand causes an error that names the place, and no file is
/// written.</summary>
public class RefusalsTests
{
    private static readonly Tensor Outside = randn(4);
    private static int calls;

    [Fact]
    public void A_tensor_from_outside_that_differs_between_runs() =>
        Refused(new Function(x => x + FreshNoise.Value), "no recorded operation created", "parameter or buffer");

    [Fact]
    public void A_branch_on_data() =>
        Refused(new Function(x => x.sum().ToSingle() > 0 ? x : -x), "reads numbers out of a tensor", "torch.where");

    [Fact]
    public void A_number_read_with_item() =>
        Refused(new Function(x => x * x.mean().item<float>()), "item", "reads numbers out of a tensor");

    [Fact]
    public void A_number_read_with_ToSingle() =>
        Refused(new Function(x => x * x.mean().ToSingle()), "ToSingle", "reads numbers out of a tensor");

    [Fact]
    public void Numbers_read_with_data() =>
        Refused(new Function(x => x * x.data<float>()[0]), "data", "reads numbers out of a tensor");

    [Fact]
    public void A_number_read_is_refused_at_the_call_though_it_is_equal_in_every_trace() =>
        Refused(new Function(x => x * (x * 0).sum().item<float>()), "item", "reads numbers");

    [Fact]
    public void A_lambda_inside_TorchSharp() =>
        Refused(
            new Function(x => F.triplet_margin_with_distance_loss(x, x * 2, x * 3, (a, b) => (a - b).abs().sum([1]))),
            "lambda"
        );

    [Fact]
    public void An_unknown_operation() =>
        Refused(new Function(x => x.digamma()), "digamma", "no lowering", "ExportOptions.Lowerings");

    [Fact]
    public void No_running_statistics() =>
        Refused(nn.BatchNorm1d(4, track_running_stats: false), "no running statistics");

    [Fact]
    public void A_size_that_follows_no_axis() =>
        Refused(
            new Function(x => zeros([20 + (long)(Math.Sin(x.size(0)) * 10)]) + x.sum()),
            "found no formula",
            "FreeAxes"
        );

    [Fact]
    public void Dropout_in_training_mode_which_is_the_default() =>
        Refused(new Function(x => F.dropout(x)), "training is true");

    [Fact]
    public void A_forward_hook()
    {
        var module = nn.Sequential(nn.Linear(4, 4), nn.ReLU());
        ((Linear)module.children().First()).register_forward_hook((_, _, output) => output * 2);
        Refused(module, "forward hook", "0");
    }

    [Fact]
    public void A_disposed_model()
    {
        var model = nn.Linear(4, 2);
        model.Dispose();
        Refused(model, "disposed");
    }

    [Fact]
    public void A_module_that_is_refused_by_name() =>
        Refused(nn.AdaptiveMaxPool3d([1, 1, 1]), [randn([2, 3, 4, 4, 4])], "AdaptiveMaxPool3d", "output_size");

    [Fact]
    public void Another_path_at_another_size() =>
        Refused(new Function(x => x.size(0) > 2 ? x.relu() : x.sigmoid()), "different operations");

    [Fact]
    public void Another_path_in_every_run() =>
        Refused(new Function(x => calls++ % 2 == 0 ? x.relu() : x.relu().neg()), "different operations");

    [Fact]
    public void A_refusal_names_the_module_path_and_the_source_line()
    {
        var inner = nn.Sequential(
            ("first", nn.Linear(4, 4)),
            ("second", new Function(x => x * x.mean().item<float>()))
        );
        var error = Refused(nn.Sequential(("block", inner)), "item");
        Assert.Equal("block.second", error.ModulePath);
        Assert.Contains("RefusalsTests.cs", error.Place, StringComparison.Ordinal);
        Assert.Contains("line ", error.Place, StringComparison.Ordinal);
    }

    [Fact]
    public void A_constant_tensor_from_outside_that_never_changes_is_taken() =>
        Exported.Check(x => x + Outside, randn(2, 4));

    [Theory]
    [InlineData(16)]
    [InlineData(22)]
    public void An_opset_that_is_not_written(int opset) =>
        Assert.Contains(
            "17 to 21",
            Assert
                .Throws<ExportException>(() =>
                    OnnxExporter.Export(nn.ReLU(), randn(2, 4), "unused.onnx", new ExportOptions { Opset = opset })
                )
                .Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_folder_that_is_not_there()
    {
        using var folder = new TempFolder();
        Assert.Contains(
            "cannot be written",
            Assert
                .Throws<ExportException>(() =>
                    OnnxExporter.Export(nn.ReLU(), randn(2, 4), folder["no", "such", "model.onnx"])
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    private static ExportException Refused(nn.Module module, params string[] words) =>
        Refused(module, [randn(2, 4)], words);

    private static ExportException Refused(nn.Module module, Tensor[] examples, params string[] words)
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() => OnnxExporter.Export(module, examples, folder["model.onnx"]));
        Assert.All(words, word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
        Assert.Empty(folder.Files);
        return error;
    }
}

/// <summary>A module with different noise at every call.</summary>
internal static class FreshNoise
{
    private static readonly ThreadLocal<Random> Source = new(() => new Random(5));

    public static Tensor Value => new Lazy<Tensor>(() => tensor((float)Source.Value!.NextDouble())).Value;
}

internal sealed class Counter : nn.Module<Tensor, Tensor>
{
    private readonly Tensor count = zeros(1);

    public Counter()
        : base(nameof(Counter)) => RegisterComponents();

    public override Tensor forward(Tensor input)
    {
        count.add_(1);
        return input * 2;
    }
}
