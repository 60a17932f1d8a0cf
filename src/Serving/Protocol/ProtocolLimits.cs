namespace TorchBridge.Serving.Protocol;

/// <summary>How large the parts of a request may be. Checked before memory is taken.</summary>
internal sealed record ProtocolLimits
{
    /// <summary>Levels of nested JSON.</summary>
    public int JsonDepth { get; init; } = 100;

    /// <summary>Inputs, and outputs, of a request.</summary>
    public int Tensors { get; init; } = 64;

    /// <summary>Axes of a tensor.</summary>
    public int Rank { get; init; } = 16;

    /// <summary>Bytes of all tensors of a request.</summary>
    public long Bytes { get; init; } = 64 << 20;

    /// <summary>Characters of a name, an id or a textual parameter.</summary>
    public int TextLength { get; init; } = 1024;

    /// <summary>Parameters of a request, an input or an output.</summary>
    public int Parameters { get; init; } = 64;

    /// <summary>Refuses a text that is too long.</summary>
    /// <param name="text">A text of the client's.</param>
    /// <param name="what">What it is, for an error.</param>
    /// <returns>The text.</returns>
    /// <exception cref="RequestRefusedException">It has more characters than are read.</exception>
    public string CheckText(string text, string what) =>
        text.Length <= TextLength
            ? text
            : throw new RequestRefusedException(
                RefusalKind.TooLarge,
                $"{what} has {text.Length} characters; at most {TextLength} are read"
            );
}
