using System.Runtime.InteropServices;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>
/// Deliberate faults that are invisible at the sizes of the example, where each file gives what the network gives.
/// They are detected by a comparison at sizes that no trace had.
/// </summary>
public class SizeFaultTests
{
    private const long Side = 32;

    private static readonly Dictionary<string, Action<OnnxGraph>> Faults = new(StringComparer.Ordinal)
    {
        ["height baked in"] = graph => Replace(graph, Sizes(graph, "image", 2), Constant(graph, Side)),
        ["width baked in"] = graph => Replace(graph, Sizes(graph, "image", 3), Constant(graph, Side)),
        ["batch baked in"] = graph => Replace(graph, Sizes(graph, "image", 0), Constant(graph, 2)),
        ["width for height"] = graph => Replace(graph, Sizes(graph, "image", 2), Sizes(graph, "image", 3)[0]),
        ["height for width"] = graph => Replace(graph, Sizes(graph, "image", 3), Sizes(graph, "image", 2)[0]),
        ["an axis tied to another input's"] = graph =>
            Replace(graph, Sizes(graph, "notes", 1), Sizes(graph, "image", 3)[0]),
        ["H/15 for H/16"] = graph => Divisor(graph, "image", 2).Inputs[1] = Constant(graph, 15),
        ["W/15 for W/16"] = graph => Divisor(graph, "image", 3).Inputs[1] = Constant(graph, 15),
        ["H-30 for H/16"] = graph =>
        {
            var division = Divisor(graph, "image", 2);
            Put(graph, division, "Sub", [division.Inputs[0], Constant(graph, Side - (Side / 16))]);
        },
        ["the larger side for the height"] = graph =>
        {
            var (height, width) = (Sizes(graph, "image", 2)[0], Sizes(graph, "image", 3)[0]);
            var larger = new OnnxNode
            {
                OpType = "Max",
                Name = "larger",
                Inputs = [height, width],
                Outputs = ["larger"],
            };
            Replace(graph, [height], "larger", except: larger);
            var last = graph.Nodes.FindLastIndex(node => node.Outputs[0] == height || node.Outputs[0] == width);
            graph.Nodes.Insert(last + 1, larger);
        },
        ["an option ignored"] = graph =>
            Assert.True(graph.Nodes.First(node => node.OpType == "Elu").Attributes.Remove("alpha")),
        ["wrong above 16 rows"] = graph => WrongFrom(graph, 17),
        ["wrong above 17 rows"] = graph => WrongFrom(graph, 18),
        ["wrong for one row"] = graph => WrongBelow(graph, 2),
    };

    public static TheoryData<string> Names => [.. Faults.Keys];

    [Fact]
    public void Without_a_fault_it_is_exported_with_every_axis_free()
    {
        using var folder = new TempFolder();
        var report = Export(folder["m.onnx"], null);
        Assert.Equal(
            ["image[0] = batch", "image[2] = image_2", "image[3] = image_3", "notes[0] = batch", "notes[1] = notes_1"],
            report.FreeAxes
        );
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Is_caught(string fault)
    {
        using var folder = new TempFolder();
        var happened = 0;
        var error = Assert.ThrowsAny<ExportException>(() => Export(folder["m.onnx"], graph =>
            {
                Faults[fault](graph);
                happened++;
            }));
        Assert.IsType<ParityException>(error);
        Assert.NotEqual(0, happened);
        Assert.Empty(folder.Files);
    }

    /// <summary>The faults are such that the example, and a trace of one size only, would not show them.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Would_not_be_caught_by_the_example(string fault)
    {
        if (fault == "an option ignored")
            return; // what it changes shows at any size
        using var folder = new TempFolder();
        using var scope = NewDisposeScope();
        using var network = new Sized();
        var options = new ExportOptions { Verify = false, BeforeWriting = (_, graph) => Faults[fault](graph) };
        foreach (var (input, axes) in FreeAxes)
            options.FreeAxes[input] = axes;
        var inputs = Example();
        OnnxExporter.Export(network, inputs, folder["m.onnx"], options);
        using var file = new Onnx.OrtModel(folder["m.onnx"], optimize: false);
        var expected = Functions.Forward(network, inputs);
        foreach (var (one, other) in file.Run(inputs).Zip(expected))
            Assert.True(allclose(one, other, 1e-5, 1e-6));
    }

    private static readonly (string Input, int[] Axes)[] FreeAxes = [("image", [0, 2, 3]), ("notes", [0, 1])];

    private static Tensor[] Example() => [rand(2, 3, Side, Side), rand(2, Side)];

    private static ExportReport Export(string path, Action<OnnxGraph>? fault)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(17);
        using var network = new Sized();
        var options = new ExportOptions { BeforeWriting = fault is null ? null : (_, graph) => fault(graph) };
        foreach (var (input, axes) in FreeAxes)
            options.FreeAxes[input] = axes;
        return OnnxExporter.Export(network, Example(), path, options);
    }

    /// <summary>The values that hold the size of an input's axis.</summary>
    private static string[] Sizes(OnnxGraph graph, string input, long axis)
    {
        var shapes = graph
            .Nodes.Where(node => node.OpType == "Shape" && node.Inputs[0] == input)
            .Select(node => node.Outputs[0])
            .ToHashSet(StringComparer.Ordinal);
        string[] found =
        [
            .. graph
                .Nodes.Where(node => node.OpType == "Gather" && shapes.Contains(node.Inputs[0]))
                .Where(node => Only(graph.Initializers[node.Inputs[1]]) == axis)
                .Select(node => node.Outputs[0]),
        ];
        Assert.NotEmpty(found);
        return found;
    }

    private static long Only(Initializer tensor) => MemoryMarshal.Cast<byte, long>(tensor.Data.Span)[0];

    private static OnnxNode Divisor(OnnxGraph graph, string input, long axis)
    {
        var sizes = Sizes(graph, input, axis);
        return graph.Nodes.First(node => node.OpType == "Div" && sizes.Contains(node.Inputs[0]));
    }

    private static string Constant(OnnxGraph graph, long value)
    {
        var name = $"fault_{value}";
        graph.Initializers[name] = TensorBytes.Of(name, [value]);
        return name;
    }

    private static void Put(OnnxGraph graph, OnnxNode old, string opType, string[] inputs)
    {
        var index = graph.Nodes.IndexOf(old);
        Assert.NotEqual(-1, index);
        graph.Nodes[index] = new OnnxNode
        {
            OpType = opType,
            Name = "fault",
            Inputs = [.. inputs],
            Outputs = [.. old.Outputs],
        };
    }

    /// <summary>Makes the readers of some values read another value.</summary>
    private static void Replace(OnnxGraph graph, string[] values, string other, OnnxNode? except = null)
    {
        var replaced = 0;
        foreach (var node in graph.Nodes.Where(node => node != except))
            for (var i = 0; i < node.Inputs.Count; i++)
                if (values.Contains(node.Inputs[i]))
                {
                    node.Inputs[i] = other;
                    replaced++;
                }

        Assert.NotEqual(0, replaced);
        graph.Nodes.Sort(InOrder(graph));
    }

    /// <summary>A size that another node needs may now be computed before it.</summary>
    private static Comparison<OnnxNode> InOrder(OnnxGraph graph)
    {
        var places = graph.Nodes.Index().ToDictionary(pair => pair.Item, pair => pair.Index);
        int Rank(OnnxNode node) =>
            node.OpType == "Shape" ? 0
            : node.OpType == "Gather" && node.Outputs[0].StartsWith("size", StringComparison.Ordinal) ? 1
            : 2;
        return (one, two) => (Rank(one), places[one]).CompareTo((Rank(two), places[two]));
    }

    private static void WrongFrom(OnnxGraph graph, long rows) => WrongWhere(graph, "GreaterOrEqual", rows);

    private static void WrongBelow(OnnxGraph graph, long rows) => WrongWhere(graph, "Less", rows);

    /// <summary>Adds one to the output where the batch compares so with a number of rows.</summary>
    private static void WrongWhere(OnnxGraph graph, string comparison, long rows)
    {
        var last = graph.Nodes[^1];
        var output = last.Outputs[0];
        last.Outputs[0] = "before the fault";
        var batch = Sizes(graph, "image", 0)[0];
        graph.Nodes.Add(Node(comparison, [batch, Constant(graph, rows)], "is wrong"));
        var cast = Node("Cast", ["is wrong"], "one or zero");
        cast.Attributes["to"] = (long)ElementType.Float32;
        graph.Nodes.Add(cast);
        graph.Nodes.Add(Node("Add", ["before the fault", "one or zero"], output));
    }

    private static OnnxNode Node(string opType, string[] inputs, string output) =>
        new()
        {
            OpType = opType,
            Name = $"fault {output}",
            Inputs = [.. inputs],
            Outputs = [output],
        };

    /// <summary>Needs every size as a number: ramps over height, width and notes, and a grid of a
    /// sixteenth.</summary>
    private sealed class Sized() : nn.Module<Tensor, Tensor, Tensor>("Sized")
    {
        public override Tensor forward(Tensor image, Tensor notes)
        {
            var (batch, height, width) = (image.shape[0], image.shape[2], image.shape[3]);
            var grid = nn.functional.interpolate(image, [height / 16, width / 16]);
            var down = arange(height, dtype: float32).view(1, 1, height, 1);
            var across = arange(width, dtype: float32).view(1, 1, 1, width);
            var ramp = (down + across).expand(batch, 3, height, width);
            var ramped = nn.functional.elu(image - (ramp / 10), 0.7).reshape(batch, -1);
            var weights = arange(notes.shape[1], dtype: float32) / 10;
            return cat([grid.flatten(1), ramped, notes * weights], 1);
        }
    }
}
