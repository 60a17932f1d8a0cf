namespace TorchBridge.Serving.Models;

/// <summary>
/// A message read from protobuf's text format: its fields in their order. A field may occur several times.
/// </summary>
internal sealed class TextMessage
{
    /// <summary>The fields in the file's order; each value is a string or a <see cref="TextMessage"/>.</summary>
    private readonly List<(string Name, object Value)> fields = [];

    /// <summary>Names of the fields that occur.</summary>
    public IEnumerable<string> Names => fields.Select(item => item.Name).Distinct(StringComparer.Ordinal);

    /// <summary>Adds a field.</summary>
    /// <param name="name">Name of the field.</param>
    /// <param name="value">A string or a <see cref="TextMessage"/>.</param>
    public void Add(string name, object value) => fields.Add((name, value));

    /// <summary>All messages of a repeated field.</summary>
    /// <param name="name">Name of the field.</param>
    /// <exception cref="FormatException">The field holds something else.</exception>
    public IEnumerable<TextMessage> Messages(string name) =>
        All(name).Select(value => value as TextMessage ?? throw new FormatException($"`{name}` is not a message"));

    /// <summary>The message of a field that may occur once; null if it is absent.</summary>
    /// <param name="name">Name of the field.</param>
    /// <exception cref="FormatException">The field is given more than once, or is not a message.</exception>
    public TextMessage? Message(string name) =>
        One(name) switch
        {
            null => null,
            TextMessage message => message,
            _ => throw new FormatException($"`{name}` is not a message"),
        };

    /// <summary>The text of a field that may occur once; null if it is absent.</summary>
    /// <param name="name">Name of the field.</param>
    /// <exception cref="FormatException">The field is given more than once, or is a message.</exception>
    public string? Text(string name) =>
        One(name) switch
        {
            null => null,
            string text => text,
            _ => throw new FormatException($"`{name}` is a message"),
        };

    /// <summary>The integer of a field that may occur once; null if it is absent.</summary>
    /// <param name="name">Name of the field.</param>
    /// <exception cref="FormatException">The field is given more than once, or is not a 64-bit integer.</exception>
    public long? Number(string name) => Text(name) is { } text ? ToNumber(name, text) : null;

    /// <summary>All integers of a repeated field.</summary>
    /// <param name="name">Name of the field.</param>
    /// <exception cref="FormatException">A value is not a 64-bit integer.</exception>
    public IEnumerable<long> Numbers(string name) =>
        All(name)
            .Select(value => ToNumber(name, value as string ?? throw new FormatException($"`{name}` is a message")));

    /// <summary>All values of a field, in order.</summary>
    /// <param name="name">Name of the field.</param>
    private IEnumerable<object> All(string name) => fields.Where(item => item.Name == name).Select(item => item.Value);

    /// <summary>The value of a field that may occur once; null if it is absent.</summary>
    /// <param name="name">Name of the field.</param>
    private object? One(string name) =>
        All(name).ToArray() switch
        {
            [] => null,
            [var value] => value,
            _ => throw new FormatException($"`{name}` is given more than once"),
        };

    /// <summary>Converts a text to a 64-bit integer.</summary>
    /// <param name="name">Name of the field, for error messages.</param>
    /// <param name="text">The text in the file.</param>
    private static long ToNumber(string name, string text) =>
        long.TryParse(
            text,
            System.Globalization.NumberStyles.AllowLeadingSign,
            System.Globalization.CultureInfo.InvariantCulture,
            out var number
        )
            ? number
            : throw new FormatException($"`{name}` is '{text}'; a whole number is required");
}
