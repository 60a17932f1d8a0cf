using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using TorchBridge.Onnx;

namespace TorchBridge.Training.Artifacts;

/// <summary>The JSON format of this program: indented, snake_case, enums as strings, readable numbers.</summary>
internal static class Json
{
    /// <summary>
    /// The options for all JSON that the program writes and reads; unknown names in a file are refused by its reader.
    /// </summary>
    public static JsonSerializerOptions Options { get; } =
        new()
        {
            WriteIndented = true,
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower), new ReadableNumbers() },
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        };

    /// <summary>For NaN and the infinities, which are written as strings.</summary>
    private static JsonSerializerOptions Named { get; } =
        new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>A value as indented JSON, without a trailing line break.</summary>
    /// <typeparam name="T">Type of the value.</typeparam>
    /// <param name="value">A record of this program.</param>
    public static string Text<T>(T value) => JsonSerializer.Serialize(value, Options);

    /// <summary>Writes 9.5e-7 instead of 9.5E-07, because reports show these texts.</summary>
    private sealed class ReadableNumbers : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String
                ? JsonSerializer.Deserialize<double>(ref reader, Named)
                : reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value))
                writer.WriteRawValue(Numbers.Exact(value));
            else
                JsonSerializer.Serialize(writer, value, Named);
        }
    }
}
