// What it does: finds the formula of sizes that gives an integer, from its values in the traces. Candidates are tried
// from simple to complex, level by level, and all that fit on the simplest level are returned: where two of them
// differ at some size, the caller traces there. u, w are sizes (leaves), c a constant:
//   0  u
//   1  u * c, u / c exactly, u + c, c - u, c / u exactly
//   2  u / c rounded down or up, u % c, min(u, c), max(u, c), sqrt(u)
//   3  u + w, u - w, u * w, u / w (also rounded up), u % w, min, max
//   4  a pool of all of these over the sizes of the inputs and the nearest sizes, with one more constant;
//      (c - u % c) % c
//   5  two formulas of the pool combined
//   6  the last step inverted (v - c, v / c, v / u, c - v …), then levels 3 to 5 again: ((h + 15) / 16) * 16,
//      b * (h / 2) * (w / 2)
// Many formulas fit few traces by chance, so the deep levels are tried only if there are enough traces.
namespace TorchBridge.Export.Sizes;

/// <summary>A size that formulas may contain.</summary>
/// <param name="Axis">The axis of a value that has this size.</param>
/// <param name="Sizes">The size in each trace.</param>
internal sealed record SizeLeaf(SizeExpression.Axis Axis, long[] Sizes);

/// <summary>Finds formulas of sizes.</summary>
internal sealed class SizeSolver
{
    /// <summary>Number of traces below which a formula of several steps may fit by chance.</summary>
    public const int TracesForDeepFormulas = 7;

    /// <summary>Number of the nearest sizes of which any two are combined directly.</summary>
    private const int LeavesOfPairs = 24;

    /// <summary>Number of sizes in the pool, which grows with their square.</summary>
    private const int LeavesOfPool = 6;

    /// <summary>Number of alternative formulas with the same values that the pool keeps; more would multiply when
    /// formulas are paired.</summary>
    private const int RivalsOfFormula = 3;

    /// <summary>Operators that combine two formulas of the pool, in the order in which <see cref="PoolWithPool"/>
    /// tries them.</summary>
    private static readonly SizeOperator[] Together =
    [
        SizeOperator.Multiply,
        SizeOperator.Add,
        SizeOperator.Subtract,
        SizeOperator.Multiply,
    ];

    // csharpier-ignore
    /// <summary>
    /// Constants tried for every model: small factors, kernel and patch sizes, powers of two, and powers of two minus
    /// one.
    /// </summary>
    private static readonly long[] UsualConstants =
    [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 20, 24, 31, 32, 48, 63, 64, 100, 127, 128, 256
    ];

    /// <summary>The usual constants, and the integers in the model's code with their neighbours; all
    /// positive.</summary>
    private readonly long[] constants;

    /// <summary>All varying sizes, the nearest first, without duplicates (equal in every trace).</summary>
    private readonly SizeLeaf[] leaves;

    /// <summary>The first few of them, with those of the inputs first.</summary>
    private readonly SizeLeaf[] leavesOfPool;

    /// <summary>Number of traces; 0 if no size varies.</summary>
    private readonly int traces;

    /// <summary>
    /// One-step formulas from which longer ones are built; null until <see cref="Pool"/> is first called.
    /// </summary>
    private List<Candidate>? pool;

    /// <summary>The pool by values in the traces, for looking up the missing part of a sum or product.</summary>
    private Dictionary<long[], Candidate>? poolByValues;

    /// <summary>Creates a solver over the given sizes.</summary>
    /// <param name="near">Sizes of the values that the operation reads.</param>
    /// <param name="inputs">Sizes of the model's inputs.</param>
    /// <param name="others">Other sizes that may be used. Of sizes that are equal in every trace, the first is
    /// used.</param>
    /// <param name="constants">Integers in the model's code.</param>
    public SizeSolver(
        IReadOnlyList<SizeLeaf> near,
        IReadOnlyList<SizeLeaf> inputs,
        IEnumerable<SizeLeaf> others,
        IEnumerable<long> constants
    )
    {
        leaves = Distinct(near.Concat(inputs).Concat(others));
        leavesOfPool = [.. Distinct(inputs.Concat(near)).Take(LeavesOfPool)];
        traces = leaves.Length == 0 ? 0 : leaves[0].Sizes.Length;
        this.constants =
        [
            .. UsualConstants
                .Concat(constants.Where(c => c > 0).SelectMany(c => (long[])[c, c - 1, c + 1]))
                .Where(c => c > 0)
                .Distinct(),
        ];
    }

    /// <summary>Sizes that differ between traces, without duplicates (equal in every trace).</summary>
    /// <param name="candidates">Candidates in order of preference.</param>
    private static SizeLeaf[] Distinct(IEnumerable<SizeLeaf> candidates)
    {
        var seen = new HashSet<long[]>(VectorComparer.Instance);
        return [.. candidates.Where(leaf => leaf.Sizes.Any(size => size != leaf.Sizes[0]) && seen.Add(leaf.Sizes))];
    }

    /// <summary>The sizes that formulas are built from, the nearest first.</summary>
    public IReadOnlyList<SizeLeaf> Leaves => leaves;

    /// <summary>A formula with its values in the traces.</summary>
    /// <param name="Values">One value per trace.</param>
    /// <param name="Make">Builds the formula on demand, because most candidates never become part of a
    /// result.</param>
    private sealed record Candidate(long[] Values, Func<SizeExpression> Make)
    {
        /// <summary>Other formulas with the same values: h / 31 besides h / 32 if no trace had 31 or more.</summary>
        public List<Func<SizeExpression>> Rivals { get; } = [];

        /// <summary>The formula and its rivals.</summary>
        public IEnumerable<SizeExpression> All() => Rivals.Prepend(Make).Select(make => make());
    }

    /// <summary>All distinct formulas with these values on the simplest level; empty if nothing fits.</summary>
    /// <param name="values">One value per trace.</param>
    public IReadOnlyList<SizeExpression> Solve(long[] values)
    {
        if (leaves.FirstOrDefault(leaf => leaf.Sizes.AsSpan().SequenceEqual(values)) is { } same)
            return [same.Axis];
        foreach (var level in (Func<long[], IEnumerable<SizeExpression>>[])[Exact, Rounded, Pairs, Deep, Undone])
        {
            var found = level(values).Take(8).ToArray();
            if (found.Length > 0)
                return found;
        }

        return [];
    }

    /// <summary>A formula of at most one step, for the declared shape of a value; null if there is none.</summary>
    /// <param name="values">One value per trace.</param>
    public SizeExpression? SolveSimple(long[] values) =>
        leaves.FirstOrDefault(leaf => leaf.Sizes.AsSpan().SequenceEqual(values))?.Axis
        ?? Exact(values).Concat(Rounded(values)).Concat(Pairs(values)).FirstOrDefault();

    /// <summary>Integers that numbers may be built from: sizes, and sizes combined with a constant.</summary>
    public IEnumerable<(long[] Values, Func<SizeExpression> Make)> Integers() =>
        leaves
            .Select(leaf => (leaf.Sizes, (Func<SizeExpression>)(() => leaf.Axis)))
            .Concat(Pool().Select(formula => (formula.Values, formula.Make)));

    // ---- one size and a constant ---------------------------------------------------------------------------------------------

    /// <summary>Level 1: products, exact quotients, sums and differences of a size and a number.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> Exact(long[] values)
    {
        foreach (var leaf in leaves)
        {
            var (first, size) = (values[0], leaf.Sizes[0]);
            if (
                size != 0
                && first % size == 0
                && WithConstant(SizeOperator.Multiply, leaf, first / size, values) is { } product
            )
                yield return product;
            if (first != 0 && size % first == 0 && IsExact(leaf, values, size / first))
                yield return Binary(SizeOperator.Divide, leaf.Axis, size / first);
            if (WithConstant(SizeOperator.Add, leaf, first - size, values) is { } sum)
                yield return sum;
            if (leaf.Sizes.Zip(values).All(pair => pair.First + pair.Second == first + size))
                yield return Binary(SizeOperator.Subtract, first + size, leaf.Axis);
            if (
                first != 0
                && leaf.Sizes.Zip(values).All(pair => pair.First != 0 && pair.First * pair.Second == first * size)
            )
                yield return Binary(SizeOperator.Divide, first * size, leaf.Axis);
        }
    }

    /// <summary>Whether a size divided by a number gives the values without remainder.</summary>
    /// <param name="leaf">An axis with its sizes.</param>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <param name="divisor">At least 1.</param>
    private static bool IsExact(SizeLeaf leaf, long[] values, long divisor) =>
        divisor > 1
        && leaf.Sizes.Zip(values).All(pair => pair.First % divisor == 0 && pair.First / divisor == pair.Second);

    /// <summary>Combines a size with a number by an operation.</summary>
    /// <param name="operation">Operation between size and constant.</param>
    /// <param name="leaf">An axis with its sizes.</param>
    /// <param name="constant">The number.</param>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <returns>Null if the result does not fit every trace.</returns>
    private static SizeExpression? WithConstant(SizeOperator operation, SizeLeaf leaf, long constant, long[] values)
    {
        if (constant == 0)
            return null;
        for (var index = 0; index < values.Length; index++)
        {
            if (SizeExpression.Apply(operation, leaf.Sizes[index], constant) != values[index])
                return null;
        }

        return operation == SizeOperator.Add && constant < 0
            ? Binary(SizeOperator.Subtract, leaf.Axis, -constant)
            : Binary(operation, leaf.Axis, constant);
    }

    /// <summary>Level 2: quotients rounded down or up, remainders, minimum, maximum, square roots.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> Rounded(long[] values)
    {
        foreach (var leaf in leaves)
        {
            foreach (var divisor in Divisors(leaf.Sizes, values))
            {
                if (WithConstant(SizeOperator.Divide, leaf, divisor, values) is { } down)
                    yield return down;
                if (Fits(values, i => SizeExpression.Apply(SizeOperator.Divide, leaf.Sizes[i] + divisor - 1, divisor)))
                    yield return Ceiling(leaf.Axis, divisor);
            }

            foreach (var constant in constants.Append(values.Min()).Append(values.Max()).Distinct())
            {
                foreach (var operation in (SizeOperator[])[SizeOperator.Remainder, SizeOperator.Min, SizeOperator.Max])
                {
                    if (WithConstant(operation, leaf, constant, values) is { } found)
                        yield return found;
                }
            }

            if (Fits(values, i => SizeExpression.Root(leaf.Sizes[i])))
                yield return new SizeExpression.SquareRoot(leaf.Axis);
        }
    }

    /// <summary>The divisors that are possible for the trace with the largest quotient.</summary>
    /// <param name="sizes">Sizes of an axis, in each trace.</param>
    /// <param name="values">The wanted values, one per trace.</param>
    private static IEnumerable<long> Divisors(long[] sizes, long[] values)
    {
        var at = Array.IndexOf(values, values.Max());
        if (values[at] <= 0)
            yield break;
        for (
            var divisor = Math.Max(2, sizes[at] / (values[at] + 1));
            divisor <= Math.Min(4096, (sizes[at] / Math.Max(1, values[at] - 1)) + 1);
            divisor++
        )
            yield return divisor;
    }

    // ---- two sizes -----------------------------------------------------------------------------------------------------------

    /// <summary>Level 3: two sizes combined by one operation.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> Pairs(long[] values)
    {
        var some = leaves.Take(LeavesOfPairs).Select(leaf => new Candidate(leaf.Sizes, () => leaf.Axis)).ToArray();
        return Combined(values, some, some);
    }

    /// <summary>Combines every formula of one list with every formula of another.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <param name="left">First operands.</param>
    /// <param name="right">Second operands.</param>
    private static IEnumerable<SizeExpression> Combined(
        long[] values,
        IReadOnlyList<Candidate> left,
        IReadOnlyList<Candidate> right
    )
    {
        foreach (var one in left)
        {
            foreach (var other in right)
            {
                foreach (var found in Combined(values, one, other))
                    yield return found;
            }
        }
    }

    /// <summary>Combines two formulas by every operation that fits.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <param name="a">The first operand.</param>
    /// <param name="b">The second operand.</param>
    private static IEnumerable<SizeExpression> Combined(long[] values, Candidate a, Candidate b)
    {
        // The first trace rules out nearly all of them; only the rest are checked in the other traces.
        var (x, y, wanted) = (a.Values[0], b.Values[0], values[0]);
        var isFirst = x < y || (x == y && Precedes(a.Values, b.Values)); // a + b and b + a are one formula
        if (x + y == wanted && isFirst && Fits(values, a, b, SizeOperator.Add))
            yield return Binary(SizeOperator.Add, a.Make(), b.Make());
        if (x - y == wanted && Fits(values, a, b, SizeOperator.Subtract))
            yield return Binary(SizeOperator.Subtract, a.Make(), b.Make());
        if (x * y == wanted && isFirst && Fits(values, a, b, SizeOperator.Multiply))
            yield return Binary(SizeOperator.Multiply, a.Make(), b.Make());
        if (y == 0)
            yield break;
        if (x / y == wanted && Fits(values, a, b, SizeOperator.Divide))
            yield return Binary(SizeOperator.Divide, a.Make(), b.Make());
        if (x % y == wanted && Fits(values, a, b, SizeOperator.Remainder))
            yield return Binary(SizeOperator.Remainder, a.Make(), b.Make());
        if (Math.Min(x, y) == wanted && isFirst && Fits(values, a, b, SizeOperator.Min))
            yield return Binary(SizeOperator.Min, a.Make(), b.Make());
        if (Math.Max(x, y) == wanted && isFirst && Fits(values, a, b, SizeOperator.Max))
            yield return Binary(SizeOperator.Max, a.Make(), b.Make());
        if (
            y > 0
            && (x + y - 1) / y == wanted
            && Fits(values, i =>
                b.Values[i] <= 0 ? SizeExpression.Undefined : (a.Values[i] + b.Values[i] - 1) / b.Values[i]
            )
        )
            yield return Binary(
                SizeOperator.Divide,
                Binary(SizeOperator.Subtract, Binary(SizeOperator.Add, a.Make(), b.Make()), 1),
                b.Make()
            );
    }

    /// <summary>An order on vectors, so that a sum is found once and not in both orders.</summary>
    /// <param name="a">The first vector.</param>
    /// <param name="b">A vector of the same length.</param>
    private static bool Precedes(long[] a, long[] b)
    {
        for (var index = 0; index < a.Length; index++)
        {
            if (a[index] != b[index])
                return a[index] < b[index];
        }

        return true;
    }

    // ---- formulas of several steps -------------------------------------------------------------------------------------------

    /// <summary>
    /// Levels 4 and 5: formulas of several steps, if there are enough traces to rule out a fit by chance.
    /// </summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> Deep(long[] values)
    {
        if (traces < TracesForDeepFormulas)
            return [];
        var found = PoolWithConstant(values).Concat(Padding(values)).Take(8).ToArray();
        if (found.Length == 0)
            found = [.. PoolWithPool(values).Take(8)];
        return found.Length > 0 ? found : QuotientsOfPool(values);
    }

    /// <summary>Two formulas of the pool, added, subtracted or multiplied; the second one is looked up.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> PoolWithPool(long[] values)
    {
        var hasZeros = values.Contains(0);
        foreach (var one in Pool())
        {
            Candidate?[] others =
            [
                hasZeros ? Factor(values, one) : null,
                Find(one, x => x.Value - x.Known),
                Find(one, x => x.Known - x.Value),
                Find(one, x => x.Known != 0 && x.Value % x.Known == 0 ? x.Value / x.Known : SizeExpression.Undefined),
            ];
            foreach (var (operation, other) in Together.Zip(others))
            {
                if (other is null)
                    continue;
                foreach (var left in one.All())
                foreach (var right in other.All())
                    yield return Binary(operation, left, right);
            }
        }

        Candidate? Find(Candidate known, Func<(long Known, long Value), long> other)
        {
            var wanted = new long[values.Length];
            for (var index = 0; index < wanted.Length; index++)
            {
                wanted[index] = other((known.Values[index], values[index]));
                if (wanted[index] == SizeExpression.Undefined)
                    return null;
            }

            return poolByValues!.GetValueOrDefault(wanted);
        }
    }

    /// <summary>
    /// The factor that turns a formula into the wanted product if the product is zero in some traces, where the
    /// factor may have any value.
    /// </summary>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <param name="a">A formula that may divide the product.</param>
    private Candidate? Factor(long[] values, Candidate a)
    {
        for (var index = 0; index < values.Length; index++)
        {
            if (a.Values[index] == 0 ? values[index] != 0 : values[index] % a.Values[index] != 0)
                return null;
        }

        return Pool().FirstOrDefault(b => Fits(values, a, b, SizeOperator.Multiply));
    }

    /// <summary>Two formulas of the pool, divided, or the minimum or maximum of them.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> QuotientsOfPool(long[] values)
    {
        var formulas = Pool();
        var first = formulas.Select(formula => formula.Values[0]).ToArray();
        var second = formulas.Select(formula => formula.Values[1]).ToArray();
        for (var index = 0; index < formulas.Count; index++)
        {
            for (var other = 0; other < formulas.Count; other++)
            {
                // Two traces rule out nearly all pairs without evaluating the formulas.
                var mayFit =
                    (
                        Math.Min(first[index], first[other]) == values[0]
                        && Math.Min(second[index], second[other]) == values[1]
                    )
                    || (
                        Math.Max(first[index], first[other]) == values[0]
                        && Math.Max(second[index], second[other]) == values[1]
                    )
                    || (
                        first[other] > 0
                        && second[other] > 0
                        && first[index] / first[other] == values[0]
                        && second[index] / second[other] == values[1]
                    )
                    || (
                        first[other] > 0
                        && second[other] > 0
                        && first[index] % first[other] == values[0]
                        && second[index] % second[other] == values[1]
                    );
                if (!mayFit)
                    continue;
                foreach (var found in Combined(values, formulas[index], formulas[other]))
                    yield return found;
            }
        }
    }

    /// <summary>A formula of the pool combined with a constant.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> PoolWithConstant(long[] values)
    {
        foreach (var formula in Pool())
        {
            foreach (var constant in constants)
            {
                foreach (var operation in Enum.GetValues<SizeOperator>())
                {
                    if (
                        SizeExpression.Apply(operation, formula.Values[0], constant) == values[0]
                        && Fits(values, formula, constant, operation)
                    )
                    {
                        foreach (var one in formula.All())
                            yield return Binary(operation, one, constant);
                    }
                }

                if (constant - formula.Values[0] == values[0] && Fits(values, i => constant - formula.Values[i]))
                {
                    foreach (var one in formula.All())
                        yield return Binary(SizeOperator.Subtract, constant, one);
                }
            }
        }
    }

    /// <summary>The padding up to a multiple: (c - u % c) % c.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> Padding(long[] values)
    {
        foreach (var leaf in leavesOfPool)
        {
            foreach (var constant in constants.Where(constant => constant > 1))
            {
                if (Fits(values, i => (constant - (leaf.Sizes[i] % constant)) % constant))
                    yield return Binary(
                        SizeOperator.Remainder,
                        Binary(SizeOperator.Subtract, constant, Binary(SizeOperator.Remainder, leaf.Axis, constant)),
                        constant
                    );
            }
        }
    }

    /// <summary>Level 6: inverts the last step and solves for the rest.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<SizeExpression> Undone(long[] values)
    {
        if (traces < TracesForDeepFormulas)
            yield break;
        foreach (var (before, redo) in Undo(values))
        {
            foreach (var found in Pairs(before).Concat(PoolWithConstant(before)).Concat(PoolWithPool(before)).Take(8))
                yield return redo(found);
        }
    }

    /// <summary>The vectors from which one more step gives these values, with that step.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    private IEnumerable<(long[] Before, Func<SizeExpression, SizeExpression> Redo)> Undo(long[] values)
    {
        foreach (var constant in constants)
        {
            if (constant > 1 && values.All(value => value % constant == 0))
                yield return ([.. values.Select(value => value / constant)], rest =>
                    Binary(SizeOperator.Multiply, rest, constant)
                );
            yield return ([.. values.Select(value => value - constant)], rest =>
                Binary(SizeOperator.Add, rest, constant)
            );
            yield return ([.. values.Select(value => value + constant)], rest =>
                Binary(SizeOperator.Subtract, rest, constant)
            );
            yield return ([.. values.Select(value => constant - value)], rest =>
                Binary(SizeOperator.Subtract, constant, rest)
            );
        }

        foreach (var leaf in leavesOfPool)
        {
            if (leaf.Sizes.Zip(values).All(pair => pair.First != 0 && pair.Second % pair.First == 0))
                yield return ([.. values.Zip(leaf.Sizes, (value, size) => value / size)], rest =>
                    Binary(SizeOperator.Multiply, rest, leaf.Axis)
                );
            yield return ([.. values.Zip(leaf.Sizes, (value, size) => value - size)], rest =>
                Binary(SizeOperator.Add, rest, leaf.Axis)
            );
            yield return ([.. values.Zip(leaf.Sizes, (value, size) => size - value)], rest =>
                Binary(SizeOperator.Subtract, leaf.Axis, rest)
            );
            yield return ([.. values.Zip(leaf.Sizes, (value, size) => value + size)], rest =>
                Binary(SizeOperator.Subtract, rest, leaf.Axis)
            );
        }
    }

    /// <summary>The nearest sizes, combined with every constant and with each other: the building blocks of longer
    /// formulas.</summary>
    private List<Candidate> Pool()
    {
        if (pool is not null)
            return pool;
        pool = [];
        poolByValues = new Dictionary<long[], Candidate>(VectorComparer.Instance);
        void Add(long[] values, Func<SizeExpression> make)
        {
            if (values.All(value => value == values[0]) || values.Contains(SizeExpression.Undefined))
                return;
            if (poolByValues.TryGetValue(values, out var known))
            {
                if (known.Rivals.Count < RivalsOfFormula)
                    known.Rivals.Add(make);
                return;
            }

            var formula = new Candidate(values, make);
            pool.Add(formula);
            poolByValues.Add(values, formula);
        }

        var some = leavesOfPool;
        foreach (var leaf in some)
            Add(leaf.Sizes, () => leaf.Axis);
        foreach (var (a, b) in some.SelectMany(a => some.Select(b => (a, b))))
        {
            foreach (var operation in Enum.GetValues<SizeOperator>())
                Add([.. a.Sizes.Zip(b.Sizes, (x, y) => SizeExpression.Apply(operation, x, y))], () =>
                    Binary(operation, a.Axis, b.Axis)
                );
        }

        foreach (var leaf in some)
        {
            Add([.. leaf.Sizes.Select(SizeExpression.Root)], () => new SizeExpression.SquareRoot(leaf.Axis));
            foreach (var constant in constants)
            {
                foreach (var operation in Enum.GetValues<SizeOperator>())
                    Add([.. leaf.Sizes.Select(size => SizeExpression.Apply(operation, size, constant))], () =>
                        Binary(operation, leaf.Axis, constant)
                    );
                Add([.. leaf.Sizes.Select(size => constant - size)], () =>
                    Binary(SizeOperator.Subtract, constant, leaf.Axis)
                );
                Add([.. leaf.Sizes.Select(size => (size + constant - 1) / constant)], () =>
                    Ceiling(leaf.Axis, constant)
                );
            }
        }

        return pool;
    }

    // ---- small things --------------------------------------------------------------------------------------------------------

    /// <summary>Whether a formula gives the values in all traces.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <param name="formula">Its value in a trace.</param>
    private static bool Fits(long[] values, Func<int, long> formula)
    {
        for (var index = 0; index < values.Length; index++)
        {
            if (formula(index) != values[index])
                return false;
        }

        return true;
    }

    /// <summary>Whether two formulas combined by an operation give the values in all traces.</summary>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <param name="a">The first operand.</param>
    /// <param name="b">The second operand.</param>
    /// <param name="operation">Operation between the two.</param>
    private static bool Fits(long[] values, Candidate a, Candidate b, SizeOperator operation)
    {
        for (var index = 0; index < values.Length; index++)
        {
            if (SizeExpression.Apply(operation, a.Values[index], b.Values[index]) != values[index])
                return false;
        }

        return true;
    }

    /// <summary>
    /// Whether a formula and a number combined by an operation give the values in all traces.
    /// </summary>
    /// <param name="values">The wanted values, one per trace.</param>
    /// <param name="formula">The first operand.</param>
    /// <param name="constant">The second operand.</param>
    /// <param name="operation">Operation between the two.</param>
    private static bool Fits(long[] values, Candidate formula, long constant, SizeOperator operation)
    {
        for (var index = 0; index < values.Length; index++)
        {
            if (SizeExpression.Apply(operation, formula.Values[index], constant) != values[index])
                return false;
        }

        return true;
    }

    /// <summary>A quotient rounded up: (u + c - 1) / c.</summary>
    /// <param name="operand">The dividend.</param>
    /// <param name="divisor">At least 1.</param>
    private static SizeExpression.Binary Ceiling(SizeExpression operand, long divisor) =>
        Binary(SizeOperator.Divide, Binary(SizeOperator.Add, operand, divisor - 1), divisor);

    /// <summary>Combines two formulas.</summary>
    private static SizeExpression.Binary Binary(SizeOperator operation, SizeExpression left, SizeExpression right) =>
        new(operation, left, right);

    /// <summary>Combines a formula with a number.</summary>
    private static SizeExpression.Binary Binary(SizeOperator operation, SizeExpression left, long right) =>
        new(operation, left, new SizeExpression.Constant(right));

    /// <summary>Combines a number with a formula.</summary>
    private static SizeExpression.Binary Binary(SizeOperator operation, long left, SizeExpression right) =>
        new(operation, new SizeExpression.Constant(left), right);

    /// <summary>Compares vectors of values element by element.</summary>
    private sealed class VectorComparer : IEqualityComparer<long[]>
    {
        public static VectorComparer Instance { get; } = new();

        public bool Equals(long[]? x, long[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(long[] obj)
        {
            var hash = default(HashCode);
            foreach (var value in obj)
                hash.Add(value);
            return hash.ToHashCode();
        }
    }
}
