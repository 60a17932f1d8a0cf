using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Where made integers come from.</summary>
internal enum IntegerSource
{
    /// <summary>All rows of the table that they index; the example's numbers where they index none.</summary>
    Table,

    /// <summary>The example's numbers, in any order.</summary>
    ExampleValues,

    /// <summary>Rows of the example as they are: offsets, edge lists and lengths have a structure of their
    /// own.</summary>
    ExampleRows,
}

/// <summary>
/// Makes inputs that are like the examples: the same dtypes and ranges of values, other sizes. TorchSharp's random
/// state is not used.
/// </summary>
/// <param name="examples">One an input.</param>
internal sealed class InputMaker(IReadOnlyList<Tensor> examples)
{
    private readonly long[] tableRows = new long[examples.Count];

    /// <summary>
    /// Where integers come from. Not all models take all kinds, so the capture starts with the first and goes on
    /// where forward throws.
    /// </summary>
    public IntegerSource Integers { get; set; }

    /// <summary>Whether any input is of integers.</summary>
    public bool HasIntegers => examples.Any(example => !is_floating_point(example) && example.dtype != ScalarType.Bool);

    /// <summary>Says that an input indexes a table of so many rows.</summary>
    /// <param name="input">Place of the input.</param>
    /// <param name="rows">Rows of the table; of several tables the smallest counts.</param>
    public void Indexes(int input, long rows) =>
        tableRows[input] = tableRows[input] == 0 ? rows : Math.Min(rows, tableRows[input]);

    /// <summary>One tensor an input, on the example's device.</summary>
    /// <param name="symbols">The free axes.</param>
    /// <param name="point">Their sizes.</param>
    /// <param name="random">Where the randomness comes from.</param>
    /// <param name="kind">What is in them.</param>
    /// <returns>One tensor per input; the caller disposes them.</returns>
    public Tensor[] Make(SizeSymbols symbols, SizePoint point, Random random, InputKind kind = InputKind.Random) =>
        [
            .. symbols.Inputs.Select(
                (input, i) =>
                    Like(examples[i], symbols.ShapeOf(input, point), random, kind, tableRows[i]).to(examples[i].device)
            ),
        ];

    /// <summary>Makes one tensor like an example.</summary>
    /// <param name="example">What it should look like.</param>
    /// <param name="shape">Sizes to make.</param>
    /// <param name="random">Where the randomness comes from.</param>
    /// <returns>A tensor of the example's dtype; the caller disposes it.</returns>
    public static Tensor Like(Tensor example, long[] shape, Random random) =>
        new InputMaker([example]).Like(example, shape, random, InputKind.Random, 0);

    /// <summary>One tensor of an example's dtype and range, on the processor.</summary>
    /// <param name="example">What the caller gave.</param>
    /// <param name="shape">Of the new tensor.</param>
    /// <param name="random">Gives the numbers.</param>
    /// <param name="kind">How they are drawn.</param>
    /// <param name="rows">Rows of the table that integers index; 0 where none is known.</param>
    private Tensor Like(Tensor example, long[] shape, Random random, InputKind kind, long rows)
    {
        using var scope = NewDisposeScope();
        var count = checked((int)shape.Aggregate(1L, (product, size) => product * size));
        if (example.numel() == 0)
            return zeros(shape, example.dtype).MoveToOuterDisposeScope();
        var isFloating = is_floating_point(example);
        if (!isFloating && example.dtype != ScalarType.Bool && Integers == IntegerSource.ExampleRows)
            return Rows(example, shape).MoveToOuterDisposeScope();
        if (example.dtype is ScalarType.Int64 or ScalarType.Int32 && kind == InputKind.LargeIntegers)
            return Large(shape, random, example.dtype).MoveToOuterDisposeScope();
        var values = example.detach().cpu().to(ScalarType.Float64).flatten().data<double>().ToArray();
        var made = new double[count];
        if (isFloating)
            Fill(made, values, random, kind);
        else if (example.dtype == ScalarType.Bool)
            FillMask(made, values, random, kind);
        else
            FillIntegers(made, values, random, Integers == IntegerSource.Table ? rows : 0);
        return tensor(made, ScalarType.Float64).reshape(shape).to(example.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Floating-point numbers: all over the example's range, or what the kind asks for.</summary>
    /// <param name="made">Receives the numbers.</param>
    /// <param name="example">Numbers of the caller's tensor.</param>
    /// <param name="random">Gives what is new.</param>
    /// <param name="kind">How they are drawn.</param>
    private static void Fill(double[] made, double[] example, Random random, InputKind kind)
    {
        var finite = example.Where(double.IsFinite).DefaultIfEmpty(0).ToArray();
        double low = finite.Min(),
            high = finite.Max();
        if (high - low < 1e-6)
            (low, high) = (low - 1, high + 1); // zeros or ones given as an example say nothing of the range
        for (var index = 0; index < made.Length; index++)
        {
            var drawn = low + (random.NextDouble() * (high - low));
            made[index] = kind switch
            {
                InputKind.Ties => Math.Round(drawn / Math.Max(high, -low) * 2) / 2 * Math.Max(high, -low),
                InputKind.Zeros => random.Next(4) == 0 ? -0.0 : 0.0,
                InputKind.Ones => 1,
                InputKind.NotANumber => random.Next(8) == 0 ? double.NaN : drawn,
                InputKind.Infinities => random.Next(8) switch
                {
                    0 => double.PositiveInfinity,
                    1 => double.NegativeInfinity,
                    _ => drawn,
                },
                _ => drawn,
            };
        }

        // Small tensors must have at least one special value too.
        if (made.Length > 0 && kind == InputKind.NotANumber)
            made[random.Next(made.Length)] = double.NaN;
        if (made.Length > 0 && kind == InputKind.Infinities)
            made[random.Next(made.Length)] = random.Next(2) == 0 ? double.PositiveInfinity : double.NegativeInfinity;
    }

    /// <summary>Booleans as zeros and ones.</summary>
    /// <param name="made">Receives zeros and ones.</param>
    /// <param name="example">Numbers of the caller's tensor.</param>
    /// <param name="random">Gives what is new.</param>
    /// <param name="kind">How they are drawn.</param>
    private static void FillMask(double[] made, double[] example, Random random, InputKind kind)
    {
        for (var index = 0; index < made.Length; index++)
        {
            made[index] = kind switch
            {
                InputKind.Zeros => 0,
                InputKind.Ones => 1,
                InputKind.Random => example[random.Next(example.Length)],
                _ => random.Next(2),
            };
        }
    }

    /// <summary>Indices into a table, or the example's own integers in any order.</summary>
    /// <param name="made">Receives the numbers.</param>
    /// <param name="example">Numbers of the caller's tensor.</param>
    /// <param name="random">Gives what is new.</param>
    /// <param name="rows">Rows of the table that they index; 0 where none is known.</param>
    private static void FillIntegers(double[] made, double[] example, Random random, long rows)
    {
        for (var index = 0; index < made.Length; index++)
            made[index] = rows > 0 ? random.NextInt64(rows) : example[random.Next(example.Length)];
    }

    /// <summary>Integers of up to 40 bits (31 for int32), of both signs.</summary>
    /// <param name="shape">Of the new tensor.</param>
    /// <param name="random">Gives the numbers.</param>
    /// <param name="type">Of its elements.</param>
    private static Tensor Large(long[] shape, Random random, ScalarType type)
    {
        var bits = type == ScalarType.Int64 ? 40 : 31;
        var count = shape.Aggregate(1L, (product, size) => product * size);
        return tensor(
                [.. Enumerable.Range(0, (int)count).Select(_ => random.NextInt64(-(1L << bits) + 1, 1L << bits))],
                ScalarType.Int64
            )
            .reshape(shape)
            .to(type);
    }

    /// <summary>The example itself, cut or repeated along the axes that have another size.</summary>
    /// <param name="example">What the caller gave.</param>
    /// <param name="shape">Of the new tensor.</param>
    private static Tensor Rows(Tensor example, long[] shape)
    {
        var rows = example.detach().cpu();
        for (var axis = 0; axis < shape.Length; axis++)
        {
            var size = example.shape[axis];
            if (shape[axis] != size)
                rows = rows.index_select(
                    axis,
                    tensor([.. Enumerable.Range(0, (int)shape[axis]).Select(i => i % size)], ScalarType.Int64)
                );
        }

        return rows.clone();
    }
}
