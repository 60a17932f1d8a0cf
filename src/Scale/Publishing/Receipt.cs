using System.Text.Json;

namespace TorchBridge.Scale.Publishing;

/// <summary>The file beside a published result that marks the item as done. It is written after the result.</summary>
/// <param name="Index">The item's index in the job.</param>
/// <param name="Id">The item's id.</param>
/// <param name="File">Name of the result's file.</param>
/// <param name="Sha256">Digest of the result's file.</param>
/// <param name="Bytes">Length of the result's file.</param>
/// <param name="Rows">Number of rows in the result.</param>
/// <param name="Errors">Number of rows that contain an error.</param>
internal sealed record Receipt(int Index, string Id, string File, string Sha256, long Bytes, long Rows, long Errors)
{
    private const int MostBytes = 1 << 16;

    private static JsonSerializerOptions Options { get; } =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>The receipt as one line of JSON.</summary>
    public byte[] ToBytes() => [.. JsonSerializer.SerializeToUtf8Bytes(this, Options), (byte)'\n'];

    /// <summary>Reads a receipt; null if there is no file, or the file is not a receipt.</summary>
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
