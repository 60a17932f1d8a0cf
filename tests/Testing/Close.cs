using System.Globalization;

namespace TorchBridge.Testing;

/// <summary>Compares numbers. NaN and infinity never pass; counts are compared first.</summary>
public static class Close
{
    /// <summary>Throws unless |got - want| &lt;= atol + rtol |want| everywhere.</summary>
    public static void To(IReadOnlyList<float> want, IReadOnlyList<float> got, double atol, double rtol, string reason)
    {
        if (want.Count != got.Count)
            throw new InvalidOperationException($"{got.Count} values, expected {want.Count} ({reason})");
        if (want.Count == 0)
            throw new InvalidOperationException($"nothing to compare ({reason})");
        for (var i = 0; i < want.Count; i++)
        {
            var error = Math.Abs((double)got[i] - want[i]);
            if (!(error <= atol + (rtol * Math.Abs(want[i]))))
                throw new InvalidOperationException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"value {i} of {want.Count} is {got[i]:G9}, expected {want[i]:G9}: off by "
                            + $"{error:G3}, allowed {atol + (rtol * Math.Abs(want[i])):G3} ({reason})"
                    )
                );
        }
    }
}
