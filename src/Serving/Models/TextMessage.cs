namespace TorchBridge.Serving.Models;

/// <summary>
/// Fields of a message in text format, in their order; a field may be there several times.
/// </summary>
internal sealed class TextMessage
{
    /// <summary>Each a text or a message, in the file's order.</summary>
    private readonly List<(string Name, object Value)> fields = [];

    /// <summary>Names of the fields that are there.</summary>
    public IEnumerable<string> Names => fields.Select(item => item.Name).Distinct(StringComparer.Ordinal);

    /// <summary>Adds a field.</summary>
    /// <param name="name">The field.</param>
    /// <param name="value">A text, or a message.</param>
    public void Add(string name, object value) => fields.Add((name, value));

    /// <summary>Messages of a repeated field.</summary>
    /// <param name="name">The field.</param>
    /// <exception cref="FormatException">It holds something else.</exception>
    public IEnumerable<TextMessage> Messages(string name) =>
        All(name).Select(value => value as TextMessage ?? throw new FormatException($"`{name}` is not a message"));

    /// <summary>The message of a field that is there once; null where it is not.</summary>
    /// <param name="name">The field.</param>
    /// <exception cref="FormatException">It is given more than once, or is a text.</exception>
    public TextMessage? Message(string name) =>
        One(name) switch
        {
            null => null,
            TextMessage message => message,
            _ => throw new FormatException($"`{name}` is not a message"),
        };

    /// <summary>The text of a field that is there once; null where it is not.</summary>
    /// <param name="name">The field.</param>
    /// <exception cref="FormatException">It is given more than once, or is a message.</exception>
    public string? Text(string name) =>
        One(name) switch
        {
            null => null,
            string text => text,
            _ => throw new FormatException($"`{name}` is a message"),
        };

    /// <summary>The number of a field that is there once; null where it is not.</summary>
    /// <param name="name">The field.</param>
    /// <exception cref="FormatException">It is given more than once, or is no whole number.</exception>
    public long? Number(string name) => Text(name) is { } text ? ToNumber(name, text) : null;

    /// <summary>Numbers of a repeated field.</summary>
    /// <param name="name">The field.</param>
    /// <exception cref="FormatException">One of them is no whole number.</exception>
    public IEnumerable<long> Numbers(string name) =>
        All(name)
            .Select(value => ToNumber(name, value as string ?? throw new FormatException($"`{name}` is a message")));

    /// <summary>Every value of a field, in order.</summary>
    /// <param name="name">The field.</param>
    private IEnumerable<object> All(string name) => fields.Where(item => item.Name == name).Select(item => item.Value);

    /// <summary>The value of a field that is there once at most.</summary>
    /// <param name="name">A field that may stand once.</param>
    private object? One(string name) =>
        All(name).ToArray() switch
        {
            [] => null,
            [var value] => value,
            _ => throw new FormatException($"`{name}` is given more than once"),
        };

    /// <summary>A whole number of 64 bits.</summary>
    /// <param name="name">The field, for an error.</param>
    /// <param name="text">Digits.</param>
    private static long ToNumber(string name, string text) =>
        long.TryParse(
            text,
            System.Globalization.NumberStyles.AllowLeadingSign,
            System.Globalization.CultureInfo.InvariantCulture,
            out var number
        )
            ? number
            : throw new FormatException($"`{name}` is '{text}', and should be a whole number");
}
