namespace TorchBridge.Serving.Protocol;

/// <summary>Limits on the size of a request's parts, checked before memory is allocated.</summary>
internal sealed record ProtocolLimits
{
    /// <summary>Maximum nesting depth of JSON.</summary>
    public int JsonDepth { get; init; } = 100;

    /// <summary>Maximum number of inputs, and of outputs, of a request.</summary>
    public int Tensors { get; init; } = 64;

    /// <summary>Maximum number of axes of a tensor.</summary>
    public int Rank { get; init; } = 16;

    /// <summary>Maximum total size of a request's tensors, in bytes.</summary>
    public long Bytes { get; init; } = 64 << 20;

    /// <summary>Maximum length of a name, an id or a string parameter, in characters.</summary>
    public int TextLength { get; init; } = 1024;

    /// <summary>Maximum number of parameters of a request, an input or an output.</summary>
    public int Parameters { get; init; } = 64;

    /// <summary>Refuses a text that is too long.</summary>
    /// <param name="text">A text from the client.</param>
    /// <param name="what">Description of the text, for error messages.</param>
    /// <returns>The text.</returns>
    /// <exception cref="RequestRefusedException">The text is longer than <see cref="TextLength"/>.</exception>
    public string CheckText(string text, string what) =>
        text.Length <= TextLength
            ? text
            : throw new RequestRefusedException(
                RefusalKind.TooLarge,
                $"{what} has {text.Length} characters; at most {TextLength} are allowed"
            );
}
