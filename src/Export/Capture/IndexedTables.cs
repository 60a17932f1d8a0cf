using TorchSharp.Modules;

namespace TorchBridge.Export.Capture;

/// <summary>Finds the inputs that index a table (token ids into an embedding), so that made inputs can name every row
/// of it.</summary>
internal static class IndexedTables
{
    /// <summary>
    /// Operations whose result holds the same numbers as their first tensor, in another shape.
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

    /// <summary>The inputs, by their place, that are indices, with the number of rows that they index.</summary>
    /// <param name="trace">A run.</param>
    /// <returns>Place of the input among the model's, and rows of the table that it indexes.</returns>
    public static IEnumerable<(int Input, long Rows)> Find(Trace trace)
    {
        // By value number: the input whose numbers it has, other shapes apart.
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
    /// The indices and the rows of the table that an operation looks up; null for any other operation.
    /// </summary>
    /// <param name="trace">What the model did.</param>
    /// <param name="op">A recorded call.</param>
    /// <param name="tensors">Values that the call reads.</param>
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
