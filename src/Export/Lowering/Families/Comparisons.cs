// Comparison, logic and selection. Operands are cast to their common dtype first; the result is bool.
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers comparisons, logic, bitwise operations, and selection by a mask.</summary>
internal static class Comparisons
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Operation("gt", "Greater", c => Compare(c, "Greater"));
        table.Operation("ge", "GreaterOrEqual", c => Compare(c, "GreaterOrEqual"));
        table.Operation("lt", "Less", c => Compare(c, "Less"));
        table.Operation("le", "LessOrEqual", c => Compare(c, "LessOrEqual"));
        table.Operation("eq", "Equal", c => Compare(c, "Equal"));
        table.Operation("ne", "Equal, Not", c => Compare(c, "Equal", negate: true));
        table.Operation("logical_and", "And", c => Logic(c, "And"));
        table.Operation("logical_or", "Or", c => Logic(c, "Or"));
        table.Operation("logical_xor", "Xor", c => Logic(c, "Xor"));
        table.Operation("logical_not", "Not", c =>
            c.Result(c.Node("Not", ScalarType.Bool, c.ResultRank(), [c.Cast(c.Tensor(), ScalarType.Bool)]))
        );
        table.Operation("bitwise_and", "And; BitwiseAnd", c => Bitwise(c, "And"), "integers from opset 18");
        table.Operation("bitwise_or", "Or; BitwiseOr", c => Bitwise(c, "Or"), "integers from opset 18");
        table.Operation("bitwise_xor", "Xor; BitwiseXor", c => Bitwise(c, "Xor"), "integers from opset 18");
        table.Operation("bitwise_not", "Not; Sub", BitwiseNot);
        table.Operation("where", "Where", Where, "tensors or numbers");
        table.Operation("masked_fill", "Where", MaskedFill, "value");
        table.Operation("isclose", "Equal, Sub, Abs, LessOrEqual", IsClose, "rtol, atol, nanEqual");
    }

    /// <summary>Compares two operands in their common dtype.</summary>
    private static void Compare(LoweringContext c, string onnx, bool negate = false)
    {
        var type = CommonType(c);
        var (left, right) = Arithmetic.Operands(c, type);
        var result = c.Node(onnx, ScalarType.Bool, c.ResultRank(), [left, right]);
        c.Result(negate ? c.Node("Not", ScalarType.Bool, c.ResultRank(), [result]) : result);
    }

    /// <summary>The dtype of the operands after type promotion: tensors with axes take precedence over numbers, and
    /// floats over integers over booleans.</summary>
    private static ScalarType CommonType(LoweringContext c)
    {
        var tensors = c.Tensors();
        var withAxes = tensors.Where(tensor => tensor.Rank > 0).ToArray();
        var type = (withAxes.Length > 0 ? withAxes : tensors).Select(tensor => tensor.Type).Aggregate(promote_types);
        foreach (var other in tensors.Where(tensor => tensor.Rank == 0).Select(tensor => tensor.Type))
            type = Kind(other) > Kind(type) ? promote_types(type, other) : type;
        var number =
            c.Positional.Any(argument => argument is double or VaryingNumber) ? ScalarType.Float32
            : c.Positional.Any(argument => argument is long or VaryingInteger) ? ScalarType.Int64
            : ScalarType.Bool;
        if (tensors.Length < 2 && Kind(number) > Kind(type))
            type = number;
        // ONNX Runtime can compare booleans only for equality.
        return type == ScalarType.Bool ? ScalarType.Int32 : type;
    }

    /// <summary>
    /// The rank of a dtype in type promotion: booleans, integers, floating-point numbers.
    /// </summary>
    private static int Kind(ScalarType type) =>
        type == ScalarType.Bool ? 0
        : is_floating_point(type) ? 2
        : 1;

    /// <summary>Logical AND, OR or XOR of whether elements are non-zero.</summary>
    private static void Logic(LoweringContext c, string onnx)
    {
        var tensors = c.Tensors();
        c.Result(
            c.Node(
                onnx,
                ScalarType.Bool,
                c.ResultRank(),
                [c.Cast(tensors[0], ScalarType.Bool), c.Cast(tensors[1], ScalarType.Bool)]
            )
        );
    }

    /// <summary>Bitwise for integers, logical for booleans.</summary>
    private static void Bitwise(LoweringContext c, string onnx)
    {
        var type = c.ResultType();
        RefuseBelow18(c, type);
        var (left, right) = Arithmetic.Operands(c, type);
        c.Result(c.Node(type == ScalarType.Bool ? onnx : $"Bitwise{onnx}", type, c.ResultRank(), [left, right]));
    }

    /// <summary>Refuses bitwise operations on integers if the opset does not have them.</summary>
    private static void RefuseBelow18(LoweringContext c, ScalarType type)
    {
        if (type != ScalarType.Bool && c.Opset < 18)
            throw c.Refuse(
                $"bitwise operations on integers ({type}) need opset 18 or later, but "
                    + $"ExportOptions.Opset is {c.Opset}. Set it to 18, or use booleans"
            );
    }

    /// <summary>All bits inverted.</summary>
    private static void BitwiseNot(LoweringContext c)
    {
        // -1 - x inverts all bits without needing opset 18; for unsigned values it is 255 - x.
        var x = new Formula(c, c.Tensor());
        c.Result(x.Type == ScalarType.Bool ? (!x).Value : ((x.Type == ScalarType.Byte ? 255 : -1) - x).Value);
    }

    /// <summary>Chooses between two tensors or numbers by a mask.</summary>
    private static void Where(LoweringContext c)
    {
        if (c.Positional.Count < 3 || c.Positional[2] is null)
            throw c.Refuse(
                "where with only a condition returns a number of indices that depends on the data. Pass the two "
                    + "tensors to choose from as well"
            );
        var type = c.ResultType();
        // torch.where(condition, a, b) or a.where(condition, b)
        var onTensor = !c.Method.IsStatic;
        var condition = c.Operand(c.Positional[onTensor ? 1 : 0], ScalarType.Bool);
        c.Result(
            c.Node(
                "Where",
                type,
                c.ResultRank(),
                [condition, c.Operand(c.Positional[onTensor ? 0 : 1], type), c.Operand(c.Positional[2], type)]
            )
        );
    }

    /// <summary>Writes a number, or a tensor without axes, where a mask is true.</summary>
    private static void MaskedFill(LoweringContext c)
    {
        var type = c.ResultType();
        c.Result(
            c.Node(
                "Where",
                type,
                c.ResultRank(),
                [c.Cast(c.Tensor(1), ScalarType.Bool), c.Operand(c.Positional[2], type), c.Cast(c.Tensor(), type)]
            )
        );
    }

    /// <summary>
    /// |a - b| at most atol + rtol |b|, and equal infinities; NaN only if equal_nan says so.
    /// </summary>
    private static void IsClose(LoweringContext c)
    {
        double relative = c.Number(1e-5, "rtol"),
            absolute = c.Number(1e-8, "atol");
        var equalNan = c.Flag(false, "nanEqual", "equal_nan");
        Formula a = new(c, c.Tensor()),
            b = new(c, c.Tensor(1));
        var close = a.EqualTo(b);
        if (equalNan && a.IsFloat)
            close |= a.IsNan() & b.IsNan();
        if (relative != 0 || absolute != 0)
        {
            // Integers are compared as float32; float16 is rounded after each step, as TorchSharp does.
            var type = a.IsFloat ? a.Type : ScalarType.Float32;
            var (x, y) = (a.To(type), b.To(type));
            var share = (y.To(Kernels.Wide(type)) * relative).To(type).Abs();
            var allowed = (share.To(Kernels.Wide(type)) + absolute).To(type);
            var difference = (x - y).Abs();
            close |= !(difference.IsNan() | difference.IsInfinite()) & difference <= allowed;
        }

        c.Result(close.Value);
    }
}
