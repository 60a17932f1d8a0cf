using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Finds the names of a model's classes: for TorchBridge classifiers in the model's file, for other models in the
/// label files that their configuration names.
/// </summary>
internal static class ModelLabels
{
    /// <summary>The labels of each output.</summary>
    /// <param name="source">The model's file, which holds the names if it is a TorchBridge classifier.</param>
    /// <param name="config">The model's configuration, which may name label files.</param>
    /// <param name="signature">The model's inputs and outputs.</param>
    /// <param name="entry">The model's files; label files are in the folder of its configuration.</param>
    /// <returns>Labels by name of the output; outputs without labels are left out.</returns>
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
