// Operations with random options on one to three tensors. Each row creates a function, and describes the tensors from
// which random shapes, dtypes and values are chosen. A new operation only needs a new row.
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>An operation for which cases are generated.</summary>
/// <param name="Name">Its name, unique.</param>
/// <param name="Arity">Number of tensors that the function takes: 1 or 2.</param>
/// <param name="Make">Chooses random options for tensors of a rank, and returns the function.</param>
internal sealed record OperationRow(string Name, int Arity, Func<Draw, Shape, Delegate> Make)
{
    /// <summary>Ranks that the first tensor may have.</summary>
    public int[] Ranks { get; init; } = [1, 2, 3, 4];

    /// <summary>Dtypes that it takes; others are tried too, and refused by TorchSharp.</summary>
    public ScalarType[] Types { get; init; } = OperationCases.AllTypes;

    /// <summary>How results are compared.</summary>
    public Closeness Closeness { get; init; } = Closeness.Row;

    /// <summary>Factor on the tolerance.</summary>
    public double Slack { get; init; } = 1;

    /// <summary>See <see cref="GeneratedCase.Floor"/>.</summary>
    public double Floor { get; init; } = 1e-7;

    /// <summary>See <see cref="GeneratedCase.Terms"/>.</summary>
    public double Terms { get; init; }

    /// <summary>What the values may be like.</summary>
    public ValueKind[] Kinds { get; init; } = [ValueKind.Ordinary, ValueKind.Special, ValueKind.Ties];

    /// <summary>Changes drawn values into what the operation takes (indices, probabilities).</summary>
    public Func<Tensor, Tensor>? Prepare { get; init; }

    /// <summary>The shape of the second tensor; by default one that broadcasts.</summary>
    public Func<Draw, long[], long[]>? SecondShape { get; init; }

    /// <summary>The shape of the first; by default small sizes.</summary>
    public Func<Draw, int, long[]>? FirstShape { get; init; }

    /// <summary>The dtype of the second tensor; by default any.</summary>
    public Func<Draw, ScalarType, ScalarType>? SecondType { get; init; }

    /// <summary>Changes the second tensor into what the operation takes.</summary>
    public Func<Tensor, long[], Tensor>? PrepareSecond { get; init; }

    /// <summary>Opset of the export.</summary>
    public int Opset { get; init; } = 17;

    /// <summary>Batches that it is compared at beside the example's.</summary>
    public long[] Batches { get; init; } = [2, 1, 7, 0];
}

/// <summary>What is known about the first tensor when the options are chosen.</summary>
/// <param name="Sizes">Its sizes in the example.</param>
/// <param name="Type">Its dtype.</param>
internal sealed record Shape(long[] Sizes, ScalarType Type)
{
    /// <summary>Number of axes.</summary>
    public int Rank => Sizes.Length;
}

/// <summary>Generates cases of the operations.</summary>
internal static partial class OperationCases
{
    /// <summary>Dtypes that ONNX Runtime and TorchSharp share.</summary>
    public static readonly ScalarType[] AllTypes =
    [
        ScalarType.Float32,
        ScalarType.Float64,
        ScalarType.Float16,
        ScalarType.BFloat16,
        ScalarType.Int64,
        ScalarType.Int32,
        ScalarType.Int16,
        ScalarType.Int8,
        ScalarType.Byte,
        ScalarType.Bool,
    ];

    /// <summary>The floating-point ones.</summary>
    public static readonly ScalarType[] Floats =
    [
        ScalarType.Float32,
        ScalarType.Float64,
        ScalarType.Float16,
        ScalarType.BFloat16,
    ];

    /// <summary>All but those that TorchSharp rounds after each of its steps.</summary>
    private static readonly ScalarType[] NotRounded =
    [
        .. AllTypes.Where(type => type is not (ScalarType.Float16 or ScalarType.BFloat16)),
    ];

    private static readonly Lazy<OperationRow[]> Lazy = new(() => [.. Rows()]);

    /// <summary>Every operation.</summary>
    public static IReadOnlyList<OperationRow> All => Lazy.Value;

    /// <summary>Draws a case of an operation.</summary>
    /// <param name="row">The operation.</param>
    /// <param name="draw">Where the randomness comes from.</param>
    /// <param name="type">Dtype of the first tensor, or null to draw it.</param>
    public static GeneratedCase Of(OperationRow row, Draw draw, ScalarType? type = null)
    {
        var first = type ?? draw.Pick(row.Types);
        var rank = draw.Pick(row.Ranks);
        var sizes = row.FirstShape?.Invoke(draw, rank) ?? draw.Shape(rank);
        var second = row.SecondType?.Invoke(draw, first) ?? (draw.Flag() ? first : draw.Pick(AllTypes));
        var secondSizes = row.Arity < 2 ? [] : row.SecondShape?.Invoke(draw, sizes) ?? Broadcasting(draw, sizes);
        var module = ToModule(row.Make(draw, new Shape(sizes, first)));
        Tensor[] Inputs(long batch, ValueKind kind)
        {
            long[] With(long[] shape) =>
                shape.Length > 0 && sizes.Length > 0 && shape[0] == sizes[0] ? Draw.WithBatch(shape, batch) : shape;
            Tensor Prepared(Tensor tensor) => row.Prepare?.Invoke(tensor) ?? tensor;
            var x = Prepared(draw.Values(first, With(sizes), kind));
            if (row.Arity < 2)
                return [x];
            var y = draw.Values(second, With(secondSizes), kind);
            return [x, row.PrepareSecond?.Invoke(y, With(sizes)) ?? y];
        }

        var others = row
            .Batches.SelectMany(batch => row.Kinds.Select(kind => ($"{kind}, batch {batch}", Inputs(batch, kind))))
            .ToArray();
        return new GeneratedCase(
            $"{row.Name} {first}{(row.Arity > 1 ? $" {second}" : "")} "
                + $"[{string.Join('x', sizes)}]{(row.Arity > 1 ? $" [{string.Join('x', secondSizes)}]" : "")}",
            module,
            Inputs(sizes.Length == 0 ? 2 : sizes[0], ValueKind.Ordinary),
            others
        )
        {
            Closeness = row.Closeness,
            Slack = row.Slack,
            Floor = row.Floor,
            Terms = row.Terms,
            Options = new ExportOptions { Verify = false, Opset = row.Opset },
        };
    }

    private static nn.Module ToModule(Delegate function) =>
        function switch
        {
            Func<Tensor, Tensor> one => new Function(one),
            Func<Tensor, Tensor, Tensor> two => new Function2(two),
            Func<Tensor, Tensor[]> many => new FunctionMany(many),
            Func<Tensor, Tensor, Tensor[]> many => new Function2Many(many),
            _ => throw new ArgumentException($"a row makes a {function.GetType()}"),
        };

    private static long[] Broadcasting(Draw draw, long[] sizes)
    {
        var shape = sizes.Select((size, axis) => axis > 0 && draw.OneIn(4) ? 1 : size).ToArray();
        return draw.OneIn(5) && shape.Length > 0 ? shape[1..] : shape;
    }
}
