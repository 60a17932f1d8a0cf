using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Contract;

namespace TorchBridge.Inference.Sessions;

/// <summary>Checks that a classifier's card matches its graph; otherwise every picture would fail.</summary>
internal static class ClassifierGraph
{
    private const int Free = -1;

    /// <summary>Checks the card, and returns whether the graph accepts only one picture at a time.</summary>
    /// <param name="session">The opened model.</param>
    /// <param name="card">The card from its metadata.</param>
    /// <param name="name">Name of the model in error messages.</param>
    /// <returns>Whether the batch axis is fixed to 1.</returns>
    /// <exception cref="InvalidDataException">Card and graph do not match.</exception>
    public static bool TakesOnePicture(ModelSession session, ModelCard card, string name)
    {
        foreach (var other in session.Inputs.Keys.Where(input => input != ModelNames.Pixels))
            throw Refuse(name, $"its graph has an unexpected input '{other}'");
        var pixels = Tensor(session.Inputs, ModelNames.Pixels, "input", name);
        Check(pixels, [Free, 3, card.Height, card.Width], "input", ModelNames.Pixels, name);
        foreach (var output in (string[])[ModelNames.Logits, ModelNames.Probabilities])
            Check(
                Tensor(session.Outputs, output, "output", name),
                [Free, card.ClassNames.Count],
                "output",
                output,
                name
            );
        if (pixels is not [> 1, ..])
            return pixels is [1, ..];
        throw Refuse(
            name,
            $"its graph takes {pixels[0]} pictures at a time; allowed are a free batch axis and a batch of 1"
        );
    }

    /// <summary>The shape of an input or output, which must be a tensor of float32.</summary>
    private static int[] Tensor(
        IReadOnlyDictionary<string, NodeMetadata> values,
        string value,
        string what,
        string name
    )
    {
        if (!values.TryGetValue(value, out var info))
            throw Refuse(name, $"its graph has no {what} '{value}'; it has {string.Join(", ", values.Keys)}");
        if (!info.IsTensor || info.ElementDataType != TensorElementType.Float)
            throw Refuse(name, $"the {what} '{value}' of its graph is not a tensor of float32");
        return info.Dimensions;
    }

    /// <summary>Checks a shape. Free axes match any size; if all are free, running the model will show whether it
    /// fits.</summary>
    private static void Check(int[] dims, int[] expected, string what, string value, string name)
    {
        if (dims.Length == 0)
            return;
        var fits =
            dims.Length == expected.Length
            && dims.Zip(expected).All(pair => pair.First <= 0 || pair.Second == Free || pair.First == pair.Second);
        if (!fits)
            throw Refuse(
                name,
                $"the {what} '{value}' of its graph is [{Text(dims)}], but its metadata declare [{Text(expected)}]"
            );
    }

    /// <summary>A shape for error messages, with free axes as N.</summary>
    private static string Text(int[] dims) =>
        string.Join(", ", dims.Select(size => size > 0 ? FormattableString.Invariant($"{size}") : "N"));

    /// <summary>An exception that names the model.</summary>
    private static InvalidDataException Refuse(string name, string reason) =>
        new($"{name} is not a picture classifier of TorchBridge that can run: {reason}");
}
