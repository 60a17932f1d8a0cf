using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Reads JSON strings, and formats JSON errors for messages.</summary>
internal static class JsonText
{
    /// <summary>The string at which the reader is positioned.</summary>
    /// <param name="reader">Positioned at a value.</param>
    /// <param name="what">Description of the value, for error messages.</param>
    /// <exception cref="RequestRefusedException">The value is not a string.</exception>
    public static string String(ref Utf8JsonReader reader, string what) =>
        reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw Invalid($"{what} is not a string");

    /// <summary>A text from the client, shortened for an error message.</summary>
    /// <param name="text">Any text.</param>
    public static string Short(string text)
    {
        const int most = 64;
        return text.Length <= most ? text : $"{text[..most]}…";
    }

    /// <summary>Describes what is wrong with the JSON, without .NET-specific details.</summary>
    /// <param name="error">The exception that the reader threw.</param>
    public static string Reason(Exception error) =>
        error is JsonException { LineNumber: { } line, BytePositionInLine: { } column }
            ? FormattableString.Invariant(
                $"line {line + 1}, byte {column + 1}: {error.Message.Split(" LineNumber:")[0]}"
            )
            : "a string in it is not valid UTF-8";
}
