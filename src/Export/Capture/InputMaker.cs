using TorchBridge.Export.Onnx;
using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Where generated integers come from.</summary>
internal enum IntegerSource
{
    /// <summary>All rows of the table that they index; the example's numbers if they index none.</summary>
    Table,

    /// <summary>The example's numbers, in any order.</summary>
    ExampleValues,

    /// <summary>Unchanged rows of the example: offsets, edge lists and lengths have a structure that must be
    /// kept.</summary>
    ExampleRows,
}

/// <summary>
/// Generates inputs that resemble the examples: same dtypes and value ranges, other sizes. TorchSharp's random state
/// is not used.
/// </summary>
/// <param name="examples">One example per input.</param>
internal sealed class InputMaker(IReadOnlyList<Tensor> examples)
{
    /// <summary>Fills a part of a tensor.</summary>
    /// <param name="part">Receives the numbers.</param>
    private delegate void SpanAction(Span<double> part);

    private readonly long[] tableRows = new long[examples.Count];

    /// <summary>
    /// Where integers come from. Not every model accepts every source, so the capture starts with the first and moves
    /// on to the next when forward throws.
    /// </summary>
    public IntegerSource Integers { get; set; }

    /// <summary>Whether any input has an integer dtype.</summary>
    public bool HasIntegers => examples.Any(example => !is_floating_point(example) && example.dtype != ScalarType.Bool);

    /// <summary>Notes that an input indexes a table.</summary>
    /// <param name="input">Position of the input.</param>
    /// <param name="rows">Number of rows of the table; of several tables the smallest counts.</param>
    public void Indexes(int input, long rows) =>
        tableRows[input] = tableRows[input] == 0 ? rows : Math.Min(rows, tableRows[input]);

    /// <summary>Generates one tensor per input, on the example's device.</summary>
    /// <param name="symbols">The free axes.</param>
    /// <param name="point">Their sizes.</param>
    /// <param name="random">Source of randomness.</param>
    /// <param name="kind">Contents of the tensors.</param>
    /// <returns>One tensor per input; the caller disposes them.</returns>
    public Tensor[] Make(SizeSymbols symbols, SizePoint point, Random random, InputKind kind = InputKind.Random) =>
        [
            .. symbols.Inputs.Select(
                (input, i) =>
                    Like(examples[i], symbols.ShapeOf(input, point), random, kind, tableRows[i]).to(examples[i].device)
            ),
        ];

    /// <summary>Generates one tensor that resembles an example.</summary>
    /// <param name="example">The example to resemble.</param>
    /// <param name="shape">Shape of the new tensor.</param>
    /// <param name="random">Source of randomness.</param>
    /// <returns>A tensor of the example's dtype; the caller disposes it.</returns>
    public static Tensor Like(Tensor example, long[] shape, Random random) =>
        new InputMaker([example]).Like(example, shape, random, InputKind.Random, 0);

    /// <summary>Generates one tensor with an example's dtype and range, on the CPU.</summary>
    /// <param name="example">The caller's example.</param>
    /// <param name="shape">Shape of the new tensor.</param>
    /// <param name="random">Gives the numbers.</param>
    /// <param name="kind">Contents of the tensor.</param>
    /// <param name="rows">Number of rows of the table that integers index; 0 if unknown.</param>
    private Tensor Like(Tensor example, long[] shape, Random random, InputKind kind, long rows)
    {
        using var scope = NewDisposeScope();
        if (example.numel() == 0)
            return zeros(shape, example.dtype).MoveToOuterDisposeScope();
        var isFloating = is_floating_point(example);
        if (!isFloating && example.dtype != ScalarType.Bool && Integers == IntegerSource.ExampleRows)
            return Rows(example, shape).MoveToOuterDisposeScope();
        if (example.dtype is ScalarType.Int64 or ScalarType.Int32 && kind == InputKind.LargeIntegers)
            return Large(shape, random, example.dtype).MoveToOuterDisposeScope();
        var made = zeros(shape.Aggregate(1L, (product, size) => product * size), example.dtype);
        if (isFloating)
            FillNumbers(made, RangeOf(example), random, kind);
        else
        {
            var values = example.detach().cpu().to(ScalarType.Float64).flatten().data<double>().ToArray();
            var table = Integers == IntegerSource.Table ? rows : 0;
            InBlocks(made, block =>
            {
                if (example.dtype == ScalarType.Bool)
                    FillMask(block, values, random, kind);
                else
                    FillIntegers(block, values, random, table);
            });
        }

        return made.reshape(shape).MoveToOuterDisposeScope();
    }

    /// <summary>Fills a tensor block by block: what is drawn in float64 is rounded to the tensor's dtype at once, so
    /// that a large tensor is never held in float64.</summary>
    /// <param name="made">A tensor with one axis.</param>
    /// <param name="fill">Fills one block.</param>
    private static void InBlocks(Tensor made, SpanAction fill)
    {
        for (var start = 0L; start < made.numel(); start += TensorBlocks.Elements)
        {
            using var scope = NewDisposeScope();
            var block = TensorBlocks.At(made, start);
            var drawn = empty(block.numel(), ScalarType.Float64);
            fill(TensorBlocks.Writable(drawn));
            block.copy_(drawn);
        }
    }

    /// <summary>The smallest and the largest finite number of an example, or a range around 0 or 1 if all are
    /// equal.</summary>
    /// <param name="example">The caller's example, of a floating-point dtype.</param>
    private static (double Low, double High) RangeOf(Tensor example)
    {
        using var scope = NewDisposeScope();
        var flat = TensorBlocks.Flat(example);
        double low = double.PositiveInfinity,
            high = double.NegativeInfinity;
        for (var start = 0L; start < flat.numel(); start += TensorBlocks.Elements)
        {
            using var blockScope = NewDisposeScope();
            foreach (var value in TensorBlocks.Doubles(TensorBlocks.At(flat, start)))
            {
                if (double.IsFinite(value))
                    (low, high) = (Math.Min(low, value), Math.Max(high, value));
            }
        }

        if (low > high)
            (low, high) = (0, 0); // no finite number
        // Zeros or ones as an example say nothing about the range.
        return high - low < 1e-6 ? (low - 1, high + 1) : (low, high);
    }

    /// <summary>Fills in floating-point numbers: over the example's range, or what the kind asks for.</summary>
    /// <param name="made">Receives the numbers.</param>
    /// <param name="range">The example's range.</param>
    /// <param name="random">Source of randomness.</param>
    /// <param name="kind">Contents of the tensor.</param>
    private static void FillNumbers(Tensor made, (double Low, double High) range, Random random, InputKind kind)
    {
        var (low, high) = range;
        var largest = Math.Max(high, -low);
        InBlocks(made, block =>
        {
            foreach (ref var number in block)
            {
                var drawn = low + (random.NextDouble() * (high - low));
                number = kind switch
                {
                    InputKind.Ties => Math.Round(drawn / largest * 2) / 2 * largest,
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
        });

        // Even small tensors get at least one special value.
        if (made.numel() > 0 && kind is InputKind.NotANumber or InputKind.Infinities)
        {
            var special =
                kind == InputKind.NotANumber ? double.NaN
                : random.Next(2) == 0 ? double.PositiveInfinity
                : double.NegativeInfinity;
            made.narrow(0, random.NextInt64(made.numel()), 1).fill_(special);
        }
    }

    /// <summary>Fills in booleans as zeros and ones.</summary>
    /// <param name="made">Receives zeros and ones.</param>
    /// <param name="example">Elements of the example.</param>
    /// <param name="random">Source of randomness.</param>
    /// <param name="kind">Contents of the tensor.</param>
    private static void FillMask(Span<double> made, double[] example, Random random, InputKind kind)
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

    /// <summary>Fills in indices into a table, or the example's own integers in random order.</summary>
    /// <param name="made">Receives the numbers.</param>
    /// <param name="example">Elements of the example.</param>
    /// <param name="random">Source of randomness.</param>
    /// <param name="rows">Number of rows of the table that they index; 0 if unknown.</param>
    private static void FillIntegers(Span<double> made, double[] example, Random random, long rows)
    {
        for (var index = 0; index < made.Length; index++)
            made[index] = rows > 0 ? random.NextInt64(rows) : example[random.Next(example.Length)];
    }

    /// <summary>A tensor of integers of up to 40 bits (31 for int32), with both signs.</summary>
    /// <param name="shape">Shape of the new tensor.</param>
    /// <param name="random">Gives the numbers.</param>
    /// <param name="type">Dtype of the elements.</param>
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

    /// <summary>The example itself, cropped or repeated along the axes whose size differs.</summary>
    /// <param name="example">The caller's example.</param>
    /// <param name="shape">Shape of the new tensor.</param>
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
