using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Onnx.Tests.Runtime;

public class OrtSessionTests
{
    [Fact]
    public void Settings_reach_the_runtime()
    {
        using var folder = new TempFolder();
        var model = OnnxWriter.ToBytes(Foldable());
        var configured = 0;
        var rewritten = OrtSession.Quiet with { RewrittenPath = folder["all.onnx"], Configure = _ => configured++ };
        using (rewritten.Open(model)) { }
        using (
            (
                rewritten with
                {
                    RewrittenPath = folder["none.onnx"],
                    Optimization = GraphOptimizationLevel.ORT_DISABLE_ALL,
                }
            ).Open(model)
        ) { }
        Assert.Equal(2, configured);
        // Optimized, 1 + 1 is a tensor; not optimized, it is an Add.
        Assert.Equal(["Mul"], OnnxReader.Read(folder["all.onnx"]).Nodes.Select(node => node.OpType));
        Assert.Equal(["Add", "Mul"], OnnxReader.Read(folder["none.onnx"]).Nodes.Select(node => node.OpType));
    }

    [Fact]
    public void A_file_and_its_bytes_give_the_same()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["m.onnx"], OnnxWriter.ToBytes(Foldable()));
        using var fromFile = (
            OrtSession.Quiet with
            {
                KeepsMemory = false,
                PlansMemory = false,
                Threads = 1,
                ExactInt8 = true,
                KeepsLayout = true,
            }
        ).Open(folder["m.onnx"]);
        using var fromBytes = new OrtSession().Open(File.ReadAllBytes(folder["m.onnx"]));
        foreach (var session in (InferenceSession[])[fromFile, fromBytes])
        {
            using var value = OrtValue.CreateTensorValueFromMemory((float[])[3, 4], [2]);
            using var options = new RunOptions();
            using var results = session.Run(options, ["x"], [value], ["y"]);
            Assert.Equal([6f, 8f], results[0].GetTensorDataAsSpan<float>().ToArray());
        }
    }

    [Fact]
    public void What_is_no_model_is_the_runtimes_exception() =>
        Assert.Throws<OnnxRuntimeException>(() => OrtSession.Quiet.Open([1, 2, 3]));

    [Fact]
    public void Values_inside_the_graph_are_outputs_on_request()
    {
        using var session = OrtSession.Quiet.Open(OnnxWriter.WithOutputs(Foldable(), ["two", "y"]));
        Assert.Equal(["y", "two"], session.OutputNames);
    }

    /// <summary>y = x (1 + 1).</summary>
    private static OnnxGraph Foldable()
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Inputs.Add(new ValueInfo("x", ElementType.Float32, ["N"]));
        graph.Add(Initializer.Of("one", [1f]));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Add",
                Name = "add",
                Inputs = ["one", "one"],
                Outputs = ["two"],
            }
        );
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Mul",
                Name = "mul",
                Inputs = ["x", "two"],
                Outputs = ["y"],
            }
        );
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, ["N"]));
        return graph;
    }
}
