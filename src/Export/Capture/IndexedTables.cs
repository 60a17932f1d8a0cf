using TorchSharp.Modules;

namespace TorchBridge.Export.Capture;

/// <summary>Finds the inputs that index a table (token ids into an embedding), so that generated inputs can use every
/// row of it.</summary>
internal static class IndexedTables
{
    /// <summary>
    /// Operations whose result holds the same elements as their first tensor, possibly in another shape.
    /// </summary>
    private static readonly HashSet<string> KeepsNumbers = new(StringComparer.Ordinal)
    {
        "view",
        "reshape",
        "flatten",
        "to",
        "to_type",
        "type",
        "long",
        "int",
        "contiguous",
        "clone",
        "detach",
        "alias",
        "unsqueeze",
        "unsqueeze_",
        "squeeze",
        "squeeze_",
        "transpose",
        "t",
        "permute",
        "narrow",
        "select",
        "slice",
        "get_Item",
        "get_TensorItems",
        "expand",
        "repeat",
        "chunk",
        "split",
        "unbind",
        "unflatten",
        "flip",
        "roll",
    };

    /// <summary>The inputs that are indices, by position, with the number of rows of the table.</summary>
    /// <param name="trace">Trace of one run.</param>
    /// <returns>Position of the input, and number of rows of the table that it indexes.</returns>
    public static IEnumerable<(int Input, long Rows)> Find(Trace trace)
    {
        // By value number: the input whose elements the value holds, whatever its shape.
        var sources = Enumerable
            .Range(0, trace.Values.Count)
            .Where(id => trace.Values[id].Kind == ValueKind.Input)
            .ToDictionary(id => id, id => id);
        foreach (var op in trace.Ops)
        {
            var tensors = op.Arguments.OfType<ValueRef>().Select(reference => reference.Id).ToArray();
            if (
                tensors.Length > 0
                && KeepsNumbers.Contains(op.Method.Name)
                && op.Module is null
                && sources.TryGetValue(tensors[0], out var source)
            )
            {
                foreach (var result in op.Results)
                    sources.TryAdd(result, source);
            }

            if (TableOf(trace, op, tensors) is var (indices, rows) && sources.TryGetValue(indices, out var input))
                yield return (input, rows);
        }
    }

    /// <summary>
    /// The index value and the number of rows of a table lookup; null for any other operation.
    /// </summary>
    /// <param name="trace">Trace of one run.</param>
    /// <param name="op">A recorded call.</param>
    /// <param name="tensors">Numbers of the values that the call reads.</param>
    private static (int Indices, long Rows)? TableOf(Trace trace, TracedOp op, int[] tensors)
    {
        switch (op.Module)
        {
            case Embedding embedding when tensors.Length > 0:
                return (tensors[0], embedding.weight!.shape[0]);
            case EmbeddingBag bag when tensors.Length > 0:
                return (tensors[0], bag.weight!.shape[0]);
            default:
                break;
        }

        if (
            tensors.Length < 2
            || trace.Values[tensors[0]].Kind is not (ValueKind.Parameter or ValueKind.Constant)
            || trace.Values[tensors[0]].Shape.Length == 0
        )
            return null;
        return op.Method.Name switch
        {
            "index_select"
            or "gather"
            or "take_along_dim" when op.Arguments.OfType<long>().FirstOrDefault() is var axis => (
                tensors[^1],
                trace.Values[tensors[0]].Shape[axis < 0 ? axis + trace.Values[tensors[0]].Shape.Length : axis]
            ),
            "get_Item" or "get_TensorItems" => (tensors[1], trace.Values[tensors[0]].Shape[0]),
            _ => null,
        };
    }
}
