using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Reads a <c>parameters</c> object, whose values are strings, numbers or booleans.</summary>
internal static class JsonParameters
{
    /// <summary>Reads the object at which the reader is positioned.</summary>
    /// <param name="reader">Positioned at the opening brace.</param>
    /// <param name="owner">What the parameters belong to, for error messages.</param>
    /// <param name="limits">What is too large.</param>
    /// <returns>Strings, booleans, longs and doubles by name.</returns>
    public static Dictionary<string, object> Read(ref Utf8JsonReader reader, string owner, ProtocolLimits limits)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Invalid($"the parameters of {owner} are not an object");
        var parameters = new Dictionary<string, object>(StringComparer.Ordinal);
        var keys = new JsonKeys($"the parameters of {owner}");
        while (keys.Next(ref reader))
        {
            if (parameters.Count == limits.Parameters)
                throw new RequestRefusedException(
                    RefusalKind.TooLarge,
                    $"{owner} has more than {limits.Parameters} parameters"
                );
            limits.CheckText(keys.Current, "the name of a parameter");
            parameters.Add(keys.Current, Value(ref reader, keys.Current, limits));
        }

        return parameters;
    }

    /// <summary>A boolean parameter; null if it is absent.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="name">Name of the parameter.</param>
    /// <param name="owner">What the parameters belong to, for error messages.</param>
    public static bool? Flag(IReadOnlyDictionary<string, object> parameters, string name, string owner)
    {
        if (!parameters.TryGetValue(name, out var value))
            return null;
        return value as bool? ?? throw Invalid($"the parameter {name} of {owner} is neither true nor false");
    }

    /// <summary>
    /// A parameter's value; a number becomes a long if it is an integer that fits, otherwise a double.
    /// </summary>
    /// <param name="reader">Positioned at the value.</param>
    /// <param name="name">Name of the parameter.</param>
    /// <param name="limits">Limits on the request, among them the length of strings.</param>
    private static object Value(ref Utf8JsonReader reader, string name, ProtocolLimits limits) =>
        reader.TokenType switch
        {
            JsonTokenType.String => limits.CheckText(reader.GetString()!, $"the parameter '{JsonText.Short(name)}'"),
            JsonTokenType.True => true,
            JsonTokenType.False => false,
            JsonTokenType.Number when reader.TryGetInt64(out var whole) => whole,
            JsonTokenType.Number when reader.TryGetDouble(out var real) && double.IsFinite(real) => real,
            _ => throw Invalid($"the parameter '{JsonText.Short(name)}' is neither a string, a number nor a boolean"),
        };
}
