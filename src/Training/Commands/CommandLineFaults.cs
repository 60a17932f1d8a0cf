using System.CommandLine;
using System.CommandLine.Parsing;

namespace TorchBridge.Training.Commands;

/// <summary>What is wrong with a command line whatever the command: told before anything is begun.</summary>
internal static class CommandLineFaults
{
    /// <summary>Everything that is wrong, a sentence each; empty where nothing is.</summary>
    /// <param name="parsed">The command line.</param>
    public static IEnumerable<string> Of(ParseResult parsed)
    {
        // Whoever asks how a command is used has not given yet what it needs.
        if (parsed.Action is GroupedHelp)
            yield break;
        foreach (var error in parsed.Errors)
            yield return InOneLine(error);
        for (SymbolResult? place = parsed.CommandResult; place is not null; place = place.Parent)
        {
            foreach (var fault in Results(place).Select(Fault).OfType<string>())
                yield return fault;
        }
    }

    /// <summary>The library's words: the allowed values in one line, behind the option that they are allowed
    /// for.</summary>
    /// <param name="error">What the library found.</param>
    private static string InOneLine(ParseError error)
    {
        var lines = error.Message.Split(['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries);
        var text = lines.Length > 1 ? $"{lines[0]} {string.Join(", ", lines[1..])}." : lines[0];
        var name = (error.SymbolResult as OptionResult)?.Option.Name;
        return name is null || text.Contains(name, StringComparison.Ordinal) ? text : $"{name}: {text}";
    }

    private static IEnumerable<SymbolResult> Results(SymbolResult place) =>
        place is CommandResult command ? command.Children : [];

    private static string? Fault(SymbolResult result)
    {
        var name = result switch
        {
            OptionResult option => option.Option.Name,
            ArgumentResult argument => argument.Argument.Name,
            _ => null,
        };
        // A variable of a script that is not set, mostly.
        if (name is not null && result.Tokens.Any(token => string.IsNullOrWhiteSpace(token.Value)))
            return $"{name} is given an empty value. Give it one, or leave it out.";
        return result is OptionResult { Option: OutputFileOption file, Tokens: [{ Value: var path }] }
            ? file.Fault(path)
            : null;
    }
}
