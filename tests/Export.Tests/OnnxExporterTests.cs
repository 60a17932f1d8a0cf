using TorchBridge.Export.Onnx;
using TorchBridge.Export.Verification;
using TorchBridge.Onnx.Proto;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

public class OnnxExporterTests
{
    [Fact]
    public void Every_value_has_a_type_and_a_shape_and_nodes_are_named_by_module_path()
    {
        using var folder = new TempFolder();
        OnnxExporter.Export(
            new Gpt(),
            randint(0, 40, [2, 12], ScalarType.Int64),
            folder["model.onnx"],
            new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["index"] = [0, 1] } }
        );
        OnnxExporter.Export(ResNet.ResNet18(8), randn(1, 3, 64, 64), folder["resnet.onnx"]);
        foreach (var file in (string[])["model.onnx", "resnet.onnx"])
        {
            var graph = ModelProto.Parser.ParseFrom(File.ReadAllBytes(folder[file])).Graph;
            var known = graph.ValueInfo.Concat(graph.Output).Select(info => info.Name).ToHashSet();
            Assert.All(graph.Node.SelectMany(node => node.Output), name => Assert.Contains(name, known));
        }

        var nodes = ModelProto
            .Parser.ParseFrom(File.ReadAllBytes(folder["resnet.onnx"]))
            .Graph.Node.Select(node => node.Name)
            .ToArray();
        Assert.Contains("layer1.0.conv1", nodes);
        Assert.Contains("layer2.0.downsample.0", nodes);
    }

    [Fact]
    public void External_data_is_written_above_the_threshold_and_runs()
    {
        using var folder = new TempFolder();
        var model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4));
        OnnxExporter.Export(
            model,
            randn(2, 8),
            folder["model.onnx"],
            new ExportOptions { ExternalDataThreshold = 100 }
        );
        Assert.Equal("model.onnx", folder.Files[0]);
        Assert.Matches(@"^model\.onnx\.[0-9a-f]{16}\.data$", Assert.Single(folder.Files.Skip(1)));
        // The two weights; biases are small, and stay in the model.
        Assert.Equal(4 * ((8 * 64) + (64 * 4)), new FileInfo(folder[folder.Files[1]]).Length);
        using var ort = new OrtModel(folder["model.onnx"], optimize: true);
        var input = randn(3, 8);
        Assert.Null(TensorComparer.Compare(ort.Run([input])[0], model.forward(input), 1e-6).Difference);
    }

    [Fact]
    public void External_data_of_a_network_whose_shapes_are_tensors()
    {
        // Shapes and axes must stand in the model: shape inference does not look into data files.
        var options = new ExportOptions
        {
            ExternalDataThreshold = 0,
            FreeAxes = new Dictionary<string, int[]> { ["index"] = [0, 1] },
        };
        Exported.Check(
            NetworkTests.Trained(new Gpt()),
            [randint(0, 40, [2, 12], ScalarType.Int64)],
            options,
            tolerance: 1e-4
        );
    }

    [Fact]
    public void An_existing_file_survives_a_refused_export()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["model.onnx"], "the old one");
        Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(x => x.digamma()), randn(2, 4), folder["model.onnx"])
        );
        Assert.Equal("the old one", File.ReadAllText(folder["model.onnx"]));
        Assert.Single(folder.Files);
    }

    [Fact]
    public void A_user_adds_a_lowering_of_a_module_and_of_a_method()
    {
        var options = new ExportOptions();
        options.Lowerings.Add<Doubler>(c => c.Result(c.Like("Mul", [c.Tensor(), c.Scalar(2, c.ResultType())])));
        Exported.Check(nn.Sequential(new Doubler(), nn.ReLU()), [randn(2, 4)], options);

        var methods = new ExportOptions();
        methods.Lowerings.Add(typeof(Tensor), "heaviside", Heaviside);
        Exported.Check(new Function2((x, values) => x.heaviside(values)), [randn(2, 4), randn(2, 4)], methods);
    }

    private static void Heaviside(LoweringContext c)
    {
        // 1 above zero, the given value at zero, else 0, for NaN too.
        var (x, zero, type, rank) = (c.Tensor(), c.Scalar(0, c.ResultType()), c.ResultType(), c.ResultRank());
        var isAbove = c.Node("Cast", type, rank, [c.Node("Greater", ScalarType.Bool, rank, [x, zero])], ("to", 1L));
        c.Result(
            c.Node("Where", type, rank, [c.Node("Equal", ScalarType.Bool, rank, [x, zero]), c.Tensor(1), isAbove])
        );
    }

    [Fact]
    public void A_wrong_lowering_is_caught_and_no_file_is_left()
    {
        using var folder = new TempFolder();
        var options = new ExportOptions();
        options.Lowerings.Add<Doubler>(c => c.Result(c.Like("Mul", [c.Tensor(), c.Scalar(2.01, c.ResultType())])));
        var error = Assert.Throws<ParityException>(() =>
            OnnxExporter.Export(new Doubler(), randn(2, 4), folder["model.onnx"], options)
        );
        Assert.Contains("Output 'output'", error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void Names_are_the_callers_or_the_parameters()
    {
        using var folder = new TempFolder();
        var module = new Function2((a, b) => a + b);
        OnnxExporter.Export(module, [randn(2, 4), randn(2, 4)], folder["a.onnx"]);
        OnnxExporter.Export(
            module,
            [randn(2, 4), randn(2, 4)],
            folder["b.onnx"],
            new ExportOptions { InputNames = ["left", "right"], OutputNames = ["sum"] }
        );
        using var first = new OrtModel(folder["a.onnx"], true);
        using var second = new OrtModel(folder["b.onnx"], true);
        Assert.Equal(["input", "other", "output"], [.. first.InputNames, .. first.OutputNames]);
        Assert.Equal(["left", "right", "sum"], [.. second.InputNames, .. second.OutputNames]);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    public void Dtypes(ScalarType type) => Exported.Check(x => (x * 2) + 1, (randn(2, 4) * 8).to(type));

    [Fact]
    public void Float16_model() =>
        Exported.Check(
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(ScalarType.Float16),
            [randn(2, 8).to(ScalarType.Float16)],
            tolerance: 5e-3
        );
}

/// <summary>A user's module.</summary>
internal sealed class Doubler() : nn.Module<Tensor, Tensor>(nameof(Doubler))
{
    public override Tensor forward(Tensor input) => input + input;
}
