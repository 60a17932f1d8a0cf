using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// ML.NET's evaluators compare keys by number. MapValueToKey numbers names in the order of the data, the model in the
/// order of its classes; if the two differ, metrics would be silently wrong.
/// </summary>
internal static class ClassKeys
{
    /// <summary>Checks key columns whose names are the model's classes.</summary>
    /// <param name="input">Columns of the data.</param>
    /// <param name="classNames">The model's classes, in the order of its scores.</param>
    /// <exception cref="ArgumentException">A column numbers the classes differently.</exception>
    public static void Check(DataViewSchema input, IReadOnlyList<string> classNames)
    {
        foreach (var column in input.Where(column => !column.IsHidden && column.Type is KeyDataViewType))
        {
            var keys = Names(column);
            if (keys.Length == 0 || !keys.All(classNames.Contains) || keys.SequenceEqual(classNames.Take(keys.Length)))
                continue;
            throw new ArgumentException(
                $"the column '{column.Name}' has the keys {Text(keys)}, but the model's classes are "
                    + $"{Text(classNames)}: evaluators compare keys by number, so metrics would be wrong. "
                    + "Give MapValueToKey the classes in the model's order: keyData: "
                    + $"mlContext.Data.LoadFromEnumerable(classNames.Select(name => new {{ {column.Name} = "
                    + "name }))",
                nameof(input)
            );
        }
    }

    /// <summary>
    /// The names of a column's keys, in order; empty if it has no such annotation.
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

    /// <summary>The first ten names, for error messages.</summary>
    private static string Text(IReadOnlyList<string> names) =>
        names.Count <= 10 ? string.Join(", ", names) : $"{string.Join(", ", names.Take(10))}, …";
}
