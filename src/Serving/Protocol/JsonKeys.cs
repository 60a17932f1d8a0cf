using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>
/// Iterates over the keys of a JSON object and refuses repeated keys, because different programs would use different
/// ones of them.
/// </summary>
/// <param name="owner">Description of the object, for error messages.</param>
internal struct JsonKeys(string owner)
{
    /// <summary>
    /// Maximum number of keys per object; all of them are remembered in order to find repeated ones.
    /// </summary>
    private const int MostKeys = 256;

    /// <summary>The keys read so far.</summary>
    private readonly HashSet<string> seen = new(StringComparer.Ordinal);

    /// <summary>The current key; the reader is positioned at its value.</summary>
    public string Current { get; private set; } = "";

    /// <summary>Moves to the next key; returns false at the end of the object.</summary>
    /// <param name="reader">Positioned at the opening brace, or at the end of the previous value.</param>
    /// <exception cref="RequestRefusedException">A key is repeated, or there are too many keys.</exception>
    public bool Next(ref Utf8JsonReader reader)
    {
        if (!reader.Read() || reader.TokenType == JsonTokenType.EndObject)
            return false;
        Current = reader.GetString()!;
        if (seen.Count == MostKeys)
            throw new RequestRefusedException(RefusalKind.TooLarge, $"{owner} has more than {MostKeys} keys");
        if (!seen.Add(Current))
            throw Invalid($"{owner} has the key '{JsonText.Short(Current)}' twice");
        reader.Read();
        return true;
    }
}
