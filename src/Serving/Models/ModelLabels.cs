using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Names of the classes: of a classifier of ours from its file, of others from the label files that their
/// configuration names.
/// </summary>
internal static class ModelLabels
{
    /// <summary>Labels by output.</summary>
    /// <param name="source">The file, which carries the names where it is a classifier of ours.</param>
    /// <param name="config">Its configuration, which may name label files.</param>
    /// <param name="signature">Its outputs.</param>
    /// <param name="entry">Where the label files are.</param>
    /// <returns>By name of the output; outputs without names of classes are not in it.</returns>
    /// <exception cref="ModelLoadException">A label file cannot be read.</exception>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Of(
        ModelSource source,
        ModelConfig config,
        ModelSignature signature,
        ModelFileEntry entry
    )
    {
        var labels = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        if (source.Card is { } card)
        {
            foreach (
                var output in signature.Outputs.Where(output =>
                    output.Shape is [_, var classes] && classes == card.ClassNames.Count
                )
            )
                labels[output.Name] = card.ClassNames;
        }

        foreach (var tensor in config.Tensors.Where(tensor => tensor.LabelFile is not null))
        {
            var path = Path.Combine(Path.GetDirectoryName(entry.ConfigPath)!, tensor.LabelFile!);
            try
            {
                labels[tensor.Name] = File.ReadAllLines(path);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new ModelLoadException(
                    $"{entry.ConfigPath}: the labels of '{tensor.Name}' cannot be read: {error.Message}",
                    error
                );
            }
        }

        return labels;
    }
}
