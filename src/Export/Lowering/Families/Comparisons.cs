// Comparison, logic and choice. Operands are brought to their common dtype first; the result is bool.
using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Comparisons
{
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
        table.Operation("logical_not", "Not", c => c.Result(c.Node("Not", ScalarType.Bool, c.ResultRank(), [c.Cast(c.Tensor(), ScalarType.Bool)])));
        table.Operation("bitwise_and", "And; BitwiseAnd", c => Bitwise(c, "And"), "integers from opset 18");
        table.Operation("bitwise_or", "Or; BitwiseOr", c => Bitwise(c, "Or"), "integers from opset 18");
        table.Operation("bitwise_xor", "Xor; BitwiseXor", c => Bitwise(c, "Xor"), "integers from opset 18");
        table.Operation("bitwise_not", "Not; BitwiseNot", BitwiseNot, "integers from opset 18");
        table.Operation("where", "Where", Where, "tensors or numbers");
        table.Operation("masked_fill", "Where", MaskedFill, "value");
        table.Operation("isclose", "Sub, Abs, LessOrEqual", IsClose, "rtol, atol");
    }

    private static void Compare(LoweringContext c, string onnx, bool negate = false)
    {
        var type = CommonType(c);
        var (left, right) = Arithmetic.Operands(c, type);
        var result = c.Node(onnx, ScalarType.Bool, c.ResultRank(), [left, right]);
        c.Result(negate ? c.Node("Not", ScalarType.Bool, c.ResultRank(), [result]) : result);
    }

    /// <summary>What type promotion makes of the operands: tensors with axes before numbers, floats before integers before booleans.</summary>
    private static ScalarType CommonType(LoweringContext c)
    {
        var tensors = c.Tensors();
        var withAxes = tensors.Where(tensor => tensor.Rank > 0).ToArray();
        var type = (withAxes.Length > 0 ? withAxes : tensors).Select(tensor => tensor.Type).Aggregate(promote_types);
        foreach (var other in tensors.Where(tensor => tensor.Rank == 0).Select(tensor => tensor.Type)) type = Kind(other) > Kind(type) ? promote_types(type, other) : type;
        var number = c.Positional.Any(argument => argument is double or VaryingNumber) ? ScalarType.Float32 : c.Positional.Any(argument => argument is long or VaryingInteger) ? ScalarType.Int64 : ScalarType.Bool;
        if (tensors.Length < 2 && Kind(number) > Kind(type)) type = number;
        // ONNX Runtime compares booleans for equality only.
        return type == ScalarType.Bool ? ScalarType.Int32 : type;
    }

    private static int Kind(ScalarType type) => type == ScalarType.Bool ? 0 : is_floating_point(type) ? 2 : 1;

    private static void Logic(LoweringContext c, string onnx)
    {
        var tensors = c.Tensors();
        c.Result(c.Node(onnx, ScalarType.Bool, c.ResultRank(), [c.Cast(tensors[0], ScalarType.Bool), c.Cast(tensors[1], ScalarType.Bool)]));
    }

    private static void Bitwise(LoweringContext c, string onnx)
    {
        var type = c.ResultType();
        if (type != ScalarType.Bool && c.Opset < 18) throw c.Refuse("bitwise operations on integers need opset 18");
        var (left, right) = Arithmetic.Operands(c, type);
        c.Result(c.Node(type == ScalarType.Bool ? onnx : $"Bitwise{onnx}", type, c.ResultRank(), [left, right]));
    }

    private static void BitwiseNot(LoweringContext c)
    {
        if (c.ResultType() != ScalarType.Bool && c.Opset < 18) throw c.Refuse("bitwise operations on integers need opset 18");
        c.Result(c.Like(c.ResultType() == ScalarType.Bool ? "Not" : "BitwiseNot", [c.Tensor()]));
    }

    private static void Where(LoweringContext c)
    {
        var type = c.ResultType();
        // torch.where(condition, a, b) or a.where(condition, b)
        var onTensor = !c.Method.IsStatic;
        var condition = c.Operand(c.Positional[onTensor ? 1 : 0], ScalarType.Bool);
        c.Result(c.Node("Where", type, c.ResultRank(), [condition, c.Operand(c.Positional[onTensor ? 0 : 1], type), c.Operand(c.Positional[2], type)]));
    }

    private static void MaskedFill(LoweringContext c)
    {
        var type = c.ResultType();
        c.Result(c.Node("Where", type, c.ResultRank(), [c.Cast(c.Tensor(1), ScalarType.Bool), c.Operand(c.Positional[2], type), c.Cast(c.Tensor(), type)]));
    }

    private static void IsClose(LoweringContext c)
    {
        var (a, b) = (c.Tensor(), c.Tensor(1));
        var rank = c.ResultRank();
        var allowed = c.Like("Add", [c.Like("Mul", [c.Like("Abs", [b]), c.Scalar(c.Number(1e-5, "rtol"), a.Type)]), c.Scalar(c.Number(1e-8, "atol"), a.Type)]);
        c.Result(c.Node("LessOrEqual", ScalarType.Bool, rank, [c.Like("Abs", [c.Node("Sub", a.Type, rank, [a, b])]), allowed]));
    }
}
