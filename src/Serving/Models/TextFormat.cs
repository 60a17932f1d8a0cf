// What it does: reads protobuf's text format, in which Triton's config.pbtxt is written: `field: value`, `field { …
// }`, `field [ … ]`, separated by nothing, commas or semicolons; strings in either quotes, with C's escapes, pieces
// side by side; # begins a comment. The .NET library of protobuf reads JSON and the wire format, but not this.
using System.Text;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Reads a message in protobuf's text format: field names with their values, texts and messages, in their order.
/// </summary>
internal sealed class TextFormat
{
    /// <summary>
    /// Most messages inside each other: a file of nothing but brackets must not overflow the stack.
    /// </summary>
    private const int MostLevels = 32;

    /// <summary>The whole file.</summary>
    private readonly string text;

    /// <summary>The character that is read next.</summary>
    private int at;

    /// <summary>Begins at the start of a text.</summary>
    /// <param name="text">All of the file.</param>
    private TextFormat(string text) => this.text = text;

    /// <summary>Reads a message.</summary>
    /// <param name="text">The whole file.</param>
    /// <exception cref="FormatException">It is none; the message says at which line.</exception>
    public static TextMessage Read(string text)
    {
        var reader = new TextFormat(text);
        var message = reader.ReadFields('\0', 0);
        return reader.at == text.Length ? message : throw reader.Error("something that is no field");
    }

    /// <summary>Fields up to the closing bracket, or to the end of the text.</summary>
    /// <param name="end">What ends the message: a brace, or the text's end.</param>
    /// <param name="level">How deep it lies.</param>
    private TextMessage ReadFields(char end, int level)
    {
        if (level > MostLevels)
            throw Error("messages nested too deep");
        var message = new TextMessage();
        while (true)
        {
            SkipSpace();
            while (at < text.Length && text[at] is ',' or ';')
                Advance();
            if (at == text.Length)
                return end == '\0' ? message : throw Error($"no '{end}' at its end");
            if (text[at] == end)
            {
                Advance();
                return message;
            }

            var name = ReadWord("a field's name");
            var hasColon = at < text.Length && text[at] == ':';
            if (hasColon)
                Advance();
            if (at < text.Length && text[at] == '[')
                ReadList(message, name, level);
            else
                message.Add(name, ReadValue(level, hasColon));
        }
    }

    /// <summary>A field's values in square brackets.</summary>
    /// <param name="message">Receives each of its values.</param>
    /// <param name="name">The field.</param>
    /// <param name="level">How deep it lies.</param>
    private void ReadList(TextMessage message, string name, int level)
    {
        Advance();
        while (at < text.Length && text[at] != ']')
        {
            message.Add(name, ReadValue(level, hasColon: true));
            if (at < text.Length && text[at] == ',')
                Advance();
        }

        if (at == text.Length)
            throw Error("no ']' at a list's end");
        Advance();
    }

    /// <summary>A text, a word or number, or a message.</summary>
    /// <param name="level">How deep it lies.</param>
    /// <param name="hasColon">Whether a colon stood before it; only a message may do without.</param>
    private object ReadValue(int level, bool hasColon)
    {
        if (at == text.Length)
            throw Error("no value");
        switch (text[at])
        {
            case '{':
                Advance();
                return ReadFields('}', level + 1);
            case '<':
                Advance();
                return ReadFields('>', level + 1);
            case '"' or '\'' when hasColon:
                var pieces = new StringBuilder();
                while (at < text.Length && text[at] is '"' or '\'')
                    ReadString(pieces);
                return pieces.ToString();
            default:
                return hasColon ? ReadWord("a value") : throw Error("no ':' before a value");
        }
    }

    /// <summary>A name, number or word.</summary>
    /// <param name="what">What is expected, for an error.</param>
    private string ReadWord(string what)
    {
        var start = at;
        while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] is '_' or '.' or '-' or '+'))
            at++;
        if (at == start)
            throw Error($"'{text[at]}' where {what} should be");
        var word = text[start..at];
        SkipSpace();
        return word;
    }

    /// <summary>A quoted piece of a string.</summary>
    /// <param name="target">Receives the text between the quotes.</param>
    private void ReadString(StringBuilder target)
    {
        var quote = text[at++];
        while (at < text.Length && text[at] != quote)
        {
            if (text[at] == '\n')
                throw Error("a string that ends with its line");
            if (text[at] != '\\')
            {
                target.Append(text[at++]);
                continue;
            }

            if (++at == text.Length)
                break;
            target.Append(ReadEscape());
        }

        if (at == text.Length)
            throw Error("a string that does not end");
        Advance();
    }

    /// <summary>
    /// A character behind a backslash: a letter of C's, or an octal or hexadecimal number.
    /// </summary>
    private char ReadEscape()
    {
        var letter = text[at++];
        const string letters = "nrtabfv\\'\"?",
            meanings = "\n\r\t\a\b\f\v\\'\"?";
        if (letters.IndexOf(letter, StringComparison.Ordinal) is >= 0 and var index)
            return meanings[index];
        var (radix, digits) = letter is 'x' or 'X' ? (16, 2) : (8, 3);
        if (radix == 8)
            at--;
        int value = 0,
            count = 0;
        for (
            ;
            count < digits && at < text.Length && Digit(text[at]) is var digit && digit >= 0 && digit < radix;
            count++, at++
        )
            value = (value * radix) + digit;
        return count > 0 ? (char)value : throw Error($"the escape '\\{letter}'");
    }

    /// <summary>A hexadecimal digit's value; -1 for what is none.</summary>
    /// <param name="letter">Any.</param>
    private static int Digit(char letter) => char.IsAsciiHexDigit(letter) ? Convert.ToInt32(letter.ToString(), 16) : -1;

    /// <summary>Goes over one character, and the space behind it.</summary>
    private void Advance()
    {
        at++;
        SkipSpace();
    }

    /// <summary>Goes over space and comments.</summary>
    private void SkipSpace()
    {
        while (at < text.Length)
        {
            if (text[at] == '#')
                while (at < text.Length && text[at] != '\n')
                    at++;
            else if (char.IsWhiteSpace(text[at]))
                at++;
            else
                return;
        }
    }

    /// <summary>A refusal that names the line.</summary>
    /// <param name="what">What is wrong, at the place where reading stands.</param>
    private FormatException Error(string what) =>
        new($"line {text.AsSpan(0, Math.Min(at, text.Length)).Count('\n') + 1}: {what}");
}
