using System.Security.Cryptography;
using System.Text;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Compares keys in a time that does not depend on them: both sides are hashed first.
/// </summary>
internal sealed class ApiKey(ModelServerOptions options)
{
    private readonly byte[]? expected = string.IsNullOrEmpty(options.ApiKey)
        ? null
        : SHA256.HashData(Encoding.UTF8.GetBytes(options.ApiKey));

    /// <summary>Whether requests must carry one.</summary>
    public bool IsRequired => expected is not null;

    /// <summary>Whether a request may come in.</summary>
    /// <param name="authorization">Its header Authorization: <c>Bearer KEY</c>, or <c>Basic</c> with the key as
    /// password, as browsers ask for it.</param>
    /// <param name="apiKey">Its header X-Api-Key.</param>
    public bool Allows(string? authorization, string? apiKey)
    {
        if (expected is null)
            return true;
        var given = apiKey ?? FromAuthorization(authorization ?? "");
        return given is not null
            && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), expected);
    }

    /// <summary>The key in a header Authorization; null where it holds none.</summary>
    /// <param name="header">The value of Authorization.</param>
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
