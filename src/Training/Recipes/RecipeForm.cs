using System.Reflection;
using System.Text.Json;
using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>
/// Looks at a recipe's JSON before it is read: a misspelt, doubled or empty key must not pass as a default, and a
/// value of another kind is told by its name and with what is allowed.
/// </summary>
internal static class RecipeForm
{
    private const string Source = "the file";

    /// <summary>Checks an object against a record.</summary>
    /// <param name="json">What was read.</param>
    /// <param name="record">What it is going to be.</param>
    /// <param name="source">What to call it in an error.</param>
    /// <exception cref="UserException">A key or a value is not one of the record's.</exception>
    public static void Check(JsonElement json, Type record, string source) => CheckObject(json, record, source, Source);

    /// <summary>
    /// Every key must be a property, and be there once; values are looked at in turn.
    /// </summary>
    /// <param name="json">The object.</param>
    /// <param name="record">The type whose properties its keys name.</param>
    /// <param name="source">The file, for an error.</param>
    /// <param name="name">Where the object stands in it.</param>
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
                throw new UserException($"{source}: {member.Name} is there twice in {name}; give one of them.");
            if (member.Value.ValueKind == JsonValueKind.Null)
                throw new UserException($"{source}: {member.Name} is null; leave it out, or give its value.");
            CheckValue(member.Value, property, source, member.Name);
        }
    }

    /// <summary>The value must be of the property's kind.</summary>
    /// <param name="json">The value.</param>
    /// <param name="property">What it is for.</param>
    /// <param name="source">The file, for an error.</param>
    /// <param name="name">Where it stands.</param>
    /// <exception cref="UserException">It is of another kind.</exception>
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

    /// <summary>The value as it stands in the file, cut where it is long.</summary>
    /// <param name="json">The value.</param>
    private static string Shown(JsonElement json)
    {
        const int longest = 60;
        var text = json.ValueKind == JsonValueKind.String ? json.GetString()! : json.GetRawText();
        text = string.Concat(text.Select(letter => char.IsControl(letter) ? ' ' : letter));
        return text.Length > longest ? $"{text[..longest]}…" : text;
    }
}
