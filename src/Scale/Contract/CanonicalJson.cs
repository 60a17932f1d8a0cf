// Equal values get equal text: members are sorted by name (ordinal), there is no white space, every number has the
// shortest form that parses to the same double, and strings are escaped only where JSON requires it. So settings that
// are written in a different order, or with 0.10 for 0.1, get the same hash. The form follows RFC 8785, except that
// numbers are formatted by .NET's "R".
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TorchBridge.Scale.Contract;

/// <summary>Writes JSON in a canonical form: equal values give equal text.</summary>
internal static class CanonicalJson
{
    private static readonly JsonSerializerOptions Texts = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The canonical text of a value.</summary>
    /// <exception cref="FormatException">A number is not finite, or an object has two members of the same
    /// name.</exception>
    public static string Text(JsonNode? node)
    {
        var text = new StringBuilder();
        Append(text, node);
        return text.ToString();
    }

    private static void Append(StringBuilder text, JsonNode? node)
    {
        switch (node)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject members:
                AppendMembers(text, members);
                break;
            case JsonArray items:
                text.Append('[');
                for (var i = 0; i < items.Count; i++)
                {
                    if (i > 0)
                        text.Append(',');
                    Append(text, items[i]);
                }

                text.Append(']');
                break;
            case JsonValue value:
                text.Append(Scalar(value));
                break;
        }
    }

    private static void AppendMembers(StringBuilder text, JsonObject members)
    {
        KeyValuePair<string, JsonNode?>[] sorted;
        try
        {
            sorted = [.. members.OrderBy(member => member.Key, StringComparer.Ordinal)];
        }
        catch (ArgumentException error)
        {
            throw new FormatException($"an object has two members of the same name: {error.Message}", error);
        }

        text.Append('{');
        for (var i = 0; i < sorted.Length; i++)
        {
            if (i > 0)
                text.Append(',');
            text.Append(JsonSerializer.Serialize(sorted[i].Key, Texts)).Append(':');
            Append(text, sorted[i].Value);
        }

        text.Append('}');
    }

    private static string Scalar(JsonValue value) =>
        value.GetValueKind() switch
        {
            JsonValueKind.Number => Number(value),
            JsonValueKind.String => JsonSerializer.Serialize(value.GetValue<string>(), Texts),
            _ => value.ToJsonString(),
        };

    private static string Number(JsonValue value)
    {
        var written = value.ToJsonString();
        // Integers of up to 64 bits keep every digit: a double would round a seed above 2^53.
        if (long.TryParse(written, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole))
            return whole.ToString(CultureInfo.InvariantCulture);
        var number = double.Parse(written, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (!double.IsFinite(number))
            throw new FormatException($"the number {written} is outside the range of a double");
        return number == Math.Floor(number) && Math.Abs(number) < 1e15
            ? ((long)number).ToString(CultureInfo.InvariantCulture)
            : number.ToString("R", CultureInfo.InvariantCulture);
    }
}
