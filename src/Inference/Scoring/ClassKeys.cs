using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// ML.NET's evaluators compare keys by number. MapValueToKey numbers names as they come in the data, the model as its
/// classes stand: where the two differ, metrics would be wrong without a word.
/// </summary>
internal static class ClassKeys
{
    /// <summary>Checks columns of keys whose names are the model's classes.</summary>
    /// <param name="input">Columns of the data.</param>
    /// <param name="classNames">The model's classes, in the order of its scores.</param>
    /// <exception cref="ArgumentException">One numbers them otherwise.</exception>
    public static void Check(DataViewSchema input, IReadOnlyList<string> classNames)
    {
        foreach (var column in input.Where(column => !column.IsHidden && column.Type is KeyDataViewType))
        {
            var keys = Names(column);
            if (keys.Length == 0 || !keys.All(classNames.Contains) || keys.SequenceEqual(classNames.Take(keys.Length)))
                continue;
            throw new ArgumentException(
                $"the column '{column.Name}' has the keys {Text(keys)}, and the model's classes are "
                    + $"{Text(classNames)}: evaluators compare keys by number, and metrics would be wrong. "
                    + "Give MapValueToKey the classes in the model's order: keyData: "
                    + $"mlContext.Data.LoadFromEnumerable(classNames.Select(name => new {{ {column.Name} = "
                    + "name }))",
                nameof(input)
            );
        }
    }

    /// <summary>
    /// The names of a column's keys, in their order; none where it has no such annotation.
    /// </summary>
    private static string[] Names(DataViewSchema.Column column)
    {
        if (
            column.Annotations.Schema.GetColumnOrNull("KeyValues")?.Type
            is not VectorDataViewType { ItemType: TextDataViewType }
        )
            return [];
        VBuffer<ReadOnlyMemory<char>> values = default;
        column.GetKeyValues(ref values);
        return [.. values.DenseValues().Select(value => value.ToString())];
    }

    /// <summary>The first ten names, for an error.</summary>
    private static string Text(IReadOnlyList<string> names) =>
        names.Count <= 10 ? string.Join(", ", names) : $"{string.Join(", ", names.Take(10))}, …";
}
