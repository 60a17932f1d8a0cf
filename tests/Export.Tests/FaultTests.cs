using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Deliberate faults that exporters have had: verification detects each of them, and no file is
/// written.</summary>
public class FaultTests
{
    private static readonly Dictionary<string, Action<OnnxGraph, OnnxGraph>> Faults = new(StringComparer.Ordinal)
    {
        // folding
        ["eps dropped"] = (twin, graph) =>
            Refold(twin, graph, (g, b, m, v, _) => (g / Math.Sqrt(v), b - (m * g / Math.Sqrt(v)))),
        ["unbiased for biased variance"] = (twin, graph) =>
            Refold(twin, graph, (g, b, m, v, eps) =>
                (g / Math.Sqrt((v * 32 / 31) + eps), b - (m * g / Math.Sqrt((v * 32 / 31) + eps)))
            ),
        ["sqrt missing"] = (twin, graph) =>
            Refold(twin, graph, (g, b, m, v, eps) => (g / (v + eps), b - (m * g / (v + eps)))),
        ["eps outside of the root"] = (twin, graph) =>
            Refold(twin, graph, (g, b, m, v, eps) => (g / (Math.Sqrt(v) + eps), b - (m * g / (Math.Sqrt(v) + eps)))),
        ["gamma and beta swapped"] = (twin, graph) =>
            Refold(twin, graph, (g, b, m, v, eps) => (b / Math.Sqrt(v + eps), g - (m * b / Math.Sqrt(v + eps)))),
        ["mean forgotten"] = (twin, graph) => Refold(twin, graph, (g, b, _, v, eps) => (g / Math.Sqrt(v + eps), b)),
        ["own bias forgotten"] = (twin, graph) =>
            Refold(
                twin,
                graph,
                (g, b, m, v, eps) => (g / Math.Sqrt(v + eps), b - (m * g / Math.Sqrt(v + eps))),
                ownBias: false
            ),
        ["statistics of the next channel"] = (twin, graph) =>
            Refold(
                twin,
                graph,
                (g, b, m, v, eps) => (g / Math.Sqrt(v + eps), b - (m * g / Math.Sqrt(v + eps))),
                shift: 1
            ),
        ["bias dropped"] = (_, graph) => graph.Nodes.First(node => node.OpType == "Conv").Inputs.RemoveAt(2),
        // lowering
        ["groups transposed"] = (_, graph) =>
            Change(graph, "grouped.weight", values =>
                [.. values.Skip(values.Length / 2), .. values.Take(values.Length / 2)]
            ),
        ["wrong padding side"] = (_, graph) =>
            graph.Nodes.First(node => node.OpType == "Conv").Attributes["pads"] = new long[] { 0, 0, 2, 2 },
        ["stride forgotten"] = (_, graph) =>
            graph.Nodes.First(node => node.OpType == "Conv").Attributes["strides"] = new long[] { 1, 1 },
        ["dilation for stride"] = (_, graph) =>
            graph.Nodes.First(node => node.Name.Contains("grouped", StringComparison.Ordinal)).Attributes["dilations"] =
                new long[] { 2, 2 },
        ["ceil mode ignored"] = (_, graph) =>
        {
            // Written as padding at the end, where the last window would be left out.
            var pool = graph.Nodes.First(node => node.OpType == "MaxPool");
            pool.Attributes["ceil_mode"] = 0L;
            pool.Attributes["pads"] = new long[4];
        },
        ["batch baked in"] = (_, graph) => BakeBatch(graph),
        ["transposed Gemm"] = (_, graph) => Change(graph, "fc.weight", values => Transposed(values, 4, 4)),
        ["activation left out"] = (_, graph) => Remove(graph, "Relu"),
        ["mean in BGR order"] = (_, graph) => Change(graph, "Add", values => [values[2], values[1], values[0]]),
        ["scale 1/256"] = (_, graph) => Change(graph, "Mul", values => [.. values.Select(value => value * 255 / 256)]),
        // values
        ["one weight tensor scaled by 1.01"] = (_, graph) =>
            Change(graph, "fc.weight", values => [.. values.Select(value => value * 1.01f)]),
        ["one single weight changed"] = (_, graph) =>
            Change(graph, "grouped.weight", values => [.. values.Select((value, i) => i == 5 ? value + 1e-6f : value)]),
        ["last bit of one folded weight"] = (_, graph) =>
            Change(graph, "conv.weight:folded", values =>
                [.. values.Select((value, i) => i == 7 ? MathF.BitIncrement(value) : value)]
            ),
        ["all NaN"] = (_, graph) => Append(graph, "Div", 0, twice: true),
        ["all zero"] = (_, graph) => Append(graph, "Mul", 0),
        ["twice the output"] = (_, graph) => Append(graph, "Mul", 2),
        ["1e-3 added"] = (_, graph) => Append(graph, "Add", 1e-3f),
        ["half precision inside"] = (_, graph) => Append(graph, "Cast", 0),
    };

    public static TheoryData<string> Names => [.. Faults.Keys];

    [Fact]
    public void There_are_at_least_twenty() => Assert.InRange(Faults.Count, 20, 100);

    [Fact]
    public void Without_a_fault_the_network_is_exported()
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        var report = Export(folder["m.onnx"], null);
        Assert.Equal(["norm"], report.Folded);
        Assert.Equal(["m.onnx"], folder.Files);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Is_caught(string fault)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        var happened = 0;
        var error = Assert.Throws<ParityException>(() => Export(folder["m.onnx"], (twin, graph) =>
            {
                Faults[fault](twin, graph);
                happened++;
            }));
        Assert.Equal(1, happened); // and no second attempt hid it
        Assert.NotEmpty(error.Message);
        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData("groups transposed")]
    [InlineData("wrong padding side")]
    [InlineData("scale 1/256")]
    [InlineData("activation left out")]
    public void A_fault_of_lowering_shows_in_the_twin_already(string fault)
    {
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        var error = Assert.Throws<ParityException>(() => Export(folder["m.onnx"], (twin, _) =>
            {
                if (fault == "scale 1/256")
                    Change(twin, "Div", values => [.. values.Select(value => value * 256 / 255)]);
                else
                    Faults[fault](twin, twin);
            }));
        Assert.Contains("unfolded", error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    private static ExportReport Export(string path, Action<OnnxGraph, OnnxGraph>? fault)
    {
        random.manual_seed(12);
        using var network = new Small();
        FoldingTests.Randomize(network);
        using (no_grad())
        {
            // Small variances, so that a dropped eps shows.
            network.Norm.running_var!.mul_(1e-3);
        }

        return OnnxExporter.Export(network, rand(2, 3, 9, 9) * 255, path, new ExportOptions { BeforeWriting = fault });
    }

    /// <summary>Folds the convolution's norm again, with another formula from (g, b, m, v, eps) to (scale,
    /// shift).</summary>
    private static void Refold(
        OnnxGraph twin,
        OnnxGraph graph,
        Func<double, double, double, double, double, (double Scale, double Shift)> formula,
        bool ownBias = true,
        int shift = 0
    )
    {
        var norm = twin.Nodes.First(node => node.OpType == "BatchNormalization");
        var parameters = norm.Inputs.Skip(1).Select(name => TensorBytes.ToDoubles(twin.Initializers[name])).ToArray();
        double[] weight = TensorBytes.ToDoubles(twin.Initializers["conv.weight"]),
            bias = TensorBytes.ToDoubles(twin.Initializers["conv.bias"]);
        var channels = bias.Length;
        var affine = Enumerable
            .Range(0, channels)
            .Select(c => (c + shift) % channels)
            .Select(c =>
                formula(
                    parameters[0][c],
                    parameters[1][c],
                    parameters[2][c],
                    parameters[3][c],
                    norm.Float("epsilon", 0)
                )
            )
            .ToArray();
        Change(graph, "conv.weight:folded", values =>
            [.. values.Select((_, i) => (float)(weight[i] * affine[i / (values.Length / channels)].Scale))]
        );
        Change(graph, "conv.bias:folded", values =>
            [.. values.Select((_, c) => (float)(((ownBias ? bias[c] : 0) * affine[c].Scale) + affine[c].Shift))]
        );
    }

    private static void Change(OnnxGraph graph, string name, Func<float[], float[]> change)
    {
        var key = graph.Initializers.ContainsKey(name)
            ? name
            : graph.Nodes.First(node => node.OpType == name).Inputs.First(graph.Initializers.ContainsKey);
        var tensor = graph.Initializers[key];
        var values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(tensor.Data.Span).ToArray();
        var changed = change(values);
        Assert.NotEqual(values, changed);
        graph.Initializers[key] = tensor with
        {
            Data = System.Runtime.InteropServices.MemoryMarshal.AsBytes(changed.AsSpan()).ToArray(),
        };
    }

    private static float[] Transposed(float[] values, int rows, int columns) =>
        [.. Enumerable.Range(0, values.Length).Select(i => values[(i % rows * columns) + (i / rows)])];

    private static void Remove(OnnxGraph graph, string opType)
    {
        var node = graph.Nodes.First(node => node.OpType == opType);
        graph.ReplaceUses(node.Outputs[0], node.Inputs[0]);
        graph.Nodes.Remove(node);
    }

    private static void BakeBatch(OnnxGraph graph)
    {
        var flatten = graph.Nodes.First(node => node.OpType == "Flatten");
        graph.Initializers["baked"] = TensorBytes.Of("baked", [2, -1]);
        graph.Nodes[graph.Nodes.IndexOf(flatten)] = new OnnxNode
        {
            OpType = "Reshape",
            Name = "baked",
            Inputs = [flatten.Inputs[0], "baked"],
            Outputs = [.. flatten.Outputs],
        };
    }

    /// <summary>Puts an operation between the last node and the output.</summary>
    private static void Append(OnnxGraph graph, string opType, float operand, bool twice = false)
    {
        var last = graph.Nodes[^1];
        var output = last.Outputs[0];
        last.Outputs[0] = "before the fault";
        if (opType == "Cast")
        {
            var half = new OnnxNode
            {
                OpType = "Cast",
                Name = "half",
                Inputs = ["before the fault"],
                Outputs = ["half"],
            };
            half.Attributes["to"] = (long)ElementType.Float16;
            var back = new OnnxNode
            {
                OpType = "Cast",
                Name = "back",
                Inputs = ["half"],
                Outputs = [output],
            };
            back.Attributes["to"] = (long)ElementType.Float32;
            graph.Nodes.AddRange([half, back]);
            return;
        }

        graph.Initializers["operand"] = TensorBytes.FromDoubles("operand", ElementType.Float32, [], [operand]);
        if (twice)
        {
            // 0 / 0
            graph.Nodes.Add(
                new OnnxNode
                {
                    OpType = "Mul",
                    Name = "zero",
                    Inputs = ["before the fault", "operand"],
                    Outputs = ["zero"],
                }
            );
            graph.Nodes.Add(
                new OnnxNode
                {
                    OpType = opType,
                    Name = "fault",
                    Inputs = ["zero", "operand"],
                    Outputs = [output],
                }
            );
            return;
        }

        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = opType,
                Name = "fault",
                Inputs = ["before the fault", "operand"],
                Outputs = [output],
            }
        );
    }

    private sealed class Small : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d conv = nn.Conv2d(3, 4, 3, stride: 2, padding: 1);
        private readonly BatchNorm2d norm = nn.BatchNorm2d(4);
        private readonly Conv2d grouped = nn.Conv2d(4, 4, 3, padding: 1, groups: 2, bias: false);
        private readonly MaxPool2d pool = nn.MaxPool2d(2, ceil_mode: true);
        private readonly Linear fc = nn.Linear(4, 4);
        private readonly Tensor mean = tensor([0.4f, 0.5f, 0.6f]).view(1, 3, 1, 1);

        public Small()
            : base(nameof(Small))
        {
            RegisterComponents();
            eval();
        }

        public BatchNorm2d Norm => norm;

        public override Tensor forward(Tensor input)
        {
            var x = ((input / 255) - mean) / 0.25;
            x = nn.functional.relu(norm.forward(conv.forward(x)));
            x = pool.forward(grouped.forward(x));
            return fc.forward(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1));
        }
    }
}
