using System.Security.Cryptography;
using System.Text;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Checks the key of a request. Both keys are hashed before they are compared, so that the time taken reveals nothing
/// about them.
/// </summary>
internal sealed class ApiKey(ModelServerOptions options)
{
    /// <summary>Error message for a request without the right key.</summary>
    public const string Missing =
        "this server requires a key: send it as Authorization: Bearer KEY, or as X-Api-Key: KEY";

    private readonly byte[]? expected = string.IsNullOrEmpty(options.ApiKey)
        ? null
        : SHA256.HashData(Encoding.UTF8.GetBytes(options.ApiKey));

    /// <summary>Whether requests must present a key.</summary>
    public bool IsRequired => expected is not null;

    /// <summary>Whether a request presents the right key, or none is required.</summary>
    /// <param name="authorization">The request's Authorization header: <c>Bearer KEY</c>, or <c>Basic</c> with the
    /// key as password, which is what browsers send.</param>
    /// <param name="apiKey">The request's X-Api-Key header.</param>
    public bool Allows(string? authorization, string? apiKey)
    {
        if (expected is null)
            return true;
        var given = apiKey ?? FromAuthorization(authorization ?? "");
        return given is not null
            && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), expected);
    }

    /// <summary>The key in an Authorization header; null if it holds none.</summary>
    /// <param name="header">The header's value.</param>
    private static string? FromAuthorization(string header)
    {
        const string bearer = "Bearer ",
            basic = "Basic ";
        if (header.StartsWith(bearer, StringComparison.OrdinalIgnoreCase))
            return header[bearer.Length..].Trim();
        if (!header.StartsWith(basic, StringComparison.OrdinalIgnoreCase))
            return null;
        var bytes = new byte[header.Length];
        if (!Convert.TryFromBase64String(header[basic.Length..].Trim(), bytes, out var written))
            return null;
        var pair = Encoding.UTF8.GetString(bytes, 0, written);
        return pair.IndexOf(':', StringComparison.Ordinal) is >= 0 and var colon ? pair[(colon + 1)..] : null;
    }
}
