using System.CommandLine;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.CommandLine;

/// <summary>An option that takes a number: read in one form, and within its range. The library's own parser would
/// read 0,001 as 1.</summary>
/// <param name="name">With its dashes.</param>
/// <param name="allowed">Its range.</param>
internal class NumberOption(string name, AllowedAttribute allowed) : Option<string?>(name)
{
    /// <summary>A whole number; null where it is not given.</summary>
    /// <param name="parsed">The command line.</param>
    /// <exception cref="UserException">It is none, or outside of its range.</exception>
    public int? Whole(ParseResult parsed) =>
        parsed.GetValue(this) is { } text ? NumberText.Whole(text, Name, allowed) : null;

    /// <summary>A number that may have a fraction; null where it is not given.</summary>
    /// <param name="parsed">The command line.</param>
    /// <exception cref="UserException">It is none, or outside of its range.</exception>
    public double? Real(ParseResult parsed) =>
        parsed.GetValue(this) is { } text ? NumberText.Real(text, Name, allowed) : null;
}

/// <summary>An option that takes a whole number, and has one where it is not given.</summary>
internal sealed class WholeOption : NumberOption
{
    /// <summary>An option with a default.</summary>
    /// <param name="name">With its dashes.</param>
    /// <param name="allowed">Its range.</param>
    /// <param name="fallback">What it has where it is not given; the help names it.</param>
    public WholeOption(string name, AllowedAttribute allowed, int fallback)
        : base(name, allowed)
    {
        var text = fallback.ToString(System.Globalization.CultureInfo.InvariantCulture);
        DefaultValueFactory = _ => text;
        HelpName = "N";
    }

    /// <summary>The number.</summary>
    /// <param name="parsed">The command line.</param>
    /// <exception cref="UserException">It is none, or outside of its range.</exception>
    public int Read(ParseResult parsed) => Whole(parsed)!.Value;
}
