using System.Reflection;
using System.Text.Json;
using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>
/// Validates a recipe's JSON before it is read: a misspelt, duplicate or empty key must not silently become a
/// default, and a value of the wrong kind is reported with its name and the allowed values.
/// </summary>
internal static class RecipeForm
{
    private const string Source = "the file";

    /// <summary>Checks an object against a record.</summary>
    /// <param name="json">The JSON.</param>
    /// <param name="record">Type of the record.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <exception cref="UserException">A key or a value does not fit the record.</exception>
    public static void Check(JsonElement json, Type record, string source) => CheckObject(json, record, source, Source);

    /// <summary>
    /// Checks that every key is a property and occurs once, and then the values.
    /// </summary>
    /// <param name="json">The object.</param>
    /// <param name="record">The type whose properties its keys name.</param>
    /// <param name="source">The file, for error messages.</param>
    /// <param name="name">Name of the object in the file.</param>
    private static void CheckObject(JsonElement json, Type record, string source, string name)
    {
        if (json.ValueKind != JsonValueKind.Object)
            throw new UserException($"{source}: {name} is {Shown(json)}; allowed is an object, {{ … }}.");
        var known = ConfigurationRanges
            .PropertiesOf(record)
            .ToDictionary(
                property => JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name),
                StringComparer.Ordinal
            );
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var member in json.EnumerateObject())
        {
            if (!known.TryGetValue(member.Name, out var property))
                throw new UserException(
                    $"{source}: {member.Name} is unknown in {name}; allowed is {string.Join(", ", known.Keys)}."
                );
            if (!seen.Add(member.Name))
                throw new UserException($"{source}: {member.Name} occurs twice in {name}; remove one of them.");
            if (member.Value.ValueKind == JsonValueKind.Null)
                throw new UserException($"{source}: {member.Name} is null; omit it, or give its value.");
            CheckValue(member.Value, property, source, member.Name);
        }
    }

    /// <summary>Checks that a value fits the property's type.</summary>
    /// <param name="json">The value.</param>
    /// <param name="property">The property.</param>
    /// <param name="source">The file, for error messages.</param>
    /// <param name="name">Name of the value in the file.</param>
    /// <exception cref="UserException">It has another type.</exception>
    private static void CheckValue(JsonElement json, PropertyInfo property, string source, string name)
    {
        var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        var allowed = property.GetCustomAttribute<AllowedAttribute>();
        if (ConfigurationRanges.IsRecord(type))
            CheckObject(json, type, source, name);
        else if (type.IsEnum)
        {
            var names = ConfigurationRanges.NamesOf(type).ToArray();
            Require(
                json.ValueKind == JsonValueKind.String && names.Contains(json.GetString()),
                string.Join(", ", names)
            );
        }
        else if (type == typeof(int))
            Require(json.ValueKind == JsonValueKind.Number && json.TryGetInt32(out _), $"a whole number, {allowed}");
        else if (type == typeof(double))
            Require(json.ValueKind == JsonValueKind.Number, $"a number, {allowed}");
        else if (type == typeof(bool))
            Require(json.ValueKind is JsonValueKind.True or JsonValueKind.False, "true or false");
        else
            Require(json.ValueKind == JsonValueKind.String, "a text");

        void Require(bool isRight, string what)
        {
            if (!isRight)
                throw new UserException($"{source}: {name} is {Shown(json)}; allowed is {what}.");
        }
    }

    /// <summary>The value as it is written in the file, truncated if it is long.</summary>
    /// <param name="json">The value.</param>
    private static string Shown(JsonElement json)
    {
        const int longest = 60;
        var text = json.ValueKind == JsonValueKind.String ? json.GetString()! : json.GetRawText();
        text = string.Concat(text.Select(letter => char.IsControl(letter) ? ' ' : letter));
        return text.Length > longest ? $"{text[..longest]}…" : text;
    }
}
