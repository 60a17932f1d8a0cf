using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace TorchBridge.Scale.Contract;

/// <summary>SHA-256, in small hexadecimal letters as <c>sha256sum</c> prints it.</summary>
internal static class ContentHash
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    /// <summary>Digits of a hash.</summary>
    public const int Length = 64;

    /// <summary>Digits of an item's id: 120 bits of the hash, so that it fits a file's name.</summary>
    public const int IdLength = 30;

    /// <summary>Of bytes.</summary>
    public static string Of(ReadOnlySpan<byte> content) => Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>Of a text, in UTF-8.</summary>
    public static string Of(string text) => Of(Encoding.UTF8.GetBytes(text));

    /// <summary>Of a file.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static string OfFile(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>The id of an item: of what decides its result, in canonical form.</summary>
    public static string Id(JsonNode what) => Of(CanonicalJson.Text(what))[..IdLength];

    /// <summary>Whether a text has the form of a hash.</summary>
    public static bool IsHash(string text) => text.Length == Length && !text.AsSpan().ContainsAnyExcept(Digits);
}
