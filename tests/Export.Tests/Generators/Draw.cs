using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>The kind of values in a generated tensor.</summary>
internal enum ValueKind
{
    /// <summary>Random numbers around zero, integers from -9 to 9.</summary>
    Ordinary,

    /// <summary>NaN, infinities, -0, halves, small numbers, and the ends of an integer's range.</summary>
    Special,

    /// <summary>A few values, each many times.</summary>
    Ties,

    /// <summary>Numbers whose squares overflow or vanish, integers beyond 2^31 and 2^53.</summary>
    Large,
}

/// <summary>Draws options, shapes and values of generated cases; the same seed draws the same.</summary>
/// <param name="seed">The seed of the random numbers.</param>
internal sealed class Draw(int seed)
{
    // csharpier-ignore
    private static readonly double[] SpecialNumbers =
    [
        double.NaN, double.PositiveInfinity, double.NegativeInfinity, 0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3,
        -3, 1e-8, -1e-8, 1e-3, 0.1, -0.7, 3.75, 7, 20.5, -20.5, 6, -4
    ];

    // csharpier-ignore
    private static readonly double[] LargeNumbers =
    [
        1e30, -1e30, 3e25, 4e20, -1e19, 2147483648, -2147483648, 3000000000, 1099511627776, 16777217, 65504, -65504,
        1e5, 300.25, -300.25, 1e-30, -1e-25, 1e-15, 1, -1, 90, -90, 1000.5
    ];

    // csharpier-ignore
    private static readonly long[] SpecialIntegers =
    [
        0, 1, -1, 2, -2, 3, 5, 7, -7, 127, -128, 255, 32767, -32768, int.MaxValue, int.MinValue, long.MaxValue,
        long.MinValue
    ];

    private static readonly long[] LargeIntegers =
    [
        2147483648,
        3000000000,
        -3000000000,
        4294967296,
        4294967295,
        9007199254740993,
        -9007199254740993,
        (1L << 60) + 3,
        -(1L << 60) - 3,
        7,
        -7,
        3001,
        1L << 40,
        1,
        2,
        -2,
        100000,
    ];

    private readonly Random random = new(seed);

    /// <summary>An integer from <paramref name="low"/> to <paramref name="high"/>, both included.</summary>
    public long Number(long low, long high) => random.NextInt64(low, high + 1);

    /// <summary>A number from <paramref name="low"/> to <paramref name="high"/>.</summary>
    public double Real(double low, double high) => low + (random.NextDouble() * (high - low));

    /// <summary>True or false.</summary>
    public bool Flag() => random.Next(2) == 1;

    /// <summary>True once in a number of times.</summary>
    public bool OneIn(int times) => random.Next(times) == 0;

    /// <summary>One of several.</summary>
    public T Pick<T>(params T[] choices) => choices[random.Next(choices.Length)];

    /// <summary>An axis of a tensor, counted from the front or from the back.</summary>
    public long Axis(int rank) => rank == 0 ? Pick(0, -1) : Number(-rank, rank - 1);

    /// <summary>Different axes of a tensor, some counted from the back.</summary>
    public long[] Axes(int rank, int count) =>
        [
            .. Enumerable
                .Range(0, rank)
                .OrderBy(_ => random.Next())
                .Take(count)
                .Select(axis => Flag() ? axis : (long)axis - rank),
        ];

    /// <summary>A shape: the batch first, small sizes behind it.</summary>
    public long[] Shape(int rank, long batch = 2) =>
        [.. Enumerable.Range(0, rank).Select(axis => axis == 0 ? batch : Number(3, 6))];

    /// <summary>The shape with another batch.</summary>
    public static long[] WithBatch(long[] shape, long batch) => shape.Length == 0 ? shape : [batch, .. shape[1..]];

    /// <summary>A tensor of values of a kind.</summary>
    /// <param name="type">Its dtype.</param>
    /// <param name="shape">Its sizes.</param>
    /// <param name="kind">What the values are like.</param>
    public Tensor Values(ScalarType type, long[] shape, ValueKind kind)
    {
        using var scope = NewDisposeScope();
        var count = (int)shape.Aggregate(1L, (product, size) => product * size);
        if (is_floating_point(type))
        {
            var numbers = new double[count];
            for (var i = 0; i < count; i++)
                numbers[i] = Number(type, kind);
            return tensor(numbers, ScalarType.Float64).reshape(shape).to(type).MoveToOuterDisposeScope();
        }

        var integers = new long[count];
        for (var i = 0; i < count; i++)
            integers[i] = Integer(type, kind);
        return tensor(integers, ScalarType.Int64).reshape(shape).to(type).MoveToOuterDisposeScope();
    }

    private double Number(ScalarType type, ValueKind kind)
    {
        var number = kind switch
        {
            ValueKind.Ordinary => Normal() * 2,
            ValueKind.Special => random.Next(4) == 0 ? Normal() * 2 : Pick(SpecialNumbers),
            ValueKind.Ties => Pick(0.0, 1, -1, 0.5, 2),
            _ => Pick(LargeNumbers),
        };
        return type == ScalarType.Float16 && Math.Abs(number) > 65504 && double.IsFinite(number)
            ? number % 60000
            : number;
    }

    private long Integer(ScalarType type, ValueKind kind)
    {
        if (type == ScalarType.Bool)
            return random.Next(2);
        var number = kind switch
        {
            ValueKind.Ordinary => random.NextInt64(-9, 10),
            ValueKind.Special => random.Next(3) == 0 ? random.NextInt64(-20, 21) : Pick(SpecialIntegers),
            ValueKind.Ties => random.NextInt64(-1, 2),
            _ => Pick(LargeIntegers),
        };
        // In C# a conversion to fewer bits keeps the low ones, whatever torch makes of a number that is out of range.
        return type switch
        {
            ScalarType.Byte => (byte)number,
            ScalarType.Int8 => (sbyte)number,
            ScalarType.Int16 => (short)number,
            ScalarType.Int32 => (int)number,
            _ => number,
        };
    }

    private double Normal()
    {
        // Box-Muller
        var radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
        return radius * Math.Cos(2 * Math.PI * random.NextDouble());
    }
}
