namespace TorchBridge.Training.Reports;

/// <summary>Mean and standard deviation (n - 1) over several runs.</summary>
internal sealed record Spread(double Mean, double Deviation)
{
    /// <summary>Computes mean and standard deviation.</summary>
    /// <param name="values">One value per seed, at least one.</param>
    /// <returns>The mean and the sample standard deviation (n - 1 in the denominator), which is 0 for a single
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
