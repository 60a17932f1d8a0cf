using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Text;

namespace TorchBridge.Training.Commands;

/// <summary>
/// Formats the help of every command within 80 columns; the fifty options of <c>train</c> are grouped, the most used
/// ones first.
/// </summary>
internal sealed class GroupedHelp : SynchronousCommandLineAction
{
    /// <summary>Line width in columns, which every terminal has.</summary>
    public const int Width = 80;

    /// <summary>Column at which descriptions start; a longer name gets a separate line.</summary>
    private const int Column = 26;

    /// <summary>The group of all options that no other group lists, so that a new recipe option needs no entry
    /// here.</summary>
    private const string Rest = "Recipe values (each overrides one value of --recipe)";

    /// <summary>The option groups of <c>train</c>, in order.</summary>
    private static readonly (string Title, string[] Names)[] Groups =
    [
        ("Most used", ["--data", "--recipe", "--epochs", "--out"]),
        ("Data", ["--size", "--antialias", "--orient", "--pictures", "--folds"]),
        (
            "Starting from trained weights, for your own photos",
            ["--weights", "--tune", "--views", "--head-epochs", "--layer-decay", "--freeze-norms"]
        ),
        (
            "Network",
            [
                "--network",
                "--width",
                "--form",
                "--width2",
                "--width3",
                "--norm",
                "--activation",
                "--init",
                "--dropout",
                "--dropout-kind",
                "--stochastic-depth",
            ]
        ),
        (Rest, []),
        ("Output and machine", ["--json", "--resume", "--seed", "--precision", "--threads", "--device"]),
    ];

    /// <summary>Replaces the library's help with this one, for the root command and every subcommand.</summary>
    /// <param name="root">The root command.</param>
    public static void Use(RootCommand root)
    {
        foreach (var help in root.Options.OfType<HelpOption>())
            help.Action = new GroupedHelp();
    }

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.Write(Of(parseResult.CommandResult.Command));
        return 0;
    }

    /// <summary>Formats the help of a command.</summary>
    /// <param name="command">The root command or a subcommand.</param>
    /// <returns>Lines of at most <see cref="Width"/> columns, except for words that are longer.</returns>
    public static string Of(Command command)
    {
        var text = new StringBuilder();
        foreach (var line in (command.Description ?? "").Split('\n'))
            Wrap(text, line, "", line.StartsWith("Example:", StringComparison.Ordinal) ? "  " : "");
        var arguments = command.Arguments.Where(argument => !argument.Hidden).ToArray();
        Wrap(text.Append('\n'), $"Usage: {Usage(command, arguments)}", "", "  ");
        var commands = command.Subcommands.Where(below => !below.Hidden).ToArray();
        if (commands.Length > 0)
            Title(text, "Commands (run a command with --help for its options)");
        foreach (var below in commands)
            Item(text, below.Name, (below.Description ?? "").Split('\n')[0]);
        if (arguments.Length > 0)
            Title(text, "Arguments");
        foreach (var argument in arguments)
            Item(text, $"<{argument.HelpName ?? argument.Name}>", argument.Description ?? "");
        foreach (var (title, options) in Grouped(OptionsOf(command)))
        {
            Title(text, title);
            foreach (var option in options)
                Item(text, Header(option), Description(option));
        }

        return text.ToString();
    }

    /// <summary>The options that a command accepts: its own and the recursive options of its parent
    /// commands.</summary>
    /// <param name="command">The command.</param>
    public static Option[] OptionsOf(Command command) =>
        [
            .. command
                .Options.Concat(Above(command).SelectMany(above => above.Options.Where(option => option.Recursive)))
                .Where(option => !option.Hidden),
        ];

    /// <summary>The parent commands of a command, the nearest first.</summary>
    /// <param name="command">The command.</param>
    private static IEnumerable<Command> Above(Command command)
    {
        for (
            var above = command.Parents.OfType<Command>().FirstOrDefault();
            above is not null;
            above = above.Parents.OfType<Command>().FirstOrDefault()
        )
            yield return above;
    }

    /// <summary>Options by group; a command without the most used options of <c>train</c> has a single
    /// group.</summary>
    /// <param name="options">Options of a command, in the order of their definition.</param>
    private static IEnumerable<(string Title, IEnumerable<Option> Options)> Grouped(Option[] options)
    {
        var own = options.Where(option => option is not (HelpOption or VersionOption)).ToArray();
        if (own.Length < 20 || !Groups[0].Names.All(name => own.Any(option => option.Name == name)))
            return [("Options", options)];
        var named = Groups.SelectMany(group => group.Names).ToHashSet(StringComparer.Ordinal);
        IEnumerable<(string Title, IEnumerable<Option> Options)> groups =
        [
            .. Groups.Select(group =>
                (
                    group.Title,
                    group.Title == Rest
                        ? own.Where(option => !named.Contains(option.Name))
                        : group.Names.SelectMany(name => own.Where(option => option.Name == name))
                )
            ),
            ("Help", options.Except(own)),
        ];
        return groups.Where(group => group.Options.Any());
    }

    /// <summary>The usage line: the names of the parent commands, the command and its arguments.</summary>
    /// <param name="command">The command.</param>
    /// <param name="arguments">Its visible arguments.</param>
    private static string Usage(Command command, Argument[] arguments)
    {
        List<string> names = [.. Above(command).Reverse().Append(command).Select(each => each.Name)];
        names.AddRange(
            arguments.Select(argument =>
                $"<{argument.HelpName ?? argument.Name}>{(argument.Arity.MaximumNumberOfValues > 1 ? "..." : "")}"
            )
        );
        names.AddRange(OptionsOf(command).Where(option => option.Required).Select(Header));
        if (command.Subcommands.Any(below => !below.Hidden))
            names.Add("[command]");
        return $"{string.Join(' ', names)} [options]";
    }

    /// <summary>An option's names and its value placeholder.</summary>
    /// <param name="option">The option.</param>
    private static string Header(Option option) =>
        string.Join(", ", option.Aliases.Where(alias => alias is ['-', not '?']).Append(option.Name))
        + (option.HelpName is { Length: > 0 } value ? $" <{value}>" : "");

    /// <summary>An option's description with its default value.</summary>
    /// <param name="option">The option.</param>
    private static string Description(Option option)
    {
        var description = option.Description ?? "";
        // A default that the description states in words takes precedence.
        if (!option.HasDefaultValue || description.Contains("Default: ", StringComparison.Ordinal))
            return description;
        var value = option.GetDefaultValue() switch
        {
            string text => text,
            IEnumerable<string> several => string.Join(",", several),
            var other => other?.ToString(),
        };
        return string.IsNullOrEmpty(value) || value == bool.FalseString
            ? description
            : $"{description} Default: {value}.";
    }

    /// <summary>Writes a heading after an empty line.</summary>
    /// <param name="text">Receives the heading.</param>
    /// <param name="title">The heading.</param>
    private static void Title(StringBuilder text, string title) => text.Append('\n').Append(title).Append(":\n");

    /// <summary>Writes a name with its description beside it, or below it if the name is long.</summary>
    /// <param name="text">Receives the lines.</param>
    /// <param name="name">Name of an option, an argument or a command.</param>
    /// <param name="description">The description.</param>
    private static void Item(StringBuilder text, string name, string description)
    {
        var indent = new string(' ', Column);
        if (name.Length + 4 <= Column)
        {
            Wrap(text, description, $"  {name}".PadRight(Column), indent);
            return;
        }

        // Choices may break after a bar.
        Wrap(text, name.Replace("|", "| ", StringComparison.Ordinal), "  ", "      ", glue: "|");
        Wrap(text, description, indent, indent);
    }

    /// <summary>Wraps a text between words.</summary>
    /// <param name="text">Receives the lines.</param>
    /// <param name="words">The text, one paragraph.</param>
    /// <param name="first">Prefix of the first line.</param>
    /// <param name="others">Prefix of every other line.</param>
    /// <param name="glue">Word ending after which no space is written on the same line; empty to always write
    /// one.</param>
    private static void Wrap(StringBuilder text, string words, string first, string others, string glue = "")
    {
        var line = new StringBuilder(first);
        var isEmpty = true;
        foreach (var word in words.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var space =
                isEmpty || (glue.Length > 0 && line.ToString().EndsWith(glue, StringComparison.Ordinal)) ? "" : " ";
            if (!isEmpty && line.Length + space.Length + word.Length > Width)
            {
                text.Append(line).Append('\n');
                line.Clear().Append(others);
                space = "";
            }

            line.Append(space).Append(word);
            isEmpty = false;
        }

        text.Append(line.ToString().TrimEnd()).Append('\n');
    }
}
