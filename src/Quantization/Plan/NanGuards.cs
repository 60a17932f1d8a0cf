// Why: the exporter writes a maximum pooling as MaxPool, and beside it a MaxPool of where NaN is, because ONNX Runtime's passes over NaN and
// TorchSharp's does not. Integers have no NaN: what is quantized goes without.
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Plan;

/// <summary>Takes the search for NaN away from maximum poolings.</summary>
internal static class NanGuards
{
    /// <summary>Replaces <c>Where(Greater(MaxPool(Cast(IsNaN(x))), 0), NaN, MaxPool(x))</c> by <c>MaxPool(x)</c>.</summary>
    public static void Remove(OnnxGraph graph)
    {
        foreach (var choice in graph.Nodes.Where(node => node.OpType == "Where").ToArray())
        {
            if (graph.Producer(choice.Inputs[2]) is not { OpType: "MaxPool" } pool || graph.Tensor(choice.Inputs[1]) is not { } number || !float.IsNaN(number.Floats()[0])) continue;
            OnnxNode[] guard = [.. Chain(graph, choice.Inputs[0], "Greater", "MaxPool", "Cast", "IsNaN")];
            if (guard.Length < 4 || guard[^1].Inputs[0] != pool.Inputs[0] || graph.Readers(pool.Outputs[0]).Count() > 1) continue;
            pool.Outputs[0] = choice.Outputs[0];
            graph.Nodes.RemoveAll(node => node == choice || guard.Contains(node));
        }

        graph.RemoveUnreadInitializers();
    }

    /// <summary>The nodes that make a value, each the first input of the one before.</summary>
    private static IEnumerable<OnnxNode> Chain(OnnxGraph graph, string value, params string[] types)
    {
        foreach (var type in types)
        {
            if (graph.Producer(value) is not { } node || node.OpType != type || graph.Readers(value).Count() > 1) yield break;
            yield return node;
            value = node.Inputs[0];
        }
    }
}
