using System.Globalization;

namespace TorchBridge.Onnx;

/// <summary>How numbers are written for people. Every room uses it.</summary>
internal static class Numbers
{
    /// <summary>A number of so many digits: 0.00123, 9.5e-7. .NET itself would write 9.5E-07.</summary>
    public static string Short(double value, int digits = 3) =>
        Plain(value.ToString($"G{digits}", CultureInfo.InvariantCulture));

    /// <summary>A number of as many digits as it takes to read the same number again.</summary>
    public static string Exact(double value) => Plain(value.ToString("R", CultureInfo.InvariantCulture));

    private static string Plain(string text)
    {
        var at = text.IndexOf('E', StringComparison.Ordinal);
        return at < 0
            ? text
            : $"{text[..at]}e{int.Parse(text.AsSpan(at + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)}";
    }
}
