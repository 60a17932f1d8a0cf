using System.CommandLine;
using System.CommandLine.Parsing;

namespace TorchBridge.Training.Commands;

/// <summary>Checks that apply to the command line of every command, reported before any work begins.</summary>
internal static class CommandLineFaults
{
    /// <summary>All faults, one sentence each; empty if there are none.</summary>
    /// <param name="parsed">The command line.</param>
    public static IEnumerable<string> Of(ParseResult parsed)
    {
        // A request for help does not need the command's required options.
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

    /// <summary>The library's message in one line, including the allowed values, after the name of the
    /// option.</summary>
    /// <param name="error">The library's error.</param>
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
        // Usually an unset variable in a script.
        if (name is not null && result.Tokens.Any(token => string.IsNullOrWhiteSpace(token.Value)))
            return $"{name} has an empty value. Give it a value, or omit it.";
        return result is OptionResult { Option: OutputFileOption file, Tokens: [{ Value: var path }] }
            ? file.Fault(path)
            : null;
    }
}
