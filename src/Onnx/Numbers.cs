using System.Globalization;

namespace TorchBridge.Onnx;

/// <summary>
/// Formats numbers for people: invariant culture, a decimal point, and exponents without padding (9.5e-7, where .NET
/// writes 9.5E-07). All projects use it in reports, tables and error messages.
/// </summary>
internal static class Numbers
{
    /// <summary>A number rounded to a few significant digits: 0.00123, 9.5e-7.</summary>
    /// <param name="value">Any number; NaN and infinities are formatted as .NET formats them.</param>
    /// <param name="digits">Significant digits, at least 1.</param>
    /// <returns>The text, in the invariant culture.</returns>
    public static string Short(double value, int digits = 3) =>
        Plain(value.ToString($"G{digits}", CultureInfo.InvariantCulture));

    /// <summary>A number with as many digits as needed to read back the same bits (the round-trip format).</summary>
    /// <param name="value">Any number.</param>
    /// <returns>The text; <c>double.Parse</c> in the invariant culture gives <paramref name="value"/> back.</returns>
    public static string Exact(double value) => Plain(value.ToString("R", CultureInfo.InvariantCulture));

    /// <summary>Removes the padding and the plus sign from an exponent, and writes a lower-case e.</summary>
    /// <param name="text">A number as .NET formats it.</param>
    private static string Plain(string text)
    {
        var at = text.IndexOf('E', StringComparison.Ordinal);
        return at < 0
            ? text
            : $"{text[..at]}e{int.Parse(text.AsSpan(at + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)}";
    }
}
