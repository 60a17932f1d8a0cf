namespace TorchBridge.Training.Reports;

/// <summary>Mean and standard deviation (n - 1) of some runs.</summary>
internal sealed record Spread(double Mean, double Deviation)
{
    /// <summary>Of some figures.</summary>
    /// <param name="values">One for each seed, at least one.</param>
    /// <returns>The mean, and the sample's standard deviation (n - 1 in the denominator); 0 where there is one
    /// value.</returns>
    public static Spread Of(IReadOnlyCollection<double> values)
    {
        var mean = values.Average();
        return new Spread(
            mean,
            values.Count < 2 ? 0 : Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1))
        );
    }
}
