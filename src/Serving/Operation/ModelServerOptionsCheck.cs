using Microsoft.Extensions.Options;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Checks what the attributes of the options cannot: combinations of options, existing folders, and the form of keys
/// and origins.
/// </summary>
internal sealed class ModelServerOptionsCheck : IValidateOptions<ModelServerOptions>
{
    /// <summary>Minimum length of a key in characters; shorter keys could be guessed.</summary>
    private const int LeastKeyLength = 16;

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, ModelServerOptions options)
    {
        var errors = new List<string>();
        if (!Directory.Exists(options.Models))
            errors.Add(
                $"Models: there is no folder {Path.GetFullPath(options.Models)}. "
                    + "Train a model first, or set --models to its folder."
            );
        if (options.MaxRequestBytes > options.MaxBytesInFlight)
            errors.Add(
                $"MaxRequestBytes ({options.MaxRequestBytes}) must not be larger than "
                    + $"MaxBytesInFlight ({options.MaxBytesInFlight})."
            );
        if (options.ApiKey is { Length: < LeastKeyLength })
            errors.Add($"ApiKey has {options.ApiKey.Length} characters; at least {LeastKeyLength} are required.");
        foreach (var origin in OriginsOf(options))
        {
            if (
                !Uri.TryCreate(origin, UriKind.Absolute, out var uri)
                || uri.Scheme is not ("http" or "https")
                || uri.GetLeftPart(UriPartial.Authority) != origin.TrimEnd('/')
            )
                errors.Add(
                    $"AllowedOrigins: '{origin}' is not an origin such as https://example.org; '*' is not accepted."
                );
        }

        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }

    /// <summary>The origins listed in the options.</summary>
    /// <param name="options">The server's options.</param>
    public static string[] OriginsOf(ModelServerOptions options) =>
        options.AllowedOrigins?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        ?? [];
}
