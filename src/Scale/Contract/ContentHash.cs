using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace TorchBridge.Scale.Contract;

/// <summary>SHA-256 hashes in lower-case hexadecimal, as <c>sha256sum</c> prints them.</summary>
internal static class ContentHash
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    /// <summary>Number of hexadecimal digits of a hash.</summary>
    public const int Length = 64;

    /// <summary>Number of hexadecimal digits of an item's id: 120 bits of the hash, short enough for a file
    /// name.</summary>
    public const int IdLength = 30;

    /// <summary>The hash of bytes.</summary>
    public static string Of(ReadOnlySpan<byte> content) => Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>The hash of a text, encoded in UTF-8.</summary>
    public static string Of(string text) => Of(Encoding.UTF8.GetBytes(text));

    /// <summary>The hash of a file's content.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static string OfFile(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>The id of an item: the hash of everything that decides its result, in canonical form.</summary>
    /// <param name="what">Everything that decides the result.</param>
    public static string Id(JsonNode what) => Of(CanonicalJson.Text(what))[..IdLength];

    /// <summary>Whether a text has the form of a hash.</summary>
    public static bool IsHash(string text) => text.Length == Length && !text.AsSpan().ContainsAnyExcept(Digits);
}
