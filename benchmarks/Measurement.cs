using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Benchmarks;

/// <summary>The figures of a subject: medians with their spread, and ratios between the variants that were measured
/// in turn (peers).</summary>
internal sealed class Measurement(string subject)
{
    private readonly Dictionary<string, double[]> samples = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Numerator, string? Denominator)> ratios = new(StringComparer.Ordinal);

    /// <summary>Runs the peers in turn (A B A B …), after one warm-up round that does not count, and keeps the figure
    /// that each returns.</summary>
    public Measurement Rounds(int rounds, params (string Figure, Func<double> Run)[] peers) =>
        Rounds(rounds, warmUps: 1, peers);

    /// <summary>The same with any number of warm-up rounds: none if each peer is a separate process, which warms up
    /// by itself.</summary>
    public Measurement Rounds(int rounds, int warmUps, params (string Figure, Func<double> Run)[] peers)
    {
        foreach (var (figure, _) in peers)
            samples[figure] = new double[rounds];
        for (var round = -warmUps; round < rounds; round++)
        {
            foreach (var (figure, run) in peers)
            {
                var value = run();
                if (round >= 0)
                    samples[figure][round] = value;
            }
        }

        return this;
    }

    /// <summary>Adds a figure that was measured in another way.</summary>
    public Measurement Figure(string name, params double[] values)
    {
        samples[name] = values;
        return this;
    }

    /// <summary>The values of a figure, one per round.</summary>
    public double[] Values(string name) => samples[name];

    /// <summary>Adds a figure that is computed from another one, round by round.</summary>
    public Measurement Derive(string name, string from, Func<double, double> compute) =>
        Figure(name, [.. samples[from].Select(compute)]);

    /// <summary>Adds a ratio of two figures: the median of the ratios of each round. Without a denominator, the first
    /// figure is itself a ratio.</summary>
    public Measurement Ratio(string name, string numerator, string? denominator)
    {
        ratios[name] = (numerator, denominator);
        return this;
    }

    /// <summary>How long work takes, in seconds.</summary>
    public static double Seconds(Action work)
    {
        var started = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Prints the table, and writes it as JSON if a file is given.</summary>
    public void Print(string? json)
    {
        var table = new Table().AddColumns("figure", "median", "min", "max", "n");
        foreach (var (name, values) in samples)
            table.AddRow(
                name,
                Text(Median(values)),
                Text(values.Min()),
                Text(values.Max()),
                values.Length.ToString(CultureInfo.InvariantCulture)
            );
        foreach (var name in ratios.Keys)
            table.AddRow(
                $"ratio {name}",
                Text(Median(RatioSamples(name))),
                Text(RatioSamples(name).Min()),
                Text(RatioSamples(name).Max()),
                RatioSamples(name).Length.ToString(CultureInfo.InvariantCulture)
            );
        AnsiConsole.Write(table);
        if (json is null)
            return;
        var result = new
        {
            subject,
            machine = string.Join(", ", Versions.All.Select(pair => $"{pair.Key} {pair.Value}")),
            figures = samples.ToDictionary(pair => pair.Key, pair => Median(pair.Value)),
            ratios = ratios.Keys.ToDictionary(name => name, name => Median(RatioSamples(name))),
        };
        AtomicWrite.Text(json, JsonSerializer.Serialize(result, Json.Options) + "\n");
    }

    private double[] RatioSamples(string name) =>
        ratios[name].Denominator is { } denominator
            ? [.. samples[ratios[name].Numerator].Zip(samples[denominator], (a, b) => a / b)]
            : samples[ratios[name].Numerator];

    private static double Median(double[] values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1
            ? sorted[sorted.Length / 2]
            : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    private static string Text(double value) => value.ToString("G4", CultureInfo.InvariantCulture);
}
