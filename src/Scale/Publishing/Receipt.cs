using System.Text.Json;

namespace TorchBridge.Scale.Publishing;

/// <summary>What stands beside a published result, written after it: with it the item is done.</summary>
/// <param name="Index">The item's place in the job.</param>
/// <param name="Id">The item's id.</param>
/// <param name="File">Name of the result's file.</param>
/// <param name="Sha256">Digest of that file.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Rows">Rows in it.</param>
/// <param name="Errors">Rows that hold an error.</param>
internal sealed record Receipt(int Index, string Id, string File, string Sha256, long Bytes, long Rows, long Errors)
{
    private const int MostBytes = 1 << 16;

    private static JsonSerializerOptions Options { get; } =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>As JSON, on one line.</summary>
    public byte[] ToBytes() => [.. JsonSerializer.SerializeToUtf8Bytes(this, Options), (byte)'\n'];

    /// <summary>Reads a receipt; null where there is none, or where the file is none.</summary>
    public static Receipt? Read(string path)
    {
        try
        {
            var file = new FileInfo(path);
            if (!file.Exists || file.Length > MostBytes)
                return null;
            var receipt = JsonSerializer.Deserialize<Receipt>(System.IO.File.ReadAllBytes(path), Options);
            return receipt is { Id: not null, File: not null, Sha256: not null } ? receipt : null;
        }
        catch (Exception error) when (error is JsonException or FileNotFoundException)
        {
            return null;
        }
    }
}
