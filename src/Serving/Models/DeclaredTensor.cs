namespace TorchBridge.Serving.Models;

/// <summary>An input or output as a <c>config.pbtxt</c> declares it.</summary>
/// <param name="IsInput">Whether it is an input.</param>
/// <param name="Name">Name of the input or output.</param>
/// <param name="Type">Triton's name of the datatype; null if it is not given.</param>
/// <param name="Dims">Sizes of the axes, without the batch axis.</param>
/// <param name="LabelFile">Name of the file of class labels in the model's folder; null for none.</param>
internal sealed record DeclaredTensor(
    bool IsInput,
    string Name,
    string? Type,
    IReadOnlyList<long> Dims,
    string? LabelFile
)
{
    /// <summary>Reads a declaration.</summary>
    /// <param name="text">An <c>input</c> or <c>output</c> message.</param>
    /// <param name="isInput">Whether the message is an <c>input</c>.</param>
    /// <exception cref="FormatException">The name is missing, or the declaration asks for something that this server
    /// does not support.</exception>
    public static DeclaredTensor Read(TextMessage text, bool isInput)
    {
        if (text.Message("reshape") is not null)
            throw new FormatException("`reshape` is not supported by this server");
        if (text.Text("allow_ragged_batch") == "true")
            throw new FormatException("`allow_ragged_batch` is not supported by this server");
        var labels = text.Text("label_filename");
        if (labels is not null && labels.AsSpan().IndexOfAny('/', '\\', ':') >= 0)
            throw new FormatException($"label_filename is '{labels}', which is not a plain file name");
        return new DeclaredTensor(
            isInput,
            text.Text("name") ?? throw new FormatException("an input or output has no name"),
            text.Text("data_type"),
            [.. text.Numbers("dims")],
            labels is { Length: > 0 } ? labels : null
        );
    }
}
