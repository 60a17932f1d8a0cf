// One form for every number that people type: digits, a decimal point, perhaps an exponent. .NET's own parser reads
// 0,001 as 1, because a comma may separate thousands; a decimal comma is how half of the world writes.
using System.Globalization;
using System.Text.RegularExpressions;

namespace TorchBridge.Training.Ranges;

/// <summary>Reads numbers that people type.</summary>
internal static partial class NumberText
{
    /// <summary>A whole number.</summary>
    /// <param name="text">What was typed.</param>
    /// <param name="name">What it is for, in an error.</param>
    /// <param name="allowed">Its range.</param>
    /// <exception cref="UserException">It is none, or outside of its range.</exception>
    public static int Whole(string text, string name, AllowedAttribute allowed)
    {
        if (!WholeForm().IsMatch(text) || !int.TryParse(text, NumberStyles.AllowLeadingSign, Invariant, out var value))
            throw Refused(text, name, allowed, Hint(text, isWhole: true));
        return allowed.Contains(value) ? value : throw Refused(text, name, allowed, "");
    }

    /// <summary>A number that may have a fraction.</summary>
    /// <param name="text">What was typed.</param>
    /// <param name="name">What it is for, in an error.</param>
    /// <param name="allowed">Its range.</param>
    /// <exception cref="UserException">It is none, or outside of its range.</exception>
    public static double Real(string text, string name, AllowedAttribute allowed)
    {
        if (!RealForm().IsMatch(text))
            throw Refused(text, name, allowed, Hint(text, isWhole: false));
        var value = double.Parse(text, NumberStyles.Float, Invariant);
        return allowed.Contains(value) ? value : throw Refused(text, name, allowed, "");
    }

    private static CultureInfo Invariant => CultureInfo.InvariantCulture;

    /// <summary>The refusal of a number.</summary>
    /// <param name="text">What was typed.</param>
    /// <param name="name">The option or the property.</param>
    /// <param name="allowed">Its range.</param>
    /// <param name="hint">What was probably meant; may be empty.</param>
    private static UserException Refused(string text, string name, AllowedAttribute allowed, string hint) =>
        new($"{name} is {text}; allowed is {allowed}.{hint}");

    /// <summary>The right form of what was probably meant; where two may have been, neither is guessed.</summary>
    /// <param name="text">What was typed.</param>
    /// <param name="isWhole">Whether a whole number is wanted.</param>
    /// <returns>A sentence with a space before it; empty where nothing can be said.</returns>
    private static string Hint(string text, bool isWhole)
    {
        const string form = "digits, no separators of thousands";
        if (isWhole)
            return $" Write a whole number: {form}, such as 1000.";
        var point = text.Replace(',', '.');
        return text.Contains(',', StringComparison.Ordinal) && RealForm().IsMatch(point)
            ? $" The decimal sign is a point: write {point}; thousands have no separator."
            : $" Write a number with a decimal point: {form}, such as 0.001 or 1e-3.";
    }

    /// <summary>A sign and digits.</summary>
    [GeneratedRegex(@"\A[+-]?[0-9]+\z")]
    private static partial Regex WholeForm();

    /// <summary>A sign, digits with a point, and an exponent.</summary>
    [GeneratedRegex(@"\A[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\z")]
    private static partial Regex RealForm();
}
