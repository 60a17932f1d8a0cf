namespace TorchBridge.Serving.Models;

/// <summary>An input or output as a <c>config.pbtxt</c> declares it.</summary>
/// <param name="IsInput">Whether it is an input.</param>
/// <param name="Name">Its name.</param>
/// <param name="Type">Triton's name of its datatype; null where it is not said.</param>
/// <param name="Dims">Its axes without the batch.</param>
/// <param name="LabelFile">File of its labels, in the model's folder; null for none.</param>
internal sealed record DeclaredTensor(
    bool IsInput,
    string Name,
    string? Type,
    IReadOnlyList<long> Dims,
    string? LabelFile
)
{
    /// <summary>Reads a declaration.</summary>
    /// <param name="text">A message <c>input</c> or <c>output</c>.</param>
    /// <param name="isInput">Which of the two.</param>
    /// <exception cref="FormatException">It has no name, or asks for what this server has not.</exception>
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
