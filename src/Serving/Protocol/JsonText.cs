using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Texts in JSON, and in messages about it.</summary>
internal static class JsonText
{
    /// <summary>The string at which the reader stands.</summary>
    /// <param name="reader">Stands at a value.</param>
    /// <param name="what">What it should be, for an error.</param>
    /// <exception cref="RequestRefusedException">It is no string.</exception>
    public static string String(ref Utf8JsonReader reader, string what) =>
        reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw Invalid($"{what} is not a string");

    /// <summary>A text of the client's, cut for a message.</summary>
    /// <param name="text">Any text.</param>
    public static string Short(string text)
    {
        const int most = 64;
        return text.Length <= most ? text : $"{text[..most]}…";
    }

    /// <summary>What is wrong with the JSON, without what only .NET's programmers know.</summary>
    /// <param name="error">What the reader threw.</param>
    public static string Reason(Exception error) =>
        error is JsonException { LineNumber: { } line, BytePositionInLine: { } column }
            ? FormattableString.Invariant(
                $"line {line + 1}, byte {column + 1}: {error.Message.Split(" LineNumber:")[0]}"
            )
            : "a text in it is not valid UTF-8";
}
