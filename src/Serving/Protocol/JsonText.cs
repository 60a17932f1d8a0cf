using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Texts in JSON, and in messages about it.</summary>
internal static class JsonText
{
    /// <summary>The string at which the reader stands.</summary>
    public static string String(ref Utf8JsonReader reader, string what) =>
        reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw Invalid($"{what} is not a string");

    /// <summary>A text of the client's, cut for a message.</summary>
    public static string Short(string text)
    {
        const int most = 64;
        return text.Length <= most ? text : $"{text[..most]}…";
    }

    /// <summary>What is wrong with the JSON, without what only .NET's programmers know.</summary>
    public static string Reason(Exception error) =>
        error is JsonException { LineNumber: { } line, BytePositionInLine: { } column }
            ? FormattableString.Invariant(
                $"line {line + 1}, byte {column + 1}: {error.Message.Split(" LineNumber:")[0]}"
            )
            : "a text in it is not valid UTF-8";
}
