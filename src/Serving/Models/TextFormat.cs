// Triton's config.pbtxt is written in protobuf's text format, which the .NET library of protobuf cannot read (only
// JSON and the wire format). The rules of the text format:
//   fields are `name: value`, `name { ... }` or `name: [ ... ]`, separated by nothing, commas or semicolons;
//   strings have single or double quotes and C's escapes, and adjacent strings are joined;
//   # begins a comment.
using System.Text;

namespace TorchBridge.Serving.Models;

/// <summary>Parser for messages in protobuf's text format.</summary>
internal sealed class TextFormat
{
    /// <summary>
    /// Maximum nesting depth of messages, so that a file full of brackets cannot overflow the stack.
    /// </summary>
    private const int MostLevels = 32;

    /// <summary>The whole file.</summary>
    private readonly string text;

    /// <summary>Position of the next character to read.</summary>
    private int at;

    /// <summary>Creates a parser at the start of a text.</summary>
    /// <param name="text">The whole file.</param>
    private TextFormat(string text) => this.text = text;

    /// <summary>Reads a message.</summary>
    /// <param name="text">The whole file.</param>
    /// <exception cref="FormatException">The text is not a message; the error names the line.</exception>
    public static TextMessage Read(string text)
    {
        var reader = new TextFormat(text);
        var message = reader.ReadFields('\0', 0);
        return reader.at == text.Length ? message : throw reader.Error("a field was expected here");
    }

    /// <summary>Reads fields up to the closing bracket, or to the end of the text.</summary>
    /// <param name="end">The closing bracket, or '\0' for the end of the text.</param>
    /// <param name="level">Nesting depth.</param>
    private TextMessage ReadFields(char end, int level)
    {
        if (level > MostLevels)
            throw Error($"messages are nested more than {MostLevels} levels deep");
        var message = new TextMessage();
        while (true)
        {
            SkipSpace();
            while (at < text.Length && text[at] is ',' or ';')
                Advance();
            if (at == text.Length)
                return end == '\0' ? message : throw Error($"a message does not end with '{end}'");
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

    /// <summary>Reads a field's values in square brackets.</summary>
    /// <param name="message">Receives the values.</param>
    /// <param name="name">Name of the field.</param>
    /// <param name="level">Nesting depth.</param>
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
            throw Error("a list does not end with ']'");
        Advance();
    }

    /// <summary>Reads a string, a word or number, or a message.</summary>
    /// <param name="level">Nesting depth.</param>
    /// <param name="hasColon">Whether a colon precedes the value; only a message may go without.</param>
    private object ReadValue(int level, bool hasColon)
    {
        if (at == text.Length)
            throw Error("a value is missing");
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
                return hasColon ? ReadWord("a value") : throw Error("':' is missing before a value");
        }
    }

    /// <summary>Reads a name, number or word.</summary>
    /// <param name="what">What is expected here, for error messages.</param>
    private string ReadWord(string what)
    {
        var start = at;
        while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] is '_' or '.' or '-' or '+'))
            at++;
        if (at == start)
            throw Error($"found '{text[at]}' where {what} should be");
        var word = text[start..at];
        SkipSpace();
        return word;
    }

    /// <summary>Reads a quoted piece of a string.</summary>
    /// <param name="target">Receives the text between the quotes.</param>
    private void ReadString(StringBuilder target)
    {
        var quote = text[at++];
        while (at < text.Length && text[at] != quote)
        {
            if (text[at] == '\n')
                throw Error("a string does not end on its line");
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
            throw Error("a string does not end");
        Advance();
    }

    /// <summary>Reads an escape after its backslash: a letter as in C, or an octal or hexadecimal number.</summary>
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
        return count > 0 ? (char)value : throw Error($"the escape '\\{letter}' is not known");
    }

    /// <summary>The value of a hexadecimal digit; -1 for any other character.</summary>
    /// <param name="letter">Any character.</param>
    private static int Digit(char letter) => char.IsAsciiHexDigit(letter) ? Convert.ToInt32(letter.ToString(), 16) : -1;

    /// <summary>Skips one character and the space after it.</summary>
    private void Advance()
    {
        at++;
        SkipSpace();
    }

    /// <summary>Skips space and comments.</summary>
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

    /// <summary>An exception that names the current line.</summary>
    /// <param name="what">What is wrong at the current position.</param>
    private FormatException Error(string what) =>
        new($"line {text.AsSpan(0, Math.Min(at, text.Length)).Count('\n') + 1}: {what}");
}
