// What it does: chooses the sizes at which forward is traced, and runs it there. What forward takes is not known
// before: it may need multiples of 32, end at the length of a position table, or want two axes to be equal. So sizes
// are tried, and what throws is left out. In order:
//   1. the example itself;
//   2. three points at which every axis has another size, spread over 0.35 to 1.6 times the example or more: even and
// odd, apart by more
//      than a stride of 64 where that is affordable, no axis as large as another;
//   3. where one of them fails: each axis alone, to learn its step (1, 2, 4 … 64) and its limits. An axis that never
// moves alone is tied
//      to one of the same size that moves with it, and the report says so; or it cannot be free;
//   4. as many further points as the model is cheap: small sizes, equal ones, powers of two, and the numbers that
// stand in the model's
//      code (n > 50, h % 7), each with its neighbours.

using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Capture;

/// <summary>A size that forward does not take, and why.</summary>
/// <param name="Sizes">The sizes, <c>batch = 2, x_2 = 3</c>.</param>
/// <param name="Reason">What forward threw.</param>
internal sealed record LeftOutSize(string Sizes, string Reason);

/// <summary>Runs forward at the sizes that tell formulas apart.</summary>
internal sealed class SizeExploration
{
    /// <summary>Multiply-adds that the traces after the first four may cost in all: some tenths of a second.</summary>
    private const double WorkOfFurtherTraces = 4e9;

    /// <summary>Recording one operation takes about as long as this many multiply-adds.</summary>
    private const double WorkOfAnOperation = 4e5;

    /// <summary>Traces that may be added to the first ones, however cheap they are.</summary>
    private const int MostTraces = 64;

    /// <summary>Numbers that one operation may make in a run that only decides or verifies formulas: a gigabyte of them.
    /// </summary>
    private const double LargestResult = 2.5e8;

    /// <summary>The largest size of an axis for which forward was not seen to throw.</summary>
    private const long NoLimit = 1 << 20;

    // csharpier-ignore
    /// <summary>
    /// Sizes to try for a batch, in this order: small and odd ones first, with few divisors in common.
    /// </summary>
    private static readonly long[] BatchSizes =
    [
        3, 2, 5, 7, 4, 9, 1, 6, 17, 8, 12, 33, 10, 11, 16, 64, 13, 19, 24, 40, 50, 100
    ];

    /// <summary>Runs forward at a point; the number tells the runs' random inputs apart.</summary>
    private readonly Func<SizeSymbols, SizePoint, int, Trace> trace;

    /// <summary>Points at which forward has run or has failed; none is tried twice.</summary>
    private readonly HashSet<SizePoint> tried = [];

    /// <summary>Draws further sizes; seeded.</summary>
    private readonly Random random;

    /// <summary>What is known of each symbol's sizes, by its number.</summary>
    private SizeDomain[] domains = [];

    /// <summary>What forward threw at the last point that it did not take; null until there is one.</summary>
    private Exception? lastFailure;

    /// <summary>Starts with the example.</summary>
    /// <param name="symbols">The free axes.</param>
    /// <param name="trace">Runs forward at a point; the number tells the traces' random inputs apart.</param>
    /// <param name="seed">Seed of what is drawn.</param>
    public SizeExploration(SizeSymbols symbols, Func<SizeSymbols, SizePoint, int, Trace> trace, int seed)
    {
        Symbols = symbols;
        this.trace = trace;
        random = new Random(seed);
    }

    /// <summary>The free axes, tied where forward wants it.</summary>
    public SizeSymbols Symbols { get; private set; }

    /// <summary>The traces, the example's first.</summary>
    public List<(SizePoint Point, Trace Trace)> Traces { get; } = [];

    /// <summary>What forward does not take.</summary>
    public List<LeftOutSize> LeftOut { get; } = [];

    /// <summary>Why an axis that nobody asked for is not free, for the report.</summary>
    public string? FixedBecause { get; private set; }

    /// <summary>Numbers that stand in the model's code and fields.</summary>
    public IReadOnlyList<long> CodeConstants { get; set; } = [];

    /// <summary>Multiply-adds of one run of the example, with what recording costs.</summary>
    public double Work => Traces[0].Trace.Work + (Traces[0].Trace.Ops.Count * WorkOfAnOperation);

    /// <summary>Whether many more traces are affordable.</summary>
    private bool IsCheap => Work * 20 < WorkOfFurtherTraces;

    /// <summary>Whether a point has been traced.</summary>
    /// <param name="point">Any point.</param>
    public bool IsTraced(SizePoint point) => Traces.Any(one => one.Point.Equals(point));

    /// <summary>Whether forward may take a point, as far as is known.</summary>
    /// <param name="point">Any point.</param>
    public bool MayRun(SizePoint point) =>
        domains.Select((domain, symbol) => domain.Contains(point[symbol])).All(contained => contained);

    /// <summary>
    /// Whether an operation may make more numbers at a point than there should be. Attention over the places of a
    /// picture grows with the fourth power of its sides: as long as runs have not shown how forward grows, it is
    /// taken for that.
    /// </summary>
    /// <param name="point">Any point.</param>
    public bool IsTooLarge(SizePoint point)
    {
        var example = Traces[0];
        var (grown, rows) = Growth(point);
        var power = Traces
            .Select(one => (Growth: Growth(one.Point), one.Trace.LargestResult))
            .Where(one => one.Growth.PerRow > 1.3)
            .Select(one =>
                Math.Log(one.LargestResult / example.Trace.LargestResult / one.Growth.Rows)
                / Math.Log(one.Growth.PerRow)
            )
            .DefaultIfEmpty(2)
            .Max();
        return example.Trace.LargestResult * rows * Math.Pow(Math.Max(1, grown), Math.Max(1, power)) > LargestResult;
    }

    /// <summary>
    /// How many times the example's numbers a row of the inputs has at a point, and how many times its rows.
    /// </summary>
    /// <param name="point">Sizes.</param>
    private (double PerRow, double Rows) Growth(SizePoint point)
    {
        double Numbers(SizePoint at) =>
            Symbols.Inputs.Sum(input => Symbols.ShapeOf(input, at).Aggregate(1.0, (product, size) => product * size));
        var rows = Enumerable
            .Range(0, Symbols.Names.Count)
            .Where(Symbols.IsRows)
            .Select(symbol => point[symbol] / (double)Math.Max(1, Symbols.Example[symbol]))
            .DefaultIfEmpty(1)
            .Max();
        rows = Math.Max(rows, 1e-3);
        return (Numbers(point) / Math.Max(1, Numbers(Symbols.Example)) / rows, rows);
    }

    /// <summary>Whether a point may still decide something: forward may take it, and it has not been tried.</summary>
    /// <param name="point">Any point.</param>
    public bool MayBeTried(SizePoint point) => !tried.Contains(point) && MayRun(point);

    /// <summary>The largest size of a symbol in any trace.</summary>
    /// <param name="symbol">Its number.</param>
    public long LargestTraced(int symbol) => Traces.Max(one => one.Point[symbol]);

    /// <summary>What is known of the sizes that a symbol takes.</summary>
    /// <param name="symbol">Its number.</param>
    public SizeDomain Domain(int symbol) => domains[symbol];

    /// <summary>Traces the example.</summary>
    /// <exception cref="ExportException">Forward throws on the example itself.</exception>
    public void RunExample()
    {
        try
        {
            Traces.Add((Symbols.Example, trace(Symbols, Symbols.Example, 0)));
        }
        catch (Exception error) when (error is not ExportException and not OutOfMemoryException)
        {
            throw new ExportException(
                "",
                null,
                $"forward throws on the example itself: {SizeSymbols.FirstLine(error)}",
                error
            );
        }

        tried.Add(Symbols.Example);
        domains = [.. Symbols.Example.Sizes.Select(size => new SizeDomain(size, 1, 1, NoLimit))];
    }

    /// <summary>Traces at other sizes.</summary>
    /// <param name="mayFix">Whether axes may stay fixed where forward takes no other size, because the caller named
    /// none.</param>
    /// <exception cref="ExportException">An axis that the caller freed moves neither alone nor with
    /// others.</exception>
    public void Explore(bool mayFix)
    {
        if (Symbols.Names.Count == 0)
        {
            // Nothing is free: two more runs with other numbers show what depends on data.
            foreach (var run in (int[])[1, 2])
                Traces.Add((Symbols.Example, trace(Symbols, Symbols.Example, run)));
            return;
        }

        if (TrySpread(3) < 3)
        {
            LearnDomains(mayFix);
            if (Symbols.Names.Count == 0)
            {
                Explore(mayFix);
                return;
            }

            TrySpread(10);
        }

        CheckEverySymbolMoved(mayFix);
        foreach (var point in FurtherPoints().Take(Affordable()))
            Try(point);
    }

    /// <summary>Traces an example more of the caller's, whatever its sizes.</summary>
    /// <param name="point">Its sizes.</param>
    /// <param name="traceExample">Runs it.</param>
    public void AddExample(SizePoint point, Func<Trace> traceExample)
    {
        tried.Add(point);
        Traces.Add((point, traceExample()));
    }

    /// <summary>Traces one more point, any that has not been tried, where formulas are still undecided. False where
    /// none is left.</summary>
    public bool TryAnother()
    {
        for (var attempt = 0; attempt < 20; attempt++)
        {
            if (Try(RandomPoint(attempt)))
                return true;
        }

        return false;
    }

    /// <summary>
    /// Traces a point, if forward takes it. False where it throws there, or where it has been tried.
    /// </summary>
    /// <param name="point">Where to trace.</param>
    public bool Try(SizePoint point)
    {
        if (!tried.Add(point) || point.Sizes.Any(size => size < 0) || IsTooLarge(point))
            return false;
        try
        {
            Traces.Add((point, trace(Symbols, point, Traces.Count)));
            return true;
        }
        catch (Exception error) when (error is not ExportException and not OutOfMemoryException)
        {
            LeaveOut(point, error);
            return false;
        }
    }

    /// <summary>Notes that forward does not take a point.</summary>
    /// <param name="point">Where forward threw.</param>
    /// <param name="error">What it threw.</param>
    public void LeaveOut(SizePoint point, Exception error)
    {
        lastFailure = error;
        LeftOut.Add(new LeftOutSize(Symbols.Describe(point), SizeSymbols.FirstLine(error)));
    }

    /// <summary>How many more traces may be made.</summary>
    private int Affordable() => Math.Clamp((int)(WorkOfFurtherTraces / Work), 0, MostTraces);

    // ---- points at which every axis has another size -------------------------------------------------------------------------

    /// <summary>Traces points at which all axes move, until three run; gives how many did.</summary>
    /// <param name="mostTries">After so many it gives up.</param>
    /// <returns>How many points ran.</returns>
    private int TrySpread(int mostTries)
    {
        var ran = 0;
        for (var position = 0; position < mostTries && ran < 3; position++)
            ran += Try(SpreadPoint(position)) ? 1 : 0;
        return ran;
    }

    /// <summary>A point at which every axis has another size, as large as is affordable.</summary>
    /// <param name="k">Number of the try.</param>
    private SizePoint SpreadPoint(int k)
    {
        // What would be too large is tried smaller.
        var point = SpreadPoint(k, 1);
        for (var share = 0.8; share > 0.2 && IsTooLarge(point); share *= 0.8)
            point = SpreadPoint(k, share);
        return point;
    }

    /// <summary>A point at which every axis has another size, at a share of what is wished.</summary>
    /// <param name="k">Number of the try.</param>
    /// <param name="share">How far from the example, 0 to 1.</param>
    private SizePoint SpreadPoint(int k, double share)
    {
        var sizes = new long[Symbols.Names.Count];
        for (var symbol = 0; symbol < sizes.Length; symbol++)
        {
            var wishes = Wishes(symbol);
            var wish = wishes[(k + symbol) % wishes.Count] + (k / wishes.Count);
            sizes[symbol] = Apart(
                symbol,
                Symbols.IsRows(symbol) && domains[symbol].Step == 1
                    ? (long)wish
                    : domains[symbol].Nearest(share * wish, (k + symbol) % 2 == 0),
                sizes
            );
        }

        return new SizePoint(sizes);
    }

    /// <summary>Where the sizes of a symbol should lie, in the order of use.</summary>
    /// <param name="symbol">A free size.</param>
    private IReadOnlyList<double> Wishes(int symbol)
    {
        var size = Symbols.Example[symbol];
        if (Symbols.IsRows(symbol))
            return
            [
                .. BatchSizes
                    .Where(rows => rows != size)
                    .Take(IsCheap ? BatchSizes.Length : 6)
                    .Select(rows => (double)rows),
            ];
        // Below 128, a stride of 64 needs larger steps than a share of the example.
        double up = IsCheap && size < 128 ? size + 67 : 1.6 * size,
            far = IsCheap ? Math.Max(size + 134, 2.3 * size) : 1.3 * size;
        return size >= 8
            ? [0.6 * size, up, 0.35 * size, far, 0.8 * size, 1.2 * size]
            : [size + 3, up, Math.Max(1, size - 2), far, (2 * size) + 1, size + 12];
    }

    /// <summary>
    /// A size at least a step away from all sizes that other symbols have at this point or had in the first traces.
    /// </summary>
    /// <param name="symbol">A free size.</param>
    /// <param name="size">What is wished for.</param>
    /// <param name="others">Sizes that it must differ from.</param>
    private long Apart(int symbol, long size, long[] others)
    {
        var domain = domains[symbol];
        var taken = others
            .Take(symbol)
            .Concat(Traces.Take(4).SelectMany(one => one.Point.Sizes.Where((_, other) => other != symbol)))
            .Concat(Traces.Select(one => one.Point[symbol]))
            .ToHashSet();
        for (var distance = 0; distance < 64; distance++)
        {
            foreach (var candidate in (long[])[size - (distance * domain.Step), size + (distance * domain.Step)])
            {
                if (candidate >= 1 && domain.Contains(candidate) && !taken.Contains(candidate))
                    return candidate;
            }
        }

        return size;
    }

    // ---- what an axis takes --------------------------------------------------------------------------------------------------

    /// <summary>Learns of each axis what sizes it takes, alone or tied to others.</summary>
    /// <param name="mayFix">Whether a size that does not move may become fixed.</param>
    private void LearnDomains(bool mayFix)
    {
        for (var symbol = 0; symbol < Symbols.Names.Count; symbol++)
        {
            if (Learn([symbol]) is { } domain)
            {
                domains[symbol] = domain;
                continue;
            }

            if (!TryTies(symbol))
                FixOrRefuse(symbol, mayFix);
            symbol = -1; // The symbols are others now.
            if (Symbols.Names.Count == 0)
                return;
        }
    }

    /// <summary>
    /// Moves some symbols of one size together, others at the example's; null where nothing but the example works.
    /// </summary>
    /// <param name="together">Symbols that move as one.</param>
    private SizeDomain? Learn(IReadOnlyList<int> together)
    {
        var size = Symbols.Example[together[0]];
        bool Moves(long to)
        {
            if (to < 1 || to == size)
                return false;
            var point = together.Aggregate(Symbols.Example, (moved, symbol) => moved.With(symbol, to));
            return IsTraced(point) || Try(point);
        }

        foreach (var step in (long[])[1, 2, 4, 8, 16, 32, 64, 3, 5, 6, 7, 10, 12, 14, 20, 24, 28, 48, 56, 96, 112, 128])
        {
            bool up = Moves(size + step),
                down = Moves(size - step);
            if (!up && !down)
                continue;
            return up && down ? Reaching(step, true, true) : WiderThanOneSide(step, up);
        }

        return null;

        SizeDomain Reaching(long step, bool up, bool down) =>
            new(size, step, down ? LowestBelow(size, step, Moves) : size, up ? HighestAbove(size, step, Moves) : size);

        // 95 may work and 97 may not, though 64 and 128 do: behind five halvings 65 to 96 are three rows. The side that
        // ends here may go on further away.
        SizeDomain WiderThanOneSide(long step, bool up)
        {
            for (var wider = 2 * step; wider <= 64; wider *= 2)
            {
                if (Moves(up ? size - wider : size + wider))
                {
                    var other = Moves(up ? size + wider : size - wider);
                    return Reaching(wider, up ? other : true, up ? true : other);
                }
            }

            return Reaching(step, up, !up);
        }
    }

    /// <summary>The largest size that works above the example's; no limit where none was found.</summary>
    /// <param name="size">One that works.</param>
    /// <param name="step">Between sizes that are tried.</param>
    /// <param name="moves">Whether a size works.</param>
    private long HighestAbove(long size, long step, Func<long, bool> moves)
    {
        var works = size + step;
        for (var times = 1; times <= (IsCheap ? 8 : 1); times *= 2)
        {
            var far = size + (step * times * Math.Max(2, size / step));
            if (!moves(far))
                return Boundary(works, far, step, moves);
            works = far;
        }

        return NoLimit;
    }

    /// <summary>The smallest size that works below the example's.</summary>
    /// <param name="size">One that works.</param>
    /// <param name="step">Between sizes that are tried.</param>
    /// <param name="moves">Whether a size works.</param>
    private static long LowestBelow(long size, long step, Func<long, bool> moves)
    {
        var near = size % step == 0 ? step : size % step;
        if (near == size - step || moves(near))
            return near;
        return Boundary(size - step, near, -step, moves);
    }

    /// <summary>The last size that works between one that does and one that does not, by halving.</summary>
    /// <param name="works">A size that works.</param>
    /// <param name="fails">One that does not.</param>
    /// <param name="step">Between sizes that are tried.</param>
    /// <param name="moves">Whether a size works.</param>
    private static long Boundary(long works, long fails, long step, Func<long, bool> moves)
    {
        while (Math.Abs(fails - works) > Math.Abs(step))
        {
            var middle = works + ((fails - works) / step / 2 * step);
            if (middle == works)
                break;
            if (moves(middle))
                works = middle;
            else
                fails = middle;
        }

        return works;
    }

    /// <summary>
    /// Moves a stuck symbol with others of its size: of other inputs first, then of its own, then all of them.
    /// </summary>
    /// <param name="symbol">One that does not move alone.</param>
    private bool TryTies(int symbol)
    {
        var alike = Enumerable
            .Range(0, Symbols.Names.Count)
            .Where(other => other != symbol && Symbols.Example[other] == Symbols.Example[symbol])
            .ToArray();
        foreach (
            var group in alike
                .Select(other => (int[])[symbol, other])
                .Append([symbol, .. alike])
                .Where(group => group.Length > 1)
        )
        {
            if (Learn(group) is not { } domain)
                continue;
            // The traces so far name the sizes of more symbols: they are made anew.
            Restart(Symbols.Tie([.. group.Order()], "forward runs only where their sizes are equal"));
            domains[Symbols.IndexOf(Symbols.Names[group.Min()])] = domain;
            return true;
        }

        return false;
    }

    /// <summary>Fixes an axis that does not move, or refuses where the caller freed it.</summary>
    /// <param name="symbol">One that does not move.</param>
    /// <param name="mayFix">Whether it may become fixed.</param>
    private void FixOrRefuse(int symbol, bool mayFix)
    {
        var reason =
            $"forward takes no other size of {string.Join(" and ", Symbols.AxesOf(symbol))} than the "
            + $"example's {Symbols.Example[symbol]}: {SizeSymbols.FirstLine(lastFailure!)}";
        if (!mayFix)
        {
            throw new ExportException(
                "",
                null,
                $"{reason} Leave that axis out of ExportOptions.FreeAxes, or free with it the axes that must change with it.",
                lastFailure
            );
        }

        FixedBecause = reason;
        var alternatives = Symbols.Alternatives(symbol).ToArray();
        Restart(Symbols.Fix([symbol]));
        foreach (var alternative in alternatives)
        {
            var known = Symbols;
            Restart(alternative(known));
            if (Learn([Symbols.Names.Count - 1]) is { })
                return;
            Restart(known);
        }
    }

    /// <summary>Begins again with other symbols; the example's trace stays.</summary>
    /// <param name="symbols">Those that are still free.</param>
    private void Restart(SizeSymbols symbols)
    {
        Symbols = symbols;
        Traces.RemoveRange(1, Traces.Count - 1);
        Traces[0] = (Symbols.Example, Traces[0].Trace);
        tried.Clear();
        tried.Add(Symbols.Example);
        domains = [.. Symbols.Example.Sizes.Select(size => new SizeDomain(size, 1, 1, NoLimit))];
    }

    /// <summary>Fixes or refuses axes that have one size in all traces.</summary>
    /// <param name="mayFix">Whether one that did not may become fixed.</param>
    private void CheckEverySymbolMoved(bool mayFix)
    {
        for (var symbol = 0; symbol < Symbols.Names.Count; symbol++)
        {
            if (Traces.All(one => one.Point[symbol] == Symbols.Example[symbol]))
                FixOrRefuse(symbol, mayFix);
        }
    }

    // ---- further points ------------------------------------------------------------------------------------------------------

    /// <summary>Points that tell more formulas apart, without end.</summary>
    private IEnumerable<SizePoint> FurtherPoints()
    {
        var symbols = Enumerable.Range(0, Symbols.Names.Count).ToArray();
        var constants = CodeConstants
            .Where(constant => constant is > 1 and <= 4096)
            .SelectMany(constant => (long[])[constant, constant + 1, constant - 1])
            .ToArray();
        for (var round = 0; ; round++)
        {
            // By turns, so that whatever number is affordable sees some of each: all axes at once, one at a small
            // size, one at a number of the code.
            yield return SpreadPoint(3 + round);
            foreach (var symbol in symbols)
            {
                if (SmallSize(symbol, round) is { } small)
                    yield return Symbols.Example.With(symbol, small);
                foreach (var constant in constants.Skip(2 * round).Take(2))
                {
                    if (domains[symbol].Contains(constant))
                        yield return RandomPoint(round).With(symbol, constant);
                }
            }

            if (symbols.Length > 1)
                yield return round % 2 == 0 ? EqualPoint(round) : CornerPoint(round);
            if (symbols.Length > 1 && round % 2 == 0)
                yield return CornerPoint(round);
            yield return RandomPoint(round);
            if (round > 64)
                yield break;
        }
    }

    /// <summary>The n-th smallest size of an axis.</summary>
    /// <param name="symbol">A free size.</param>
    /// <param name="round">Of the search.</param>
    private long? SmallSize(int symbol, int round)
    {
        var domain = domains[symbol];
        var lowest = domain.Low + ((((domain.Start - domain.Low) % domain.Step) + domain.Step) % domain.Step);
        var size = lowest + (round * domain.Step);
        return round < 12 && domain.Contains(size) ? size : null;
    }

    /// <summary>A point at which axes are equal as far as they may be.</summary>
    /// <param name="round">Of the search.</param>
    private SizePoint EqualPoint(int round)
    {
        var size = Symbols.Example.Sizes.Max() + round;
        return new SizePoint([
            .. Enumerable
                .Range(0, Symbols.Names.Count)
                .Select(symbol => Symbols.IsRows(symbol) ? 2 + round : domains[symbol].Nearest(size, isOdd: false)),
        ]);
    }

    /// <summary>Sizes drawn evenly by their logarithms, so that a small one meets a large one.</summary>
    /// <param name="round">Of the search.</param>
    private SizePoint RandomPoint(int round) =>
        new([
            .. Enumerable
                .Range(0, Symbols.Names.Count)
                .Select(symbol =>
                {
                    var example = Symbols.Example[symbol];
                    double most = Symbols.IsRows(symbol)
                        ? (IsCheap ? 64 : 8)
                        : (IsCheap ? Math.Max(64, 4 * example) : 1.5 * example);
                    return domains[symbol]
                        .Nearest(Math.Exp(random.NextDouble() * Math.Log(most)), (round + symbol) % 2 == 0);
                }),
        ]);

    /// <summary>Some axes small, the others large, by turns.</summary>
    /// <param name="round">Of the search.</param>
    private SizePoint CornerPoint(int round) =>
        new([
            .. Enumerable
                .Range(0, Symbols.Names.Count)
                .Select(symbol =>
                {
                    var isSmall = (round >> (symbol % 8)) % 2 == 0;
                    var large = Symbols.IsRows(symbol) ? 20 : (IsCheap ? 3 : 1.3) * Symbols.Example[symbol];
                    return domains[symbol]
                        .Nearest(isSmall ? 1 + (round / 4) : large + round, (round + symbol) % 2 == 0);
                }),
        ]);
}
