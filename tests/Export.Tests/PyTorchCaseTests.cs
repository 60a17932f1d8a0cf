using TorchBridge.Export.Onnx;
using TorchBridge.Export.Verification;
using TorchBridge.Onnx.Proto;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>
/// Cases of the ONNX project's backend tests that PyTorch produced: the module is built in TorchSharp with the
/// weights of the case, exported, run, and compared with the stored output of PyTorch.
/// </summary>
public class PyTorchCaseTests
{
    private static readonly Dictionary<string, Func<Weights, nn.Module>> Modules = new(StringComparer.Ordinal)
    {
        ["AvgPool1d_stride"] = _ => nn.AvgPool1d(2, 2),
        ["AvgPool2d"] = _ => nn.AvgPool2d(2),
        ["AvgPool3d_stride"] = _ => nn.AvgPool3d([2, 2, 2], [2, 2, 2]),
        ["BatchNorm1d_3d_input_eval"] = w => w.Into(nn.BatchNorm1d(5)),
        ["BatchNorm2d_eval"] = w => w.Into(nn.BatchNorm2d(3)),
        ["BatchNorm3d_eval"] = w => w.Into(nn.BatchNorm3d(3)),
        ["BatchNorm3d_momentum_eval"] = w => w.Into(nn.BatchNorm3d(3, 1e-3, 0.7)),
        ["Conv1d"] = w => w.Into(nn.Conv1d(4, 5, 3)),
        ["Conv1d_dilated"] = w => w.Into(nn.Conv1d(4, 5, 3, dilation: 2)),
        ["Conv1d_groups"] = w => w.Into(nn.Conv1d(4, 6, 3, groups: 2)),
        ["Conv1d_pad1"] = w => w.Into(nn.Conv1d(4, 5, 3, padding: 1)),
        ["Conv1d_pad1size1"] = w => w.Into(nn.Conv1d(4, 4, 3, padding: 1)),
        ["Conv1d_pad2"] = w => w.Into(nn.Conv1d(4, 5, 5, padding: 2)),
        ["Conv1d_pad2size1"] = w => w.Into(nn.Conv1d(4, 4, 5, padding: 2)),
        ["Conv2d_depthwise_padded"] = w => w.Into(nn.Conv2d(4, 4, 3, padding: 1, groups: 4)),
        ["Conv2d_no_bias"] = w => w.Into(nn.Conv2d(3, 4, (3, 2), bias: false)),
        ["Conv2d_padding"] = w => w.Into(nn.Conv2d(3, 4, (3, 3), stride: (2, 2), padding: (1, 1))),
        ["Conv2d_strided"] = w => w.Into(nn.Conv2d(3, 4, (3, 3), stride: (2, 2))),
        ["Conv3d"] = w => w.Into(nn.Conv3d(3, 4, (2, 3, 4))),
        ["Conv3d_dilated_strided"] = w => w.Into(nn.Conv3d(3, 4, 2, stride: 2, dilation: 2)),
        ["Conv3d_groups"] = w => w.Into(nn.Conv3d(4, 6, 3, groups: 2)),
        ["Conv3d_no_bias"] = w => w.Into(nn.Conv3d(3, 4, (2, 3, 4), bias: false)),
        ["ConvTranspose2d"] = w =>
            w.Into(nn.ConvTranspose2d(3, 4, (3, 3), stride: (3, 2), padding: (1, 1), output_padding: (1, 1))),
        ["ConvTranspose2d_no_bias"] = w =>
            w.Into(
                nn.ConvTranspose2d(3, 4, (3, 3), stride: (2, 3), padding: (1, 1), output_padding: (1, 1), bias: false)
            ),
        ["ELU"] = _ => nn.ELU(2),
        ["GLU"] = _ => nn.GLU(),
        ["GLU_dim"] = _ => nn.GLU(1),
        ["LeakyReLU"] = _ => nn.LeakyReLU(),
        ["LeakyReLU_with_negval"] = _ => nn.LeakyReLU(0.5),
        ["LogSoftmax"] = _ => nn.LogSoftmax(1),
        ["MaxPool1d"] = _ => nn.MaxPool1d(4),
        ["MaxPool3d"] = _ => nn.MaxPool3d(2),
        ["MaxPool3d_stride_padding"] = _ => nn.MaxPool3d(2, 2, 1),
        ["PReLU_1d"] = w => w.Into(nn.PReLU(1)),
        ["PReLU_3d"] = w => w.Into(nn.PReLU(1)),
        ["PReLU_3d_multiparam"] = w => w.Into(nn.PReLU(3)),
        ["PixelShuffle"] = _ => nn.PixelShuffle(3),
        ["ReflectionPad2d"] = _ => nn.ReflectionPad2d((1, 2, 3, 4)),
        ["SELU"] = _ => nn.SELU(),
        ["Softmax"] = _ => nn.Softmax(1),
        ["Softsign"] = _ => nn.Softsign(),
        ["Tanh"] = _ => nn.Tanh(),
        ["log_softmax_dim3"] = _ => nn.LogSoftmax(3),
        ["log_softmax_lastdim"] = _ => nn.LogSoftmax(1),
        ["softmax_functional_dim3"] = _ => nn.Softmax(3),
        ["operator_add_broadcast"] = _ => new Function2((x, y) => x + y),
        ["operator_add_size1_broadcast"] = _ => new Function2((x, y) => x + y),
        ["operator_add_size1_singleton_broadcast"] = _ => new Function2((x, y) => x + y),
        ["operator_chunk"] = _ => new FunctionMany(x => x.chunk(2, 0).ToArray()),
        ["operator_clip"] = _ => new Function(x => clamp(x, min: -0.5f, max: 0.5f)),
        ["operator_exp"] = _ => new Function(x => x.exp()),
        ["operator_max"] = _ => new Function2((x, y) => maximum(x, y)),
        ["operator_maxpool"] = _ => new Function(x => F.max_pool1d(x, 3, stride: 2)),
        ["operator_pad"] = _ => new Function(x => F.pad(x, [2, 3, 0, 1], PaddingModes.Reflect)),
        ["operator_pow"] = _ => new Function2((x, y) => x.pow(y)),
        ["operator_repeat"] = _ => new Function(x => x.repeat(1, 2, 3, 4)),
        ["operator_selu"] = _ => new Function(x => F.selu(x)),
        ["operator_symbolic_override_nested"] = _ => new SumAndNegatives(),
    };

    public static TheoryData<string> Names => [.. Modules.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Equals_PyTorchs_stored_output(string name)
    {
        var folder = Shared.Find("data", "onnx-pytorch", $"test_{name}");
        Assert.SkipWhen(folder is null, "../shared/data/onnx-pytorch is not there");
        using var scope = NewDisposeScope();
        var graph = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(folder, "model.onnx"))).Graph;
        var inputs = Tensors(folder, "input");
        var expected = Tensors(folder, "output");
        var module = Modules[name](new Weights(graph));
        module.eval();

        using var temp = new TempFolder();
        OnnxExporter.Export(
            module,
            inputs,
            temp["model.onnx"],
            new ExportOptions { FreeAxes = Fixed(module, inputs.Length) }
        );
        using var ort = new OrtModel(temp["model.onnx"], optimize: true);
        var actual = ort.Run(inputs);
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            // PyTorch's float32 sums in another order: the tolerance that the ONNX project's own runner has for these
            // cases is 1e-3 relative.
            var comparison = TensorComparer.Compare(
                actual[i],
                expected[i],
                1e-5 * Math.Max(1, expected[i].abs().max().ToDouble())
            );
            Assert.True(comparison.Difference is null, comparison.Difference);
        }
    }

    [Fact]
    public void Every_case_beside_the_project_is_here()
    {
        var folder = Shared.Find("data", "onnx-pytorch");
        Assert.SkipWhen(folder is null, "../shared/data/onnx-pytorch is not there");
        var cases = Directory
            .GetDirectories(folder)
            .Select(path => Path.GetFileName(path)["test_".Length..])
            .Order(StringComparer.Ordinal);
        Assert.Equal(cases, Modules.Keys.Order(StringComparer.Ordinal));
    }

    private static Dictionary<string, int[]> Fixed(nn.Module module, int count) =>
        Capture.ForwardPlan.Find(module, count).Names.ToDictionary(name => name, _ => Array.Empty<int>());

    private static Tensor[] Tensors(string folder, string kind) =>
        [
            .. Enumerable
                .Range(0, 9)
                .Select(i => Path.Combine(folder, "test_data_set_0", $"{kind}_{i}.pb"))
                .Where(File.Exists)
                .Select(path => Weights.ToTensor(TensorProto.Parser.ParseFrom(File.ReadAllBytes(path)))),
        ];
}

/// <summary>The weights of a case, in the order of PyTorch's parameters.</summary>
internal sealed class Weights(GraphProto graph)
{
    public static Tensor ToTensor(TensorProto proto)
    {
        if (proto.DataType == (int)TensorProto.Types.DataType.Float)
            return tensor(
                    proto.RawData.Length > 0
                        ? System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(proto.RawData.Span).ToArray()
                        : [.. proto.FloatData]
                )
                .reshape([.. proto.Dims]);
        if (proto.DataType == (int)TensorProto.Types.DataType.Double)
            return tensor(
                    proto.RawData.Length > 0
                        ? System.Runtime.InteropServices.MemoryMarshal.Cast<byte, double>(proto.RawData.Span).ToArray()
                        : [.. proto.DoubleData]
                )
                .reshape([.. proto.Dims]);
        return tensor(
                proto.RawData.Length > 0
                    ? System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(proto.RawData.Span).ToArray()
                    : [.. proto.Int64Data]
            )
            .reshape([.. proto.Dims]);
    }

    /// <summary>Copies the case's tensors into a module, by the inputs of the node that uses them: weight, bias,
    /// running mean, running variance.</summary>
    public T Into<T>(T module)
        where T : nn.Module
    {
        using var noGrad = no_grad();
        var node = graph.Node.First(node =>
            node.OpType is "Conv" or "ConvTranspose" or "BatchNormalization" or "PRelu"
        );
        var tensors = node
            .Input.Skip(1)
            .Select(name => ToTensor(graph.Initializer.First(tensor => tensor.Name == name)))
            .ToArray();
        Tensor[] targets = module switch
        {
            NormBase norm => [norm.weight, norm.bias!, norm.running_mean!, norm.running_var!],
            Convolution { bias: { } bias } conv => [conv.weight, bias],
            Convolution conv => [conv.weight],
            PReLU prelu => [prelu.weight],
            _ => throw new ArgumentException(module.GetName()),
        };
        for (var i = 0; i < targets.Length; i++)
            targets[i].copy_(tensors[i].reshape(targets[i].shape));
        return module;
    }
}

internal sealed class SumAndNegatives()
    : nn.Module<Tensor, Tensor, Tensor, (Tensor, Tensor, Tensor)>(nameof(SumAndNegatives))
{
    public override (Tensor, Tensor, Tensor) forward(Tensor x, Tensor y, Tensor z) => (x + y + z, -x, -y);
}
