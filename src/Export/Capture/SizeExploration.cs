// What it does: chooses the sizes at which forward is traced, and runs it there. Which sizes forward accepts is not
// known in advance: it may need multiples of 32, be limited by the length of a position table, or require two equal
// axes. So sizes are tried, and those that throw are left out. In order:
//   1. the example itself;
//   2. three points at which every axis has another size, spread over 0.35 to 1.6 times the example or more: even and
//      odd, more than a stride of 64 apart where that is affordable, no two axes of equal size;
//   3. if one of them fails: each axis alone, to learn its step (1, 2, 4 … 64) and its limits. An axis that cannot
//      vary alone is tied to one of the same size that varies with it, and the report says so; or it cannot be free;
//   4. as many more points as are affordable: small sizes, equal ones, powers of two, and the integers in the model's
//      code (n > 50, h % 7), each with its neighbours.

using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Capture;

/// <summary>A size that forward rejects, and why.</summary>
/// <param name="Sizes">The sizes, <c>batch = 2, x_2 = 3</c>.</param>
/// <param name="Reason">What forward threw.</param>
internal sealed record LeftOutSize(string Sizes, string Reason);

/// <summary>Runs forward at sizes that distinguish the possible size formulas.</summary>
internal sealed class SizeExploration
{
    /// <summary>Total multiply-adds that the traces after the first four may cost: a few tenths of a
    /// second.</summary>
    private const double WorkOfFurtherTraces = 4e9;

    /// <summary>Cost of recording one operation, in multiply-adds.</summary>
    private const double WorkOfAnOperation = 4e5;

    /// <summary>Most traces that are added to the first ones, however cheap they are.</summary>
    private const int MostTraces = 64;

    /// <summary>Most elements that the inputs may have, or that one operation may produce, in a run that only decides
    /// or verifies formulas: about a gigabyte.</summary>
    private const double LargestResult = 2.5e8;

    /// <summary>Upper limit of an axis for which no limit was found.</summary>
    private const long NoLimit = 1 << 20;

    // csharpier-ignore
    /// <summary>
    /// Batch sizes to try, in this order: small and odd ones first, with few common divisors.
    /// </summary>
    private static readonly long[] BatchSizes =
    [
        3, 2, 5, 7, 4, 9, 1, 6, 17, 8, 12, 33, 10, 11, 16, 64, 13, 19, 24, 40, 50, 100
    ];

    /// <summary>Runs forward at a point; the number makes the random inputs of each run different.</summary>
    private readonly Func<SizeSymbols, SizePoint, int, Trace> trace;

    /// <summary>Points that have been tried, successfully or not; none is tried twice.</summary>
    private readonly HashSet<SizePoint> tried = [];

    /// <summary>Seeded source of further sizes.</summary>
    private readonly Random random;

    /// <summary>What is known about the sizes of each symbol, by symbol number.</summary>
    private SizeDomain[] domains = [];

    /// <summary>The exception at the last point that forward rejected; null if there is none yet.</summary>
    private Exception? lastFailure;

    /// <summary>Creates an exploration; <see cref="RunExample"/> starts it.</summary>
    /// <param name="symbols">The free axes.</param>
    /// <param name="trace">Runs forward at a point; the number makes the random inputs of each trace
    /// different.</param>
    /// <param name="seed">Seed of the random sizes.</param>
    public SizeExploration(SizeSymbols symbols, Func<SizeSymbols, SizePoint, int, Trace> trace, int seed)
    {
        Symbols = symbols;
        this.trace = trace;
        random = new Random(seed);
    }

    /// <summary>The free axes, tied to each other where forward requires it.</summary>
    public SizeSymbols Symbols { get; private set; }

    /// <summary>The traces, the example's first.</summary>
    public List<(SizePoint Point, Trace Trace)> Traces { get; } = [];

    /// <summary>The sizes that forward rejects.</summary>
    public List<LeftOutSize> LeftOut { get; } = [];

    /// <summary>Why an axis that is free by default had to be fixed, for the report.</summary>
    public string? FixedBecause { get; private set; }

    /// <summary>Integers in the model's code and fields.</summary>
    public IReadOnlyList<long> CodeConstants { get; set; } = [];

    /// <summary>Cost of one run of the example in multiply-adds, including the cost of recording.</summary>
    public double Work => Traces[0].Trace.Work + (Traces[0].Trace.Ops.Count * WorkOfAnOperation);

    /// <summary>Whether many more traces are affordable.</summary>
    private bool IsCheap => Work * 20 < WorkOfFurtherTraces;

    /// <summary>Whether a point has been traced.</summary>
    /// <param name="point">Any point.</param>
    public bool IsTraced(SizePoint point) => Traces.Any(one => one.Point.Equals(point));

    /// <summary>Whether forward may accept a point, as far as is known.</summary>
    /// <param name="point">Any point.</param>
    public bool MayRun(SizePoint point) =>
        domains.Select((domain, symbol) => domain.Contains(point[symbol])).All(contained => contained);

    /// <summary>
    /// Whether the inputs have too many elements at a point, or an operation may produce too many. Attention over the
    /// positions of an image grows with the fourth power of its side length: until runs have shown how forward grows,
    /// that growth is assumed.
    /// </summary>
    /// <param name="point">Any point.</param>
    public bool IsTooLarge(SizePoint point)
    {
        // What forward does not use in full (a slice of a long axis) shows in no result.
        if (ElementsAt(point) > Math.Max(LargestResult, ElementsAt(Symbols.Example)))
            return true;
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
    /// Growth relative to the example at a point: of the elements per row of the inputs, and of the number of rows.
    /// </summary>
    /// <param name="point">Sizes.</param>
    private (double PerRow, double Rows) Growth(SizePoint point)
    {
        var rows = Enumerable
            .Range(0, Symbols.Names.Count)
            .Where(Symbols.IsRows)
            .Select(symbol => point[symbol] / (double)Math.Max(1, Symbols.Example[symbol]))
            .DefaultIfEmpty(1)
            .Max();
        rows = Math.Max(rows, 1e-3);
        return (ElementsAt(point) / Math.Max(1, ElementsAt(Symbols.Example)) / rows, rows);
    }

    /// <summary>Approximate multiply-adds at a point, in proportion to the number of input elements.</summary>
    /// <param name="point">Sizes of the free axes.</param>
    public double WorkAt(SizePoint point) =>
        Traces[0].Trace.Work * ElementsAt(point) / Math.Max(1, ElementsAt(Symbols.Example));

    /// <summary>Number of elements of all inputs at a point.</summary>
    /// <param name="point">Sizes of the free axes.</param>
    private double ElementsAt(SizePoint point) =>
        Symbols.Inputs.Sum(input => Symbols.ShapeOf(input, point).Aggregate(1.0, (product, size) => product * size));

    /// <summary>Whether a point is worth trying: forward may accept it, and it has not been tried.</summary>
    /// <param name="point">Any point.</param>
    public bool MayBeTried(SizePoint point) => !tried.Contains(point) && MayRun(point);

    /// <summary>The largest size of a symbol in any trace.</summary>
    /// <param name="symbol">Number of the symbol.</param>
    public long LargestTraced(int symbol) => Traces.Max(one => one.Point[symbol]);

    /// <summary>What is known about the sizes of a symbol.</summary>
    /// <param name="symbol">Number of the symbol.</param>
    public SizeDomain Domain(int symbol) => domains[symbol];

    /// <summary>Traces the example.</summary>
    /// <exception cref="ExportException">Forward throws for the example itself.</exception>
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
                $"forward throws for the example input itself: {SizeSymbols.FirstLine(error)}",
                error
            );
        }

        tried.Add(Symbols.Example);
        domains = [.. Symbols.Example.Sizes.Select(size => new SizeDomain(size, 1, 1, NoLimit))];
    }

    /// <summary>Traces at other sizes.</summary>
    /// <param name="mayFix">Whether axes may be fixed if forward accepts no other size, because the caller did not
    /// name any free axes.</param>
    /// <exception cref="ExportException">An axis that the caller asked to be free can be varied neither alone nor
    /// together with others.</exception>
    public void Explore(bool mayFix)
    {
        if (Symbols.Names.Count == 0)
        {
            // No axis is free: two more runs with other inputs show what depends on the data.
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

    /// <summary>Traces another example of the caller, whatever its sizes.</summary>
    /// <param name="point">Its sizes.</param>
    /// <param name="traceExample">Runs it.</param>
    public void AddExample(SizePoint point, Func<Trace> traceExample)
    {
        tried.Add(point);
        Traces.Add((point, traceExample()));
    }

    /// <summary>Traces one more untried point, if formulas are still undecided. False if no point is left.</summary>
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
    /// Traces a point. False if forward throws there, or if the point has been tried before.
    /// </summary>
    /// <param name="point">The point to trace.</param>
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

    /// <summary>Notes that forward rejects a point.</summary>
    /// <param name="point">Where forward threw.</param>
    /// <param name="error">The exception.</param>
    public void LeaveOut(SizePoint point, Exception error)
    {
        lastFailure = error;
        LeftOut.Add(new LeftOutSize(Symbols.Describe(point), SizeSymbols.FirstLine(error)));
    }

    /// <summary>Number of additional traces that are affordable.</summary>
    private int Affordable() => Math.Clamp((int)(WorkOfFurtherTraces / Work), 0, MostTraces);

    // ---- points at which every axis has another size -------------------------------------------------------------------------

    /// <summary>Traces points at which all axes differ from the example, until three of them run.</summary>
    /// <param name="mostTries">Number of attempts before it gives up.</param>
    /// <returns>Number of points that ran.</returns>
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
        // A point that would be too large is moved closer to the example.
        var point = SpreadPoint(k, 1);
        for (var share = 0.8; share > 0.2 && IsTooLarge(point); share *= 0.8)
            point = SpreadPoint(k, share);
        return point;
    }

    /// <summary>A point at which every axis has another size, at a share of the intended distance from the
    /// example.</summary>
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

    /// <summary>Intended sizes of a symbol, in order of use.</summary>
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
    /// A size that is at least one step away from all sizes that other symbols have at this point or had in the first
    /// traces.
    /// </summary>
    /// <param name="symbol">A free size.</param>
    /// <param name="size">The intended size.</param>
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

    /// <summary>Learns which sizes each axis accepts, alone or tied to others.</summary>
    /// <param name="mayFix">Whether an axis that cannot vary may be fixed.</param>
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
            symbol = -1; // The symbols have changed: start again.
            if (Symbols.Names.Count == 0)
                return;
        }
    }

    /// <summary>
    /// Varies symbols of equal size together and leaves the others at the example's sizes; null if only the example
    /// works.
    /// </summary>
    /// <param name="together">Symbols that vary together.</param>
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

        // 95 may work and 97 may not, although 64 and 128 do: after five halvings, 65 to 96 all become three rows. So
        // a range that ends on this side may continue further away.
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

    /// <summary>The largest size above the example's that works, or <see cref="NoLimit"/> if no limit was
    /// found.</summary>
    /// <param name="size">A size that works.</param>
    /// <param name="step">Step between the sizes that are tried.</param>
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

    /// <summary>The smallest size below the example's that works.</summary>
    /// <param name="size">A size that works.</param>
    /// <param name="step">Step between the sizes that are tried.</param>
    /// <param name="moves">Whether a size works.</param>
    private static long LowestBelow(long size, long step, Func<long, bool> moves)
    {
        var near = size % step == 0 ? step : size % step;
        if (near == size - step || moves(near))
            return near;
        return Boundary(size - step, near, -step, moves);
    }

    /// <summary>The last size that works between one that works and one that fails, by bisection.</summary>
    /// <param name="works">A size that works.</param>
    /// <param name="fails">A size that fails.</param>
    /// <param name="step">Step between the sizes that are tried.</param>
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
    /// Tries to vary a stuck symbol together with others of the same size: those of other inputs first, then those of
    /// its own input, then all of them.
    /// </summary>
    /// <param name="symbol">A symbol that cannot vary alone.</param>
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
            // The previous traces contain sizes of more symbols, so they are discarded.
            Restart(Symbols.Tie([.. group.Order()], "forward runs only if their sizes are equal"));
            domains[Symbols.IndexOf(Symbols.Names[group.Min()])] = domain;
            return true;
        }

        return false;
    }

    /// <summary>Fixes an axis that cannot vary, or refuses if the caller asked for it to be free.</summary>
    /// <param name="symbol">A symbol that cannot vary.</param>
    /// <param name="mayFix">Whether the axis may be fixed.</param>
    private void FixOrRefuse(int symbol, bool mayFix)
    {
        var reason =
            $"forward accepts no other size of {string.Join(" and ", Symbols.AxesOf(symbol))} than the "
            + $"example's {Symbols.Example[symbol]}: {SizeSymbols.FirstLine(lastFailure!)}";
        if (!mayFix)
        {
            throw new ExportException(
                "",
                null,
                $"{reason} Remove that axis from ExportOptions.FreeAxes, or add the axes that must change "
                    + "together with it.",
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

    /// <summary>Starts again with other symbols; the example's trace is kept.</summary>
    /// <param name="symbols">The symbols that are still free.</param>
    private void Restart(SizeSymbols symbols)
    {
        Symbols = symbols;
        Traces.RemoveRange(1, Traces.Count - 1);
        Traces[0] = (Symbols.Example, Traces[0].Trace);
        tried.Clear();
        tried.Add(Symbols.Example);
        domains = [.. Symbols.Example.Sizes.Select(size => new SizeDomain(size, 1, 1, NoLimit))];
    }

    /// <summary>Fixes or refuses axes that have the same size in all traces.</summary>
    /// <param name="mayFix">Whether an axis may be fixed.</param>
    private void CheckEverySymbolMoved(bool mayFix)
    {
        for (var symbol = 0; symbol < Symbols.Names.Count; symbol++)
        {
            if (Traces.All(one => one.Point[symbol] == Symbols.Example[symbol]))
                FixOrRefuse(symbol, mayFix);
        }
    }

    // ---- further points ------------------------------------------------------------------------------------------------------

    /// <summary>An endless sequence of points that distinguish more formulas.</summary>
    private IEnumerable<SizePoint> FurtherPoints()
    {
        var symbols = Enumerable.Range(0, Symbols.Names.Count).ToArray();
        var constants = CodeConstants
            .Where(constant => constant is > 1 and <= 4096)
            .SelectMany(constant => (long[])[constant, constant + 1, constant - 1])
            .ToArray();
        for (var round = 0; ; round++)
        {
            // Alternating, so that any affordable number of points includes some of each kind: all axes varied at
            // once, one axis at a small size, one axis at an integer from the code.
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
    /// <param name="round">Round of the search.</param>
    private long? SmallSize(int symbol, int round)
    {
        var domain = domains[symbol];
        var lowest = domain.Low + ((((domain.Start - domain.Low) % domain.Step) + domain.Step) % domain.Step);
        var size = lowest + (round * domain.Step);
        return round < 12 && domain.Contains(size) ? size : null;
    }

    /// <summary>A point at which as many axes as possible are equal, sometimes the rows too.</summary>
    /// <param name="round">Round of the search.</param>
    private SizePoint EqualPoint(int round)
    {
        var size = Symbols.Example.Sizes.Max() + round;
        SizePoint WithRows(long rows) =>
            new([
                .. Enumerable
                    .Range(0, Symbols.Names.Count)
                    .Select(symbol => Symbols.IsRows(symbol) ? rows : domains[symbol].Nearest(size, isOdd: false)),
            ]);
        var point = WithRows(2 + round);
        if (round % 4 != 0)
            return point;
        var other = Enumerable.Range(0, Symbols.Names.Count).FirstOrDefault(symbol => !Symbols.IsRows(symbol), -1);
        var asManyRows = other < 0 ? point : WithRows(point[other]);
        return WorkAt(asManyRows) < WorkOfFurtherTraces / MostTraces ? asManyRows : point;
    }

    /// <summary>Sizes drawn log-uniformly, so that small and large ones occur together.</summary>
    /// <param name="round">Round of the search.</param>
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

    /// <summary>Alternately some axes small and the others large.</summary>
    /// <param name="round">Round of the search.</param>
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
