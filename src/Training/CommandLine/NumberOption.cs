using System.CommandLine;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.CommandLine;

/// <summary>An option that takes a number in one fixed format and within a range. The library's own parser would read
/// 0,001 as 1.</summary>
/// <param name="name">Name of the option, with its dashes.</param>
/// <param name="allowed">Its allowed range.</param>
internal class NumberOption(string name, AllowedAttribute allowed) : Option<string?>(name)
{
    /// <summary>The value as a whole number; null if not given.</summary>
    /// <param name="parsed">The command line.</param>
    /// <exception cref="UserException">The value is not such a number, or is outside its range.</exception>
    public int? Whole(ParseResult parsed) =>
        parsed.GetValue(this) is { } text ? NumberText.Whole(text, Name, allowed) : null;

    /// <summary>The value as a number that may have a fraction; null if not given.</summary>
    /// <param name="parsed">The command line.</param>
    /// <exception cref="UserException">The value is not such a number, or is outside its range.</exception>
    public double? Real(ParseResult parsed) =>
        parsed.GetValue(this) is { } text ? NumberText.Real(text, Name, allowed) : null;
}

/// <summary>An option that takes a whole number and has a default.</summary>
internal sealed class WholeOption : NumberOption
{
    /// <summary>Creates an option with a default.</summary>
    /// <param name="name">Name of the option, with its dashes.</param>
    /// <param name="allowed">Its allowed range.</param>
    /// <param name="fallback">Default value, which the help shows.</param>
    public WholeOption(string name, AllowedAttribute allowed, int fallback)
        : base(name, allowed)
    {
        var text = fallback.ToString(System.Globalization.CultureInfo.InvariantCulture);
        DefaultValueFactory = _ => text;
        HelpName = "N";
    }

    /// <summary>Reads the number.</summary>
    /// <param name="parsed">The command line.</param>
    /// <exception cref="UserException">The value is not such a number, or is outside its range.</exception>
    public int Read(ParseResult parsed) => Whole(parsed)!.Value;
}
