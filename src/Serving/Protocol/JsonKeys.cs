using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>
/// Goes through the keys of an object, each of which may stand there once: two readers could take different ones of
/// two.
/// </summary>
/// <param name="owner">Whose keys, for an error.</param>
internal struct JsonKeys(string owner)
{
    /// <summary>Most keys of one object: each is remembered, to find it twice.</summary>
    private const int MostKeys = 256;

    /// <summary>Keys that the object has had.</summary>
    private readonly HashSet<string> seen = new(StringComparer.Ordinal);

    /// <summary>The key; the reader stands at its value.</summary>
    public string Current { get; private set; } = "";

    /// <summary>Goes to the next key; false at the object's end.</summary>
    /// <param name="reader">Stands at the opening brace, or at the last value's end.</param>
    /// <exception cref="RequestRefusedException">A key is there twice, or there are too many.</exception>
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
