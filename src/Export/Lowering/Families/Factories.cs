// Tensors created in forward: filled tensors whose sizes may depend on a free axis, ranges, identity matrices, index
// lists of triangles.
//   linspace   from both ends, as libtorch does: start + step i in the first half, end - step (n - 1 - i) in the second
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers tensors that forward creates from numbers and sizes.</summary>
internal static class Factories
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        foreach (var name in (string[])["zeros", "zeros_like", "new_zeros"])
            table.Operation(name, "Expand", c => Filled(c, 0L), "sizes may depend on free axes");
        // The content of an empty tensor is undefined, so zeros are valid; it is filled or written later.
        foreach (var name in (string[])["empty", "empty_like", "new_empty"])
            table.Operation(name, "Expand", c => Filled(c, 0L), "sizes may depend on free axes; zeros until filled");
        foreach (var name in (string[])["ones", "ones_like", "new_ones"])
            table.Operation(name, "Expand", c => Filled(c, 1L), "sizes may depend on free axes");
        foreach (var name in (string[])["full", "full_like", "new_full"])
            table.Operation(
                name,
                "Expand",
                c => Filled(c, c.Raw("value", "fill_value")),
                "sizes may depend on free axes, value"
            );
        table.Operation("fill", "Expand", c => Filled(c, c.Raw("value", "fill_value")), "value");
        table.Operation("zero", "Expand", c => Filled(c, 0L));
        table.Operation("arange", "Range", Arange, "start, stop, step; sizes may depend on free axes");
        table.Operation(
            "linspace",
            "Range, Mul, Add, Where",
            c => c.Result(Spaced(c).Value),
            "start, end, steps; sizes may depend on free axes"
        );
        table.Operation(
            "logspace",
            "Range, Mul, Add, Where, Pow",
            c =>
                c.Result(
                    Spaced(c) is var exponents
                        ? exponents.Number(c.Number(10, "base")).Binary("Pow", exponents).Value
                        : default
                ),
            "start, end, steps, base; sizes may depend on free axes"
        );
        table.Operation("eye", "Range, Equal", Eye, "rows, columns; sizes may depend on free axes");
        foreach (var (name, upper) in ((string, bool)[])[("tril_indices", false), ("triu_indices", true)])
            table.Operation(name, "(constant)", c => Triangle(c, upper), "row, col, offset");
        foreach (var name in RandomDraws.Names)
            table.Operation(
                name,
                name.StartsWith("randn", StringComparison.Ordinal) ? "RandomNormalLike" : "RandomUniformLike",
                Draw,
                "low, high; sizes may depend on free axes; only with ExportOptions.RandomNumbers"
            );
        table.Operation("clone", "(nothing)", c => c.Result(c.Tensor()));
        table.Operation("copy", "Expand", c =>
            c.Result(
                c.Node(
                    "Expand",
                    c.ResultType(),
                    c.ResultRank(),
                    [c.Cast(c.Tensor(1), c.ResultType()), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]
                )
            )
        );
    }

    /// <summary>A tensor filled with one number; its shape may depend on free axes.</summary>
    private static void Filled(LoweringContext c, object? value)
    {
        var type = c.ResultType();
        c.Result(
            c.Node(
                "Expand",
                type,
                c.ResultRank(),
                [c.Operand(value, type), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]
            )
        );
    }

    /// <summary>Largest range of random integers, because float32 represents no more distinct values.</summary>
    private const double MostWhole = 1 << 24;

    /// <summary>Random numbers that the file draws itself: uniform, normal or integer, in the shape of the
    /// call.</summary>
    private static void Draw(LoweringContext c)
    {
        if (!c.DrawsNumbers)
            throw c.Refuse(
                $"{Refusals.Random} Or set ExportOptions.RandomNumbers, so that the file repeats the numbers of "
                    + "one run (Fixed), or draws new ones at each run (Drawn)."
            );
        var type = c.ResultType();
        var wide = is_floating_point(type) ? Kernels.Wide(type) : ScalarType.Float32;
        var shape = c.Node(
            "Expand",
            wide,
            c.ResultRank(),
            [c.Scalar(0, wide), c.SizeVector(LoweringContext.ToSizes(c.ResultSizes()))]
        );
        var isNormal = c.Method.Name.StartsWith("randn", StringComparison.Ordinal);
        var drawn = new Formula(c, c.Like(isNormal ? "RandomNormalLike" : "RandomUniformLike", [shape]));
        if (!c.Method.Name.StartsWith("randint", StringComparison.Ordinal))
        {
            c.Result(drawn.To(type).Value);
            return;
        }

        var (low, high) = (c.Number(0, "low"), c.Number(0, "high"));
        if (high - low > MostWhole)
            throw c.Refuse(
                $"the range has more than {MostWhole} integers, which float32 cannot represent "
                    + "exactly; use a smaller range"
            );
        // Kept below the end, because a uniform number close to 1 can round up to the end when it is scaled.
        var whole = (drawn * (high - low)).Apply("Floor");
        c.Result((whole.Min(whole.Number(high - low - 1)) + low).To(type).Value);
    }

    /// <summary>Numbers from start to end by a step; each of these may depend on a free axis.</summary>
    private static void Arange(LoweringContext c)
    {
        // float16 and bfloat16 are computed in float32, small integers in int64.
        var type = is_floating_point(c.ResultType()) ? Kernels.Wide(c.ResultType()) : ScalarType.Int64;
        GraphValue Number(object? value) => c.Operand(value, type);
        c.Result(
            c.Node(
                "Range",
                type,
                1,
                [Number(c.Raw("start") ?? 0L), Number(c.Raw("stop", "end")), Number(c.Raw("step") ?? 1L)]
            )
        );
    }

    /// <summary>
    /// Equally spaced numbers from start to end, computed from both ends as in libtorch.
    /// </summary>
    private static Formula Spaced(LoweringContext c)
    {
        var type = Kernels.Wide(c.ResultType());
        if (!is_floating_point(type))
            throw c.Refuse($"numbers of {type} have no defined rounding. Create them in float32 and cast");
        var steps = c.Raw("steps") ?? throw c.Refuse("steps is missing");
        if (c.Raw("start") is VaryingNumber or VaryingInteger || c.Raw("end") is VaryingNumber or VaryingInteger)
            throw c.Refuse("start or end depends on a free axis; use arange and scale the result");
        var (start, end) = (c.Number(0, "start"), c.Number(1, "end"));
        if (steps is long known && known > 1)
        {
            // Step, start and end are rounded to the dtype, as in libtorch.
            using var scope = NewDisposeScope();
            return new Formula(c, c.Computed(linspace(start, end, known, type), "linspace"));
        }

        var count = c.SizeValue(steps);
        var places = new Formula(c, c.Cast(Layout.Range(c, count), type));
        var last = new Formula(c, c.Cast(Layout.Scalar(c, count), type)) - 1;
        var step = (end - start) / last.Max(last.Number(1));
        return
            Formula.Where(places * 2 < last, places * step + start, end - (last - places) * step) is var numbers
            && start == end
            ? numbers
            : Formula.Where(last.EqualTo(0), numbers.Number(start), numbers);
    }

    /// <summary>Ones on the diagonal, zeros elsewhere.</summary>
    private static void Eye(LoweringContext c)
    {
        // Whether the row index equals the column index.
        var sizes = LoweringContext.ToSizes(c.ResultSizes());
        Formula Places(int axis) => new(c, Layout.Unsqueeze(c, Layout.Range(c, c.SizeValue(sizes[axis])), 1 - axis));
        c.Result(Places(0).EqualTo(Places(1)).Value);
    }

    /// <summary>Rows and columns of a triangle's elements: a constant.</summary>
    private static void Triangle(LoweringContext c, bool upper)
    {
        using var scope = NewDisposeScope();
        var (rows, columns, offset) = (c.Integer(0, "row"), c.Integer(0, "col"), c.Integer(0, "offset"));
        var type = c.ResultType();
        c.Result(
            c.Computed(
                upper ? triu_indices(rows, columns, offset, type) : tril_indices(rows, columns, offset, type),
                "triangle"
            )
        );
    }
}
