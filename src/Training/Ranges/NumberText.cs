// One format for every number that users type: digits, a decimal point, optionally an exponent. .NET's own parser
// reads 0,001 as 1, because a comma may separate thousands; but half of the world uses a decimal comma.
using System.Globalization;
using System.Text.RegularExpressions;

namespace TorchBridge.Training.Ranges;

/// <summary>Parses numbers that users type.</summary>
internal static partial class NumberText
{
    /// <summary>Parses a whole number.</summary>
    /// <param name="text">The typed text.</param>
    /// <param name="name">Name of the value, for error messages.</param>
    /// <param name="allowed">Its allowed range.</param>
    /// <exception cref="UserException">The text is not such a number, or the number is outside its range.</exception>
    public static int Whole(string text, string name, AllowedAttribute allowed)
    {
        if (!WholeForm().IsMatch(text) || !int.TryParse(text, NumberStyles.AllowLeadingSign, Invariant, out var value))
            throw Refused(text, name, allowed, Hint(text, isWhole: true));
        return allowed.Contains(value) ? value : throw Refused(text, name, allowed, "");
    }

    /// <summary>Parses a number that may have a fraction.</summary>
    /// <param name="text">The typed text.</param>
    /// <param name="name">Name of the value, for error messages.</param>
    /// <param name="allowed">Its allowed range.</param>
    /// <exception cref="UserException">The text is not such a number, or the number is outside its range.</exception>
    public static double Real(string text, string name, AllowedAttribute allowed)
    {
        if (!RealForm().IsMatch(text))
            throw Refused(text, name, allowed, Hint(text, isWhole: false));
        var value = double.Parse(text, NumberStyles.Float, Invariant);
        return allowed.Contains(value) ? value : throw Refused(text, name, allowed, "");
    }

    private static CultureInfo Invariant => CultureInfo.InvariantCulture;

    /// <summary>Creates the exception for a refused number.</summary>
    /// <param name="text">The typed text.</param>
    /// <param name="name">The option or the property.</param>
    /// <param name="allowed">Its allowed range.</param>
    /// <param name="hint">A hint at what was probably meant; may be empty.</param>
    private static UserException Refused(string text, string name, AllowedAttribute allowed, string hint) =>
        new($"{name} is {text}; allowed is {allowed}.{hint}");

    /// <summary>A hint at the right format of what was probably meant; if it is ambiguous, nothing is
    /// guessed.</summary>
    /// <param name="text">The typed text.</param>
    /// <param name="isWhole">Whether a whole number is required.</param>
    /// <returns>A sentence with a leading space; empty if there is no hint.</returns>
    private static string Hint(string text, bool isWhole)
    {
        const string form = "digits without thousands separators";
        if (isWhole)
            return $" Write a whole number: {form}, such as 1000.";
        var point = text.Replace(',', '.');
        return text.Contains(',', StringComparison.Ordinal) && RealForm().IsMatch(point)
            ? $" Use a decimal point and no thousands separators: {point}."
            : $" Write a number with a decimal point: {form}, such as 0.001 or 1e-3.";
    }

    /// <summary>A sign and digits.</summary>
    [GeneratedRegex(@"\A[+-]?[0-9]+\z")]
    private static partial Regex WholeForm();

    /// <summary>A sign, digits with a point, and an exponent.</summary>
    [GeneratedRegex(@"\A[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\z")]
    private static partial Regex RealForm();
}
