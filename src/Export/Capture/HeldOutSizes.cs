// What it does: chooses the sizes used for verification. Every axis takes two sizes that no trace had, one of them at
// least twice the largest trace, and all axes differ at once; the batch is 1, 2, 3, 17 and a larger one. For sizes
// that forward may reject, smaller ones to try instead are given.
using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Capture;

/// <summary>Chooses the sizes at which a file is compared with its module.</summary>
/// <param name="exploration">Knows which sizes were traced and which forward accepts.</param>
/// <param name="seed">Seed of the choice.</param>
internal sealed class HeldOutSizes(SizeExploration exploration, int seed)
{
    /// <summary>Multiply-adds (some hundredths of a second) that a random point may cost. The rows and areas of a
    /// picture multiply: a network that is cheap at its example may take a thousand times as long at a random
    /// point.</summary>
    private const double WorkOfAPoint = 1e9;

    private readonly Random random = new(seed ^ 0x5EED);

    /// <summary>Groups of points: the first point of each group that forward accepts is used.</summary>
    /// <param name="isCheap">Whether a run costs next to nothing.</param>
    /// <param name="hasFormulas">Whether the graph does arithmetic on sizes. A formula that is right almost
    /// everywhere is wrong at only a few sizes, so more of them are tried.</param>
    public IEnumerable<IReadOnlyList<SizePoint>> Choose(bool isCheap, bool hasFormulas)
    {
        var symbols = exploration.Symbols;
        if (symbols.Names.Count == 0)
        {
            yield return [symbols.Example];
            yield break;
        }

        var rows = Enumerable.Range(0, symbols.Names.Count).Where(symbols.IsRows).ToArray();
        if (rows.Length < symbols.Names.Count)
        {
            // Large ones with few rows, then something between.
            yield return [.. new[] { 2.1, 1.7, 1.3, 1.1, 0.9 }.Select(times => Point(rows: 3, times))];
            yield return [.. new[] { 0.7, 0.5, 0.9, 1.2 }.Select(times => Point(rows: 2, times))];
        }

        if (rows.Length > 0)
        {
            var larger = rows.Max(exploration.LargestTraced);
            foreach (
                var count in (long[])[1, 2, 3, 17, isCheap ? Math.Max(40, 2 * larger) + 1 : Math.Max(18, larger + 1)]
            )
                yield return [Point(count, times: null), Point(count, 0.6)];
        }

        if (!isCheap)
            yield break;
        for (var index = 0; index < (hasFormulas ? 40 : 6); index++)
            yield return
            [
                .. Enumerable
                    .Range(0, 4)
                    .Select(_ =>
                        index % 2 == 0
                            ? Affordable(
                                random.NextInt64(1, 40),
                                Point(rows: 1, times: 0.1 + (2 * random.NextDouble()))
                            )
                            : Affordable((long)Math.Exp(random.NextDouble() * Math.Log(40)), LogUniform())
                    ),
            ];
    }

    /// <summary>A point with as many of the given rows as are affordable, at least one.</summary>
    /// <param name="rows">The rows if they cost little.</param>
    /// <param name="point">The other axes.</param>
    private SizePoint Affordable(long rows, SizePoint point)
    {
        var asked = WithRows(rows, point);
        var work = exploration.WorkAt(asked);
        return work <= WorkOfAPoint ? asked : WithRows(Math.Max(1, (long)(rows * WorkOfAPoint / work)), point);
    }

    /// <summary>A point with another number of rows; each symbol's number is added, so that no two are equal.</summary>
    /// <param name="rows">Size of the symbols of axis 0.</param>
    /// <param name="point">The other axes.</param>
    private SizePoint WithRows(long rows, SizePoint point) =>
        new([.. point.Sizes.Select((size, symbol) => exploration.Symbols.IsRows(symbol) ? rows + symbol : size)]);

    /// <summary>A point with sizes drawn log-uniformly, so that several axes are small at the same time: minimums,
    /// maximums and conditions of sizes change there. Its sizes may occur in traces, but not together.</summary>
    private SizePoint LogUniform()
    {
        var symbols = exploration.Symbols;
        return new SizePoint([
            .. Enumerable
                .Range(0, symbols.Names.Count)
                .Select(symbol =>
                    exploration
                        .Domain(symbol)
                        .Nearest(
                            Math.Exp(random.NextDouble() * Math.Log(exploration.LargestTraced(symbol))),
                            isOdd: random.Next(2) == 0
                        )
                ),
        ]);
    }

    /// <summary>A point with the given number of rows and the other axes at a multiple of their largest traced
    /// size.</summary>
    /// <param name="rows">Size of the symbols of axis 0; each symbol's number is added, so that no two are
    /// equal.</param>
    /// <param name="times">Factor applied to the largest traced size, or to four times the example's size if that is
    /// less; null for the smallest traced size above a third of the example's.</param>
    private SizePoint Point(long rows, double? times)
    {
        var symbols = exploration.Symbols;
        var sizes = new long[symbols.Names.Count];
        for (var symbol = 0; symbol < sizes.Length; symbol++)
        {
            if (symbols.IsRows(symbol))
                sizes[symbol] = rows + symbol;
            else if (times is null)
                sizes[symbol] = exploration
                    .Traces.Where(one => one.Point[symbol] * 3 > symbols.Example[symbol])
                    .Min(one => one.Point[symbol]);
            else
                sizes[symbol] = Untraced(
                    symbol,
                    (times.Value * Math.Min(exploration.LargestTraced(symbol), 4 * symbols.Example[symbol]))
                        + symbol
                        + 1,
                    sizes
                );
        }

        return new SizePoint(sizes);
    }

    /// <summary>A size close to the requested one that no trace had and no previous axis has.</summary>
    /// <param name="symbol">Which axis.</param>
    /// <param name="wished">The requested size.</param>
    /// <param name="others">Sizes of the previous symbols, so that two axes are never equal by chance.</param>
    private long Untraced(int symbol, double wished, long[] others)
    {
        var domain = exploration.Domain(symbol);
        var start = domain.Nearest(wished, isOdd: symbol % 2 == 0);
        for (var distance = 0; distance < 200; distance++)
        {
            foreach (var size in (long[])[start + (distance * domain.Step), start - (distance * domain.Step)])
            {
                if (
                    domain.Contains(size)
                    && !others.Take(symbol).Contains(size)
                    && exploration.Traces.All(one => one.Point[symbol] != size)
                )
                    return size;
            }
        }

        return start;
    }
}
