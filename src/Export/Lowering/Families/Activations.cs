// Activations, element by element. Where ONNX has no operator before opset 20 the formula is written out; ONNX Runtime fuses it again.
//   GELU      x/2 (1 + erf(x / sqrt 2));  tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
//   SiLU      x sigmoid(x)          Mish      x tanh(softplus(x))        LogSigmoid  -softplus(-x)
//   Softplus  log(1 + exp(beta x)) / beta, and x itself where beta x > threshold
//   RReLU     in eval mode a leaky ReLU of slope (lower + upper) / 2
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Activations
{
    public static void Register(OperatorTable table)
    {
        Both<ReLU>(table, "relu", "Relu", c => Simple(c, "Relu"));
        Both<ReLU6>(table, "relu6", "Clip", c => c.Result(Clip(c, X(c), 0, 6)));
        Both<Sigmoid>(table, "sigmoid", "Sigmoid", c => Simple(c, "Sigmoid"));
        Both<Tanh>(table, "tanh", "Tanh", c => Simple(c, "Tanh"));
        Both<LeakyReLU>(table, "leaky_relu", "LeakyRelu", c => Simple(c, "LeakyRelu", ("alpha", (float)Option(c, 0.01, "negative_slope"))), "negative_slope");
        Both<RReLU>(table, "rrelu", "LeakyRelu", c => Simple(c, "LeakyRelu", ("alpha", (float)((Option(c, 1.0 / 8, "lower") + Option(c, 1.0 / 3, "upper")) / 2))), "lower, upper");
        Both<ELU>(table, "elu", "Elu", c => Simple(c, "Elu", ("alpha", (float)Option(c, 1, "alpha"))), "alpha");
        Both<CELU>(table, "celu", "Celu", c => Simple(c, "Celu", ("alpha", (float)Option(c, 1, "alpha"))), "alpha");
        Both<SELU>(table, "selu", "Selu", c => Simple(c, "Selu"));
        Both<GELU>(table, "gelu", "Erf, Mul, Add; Tanh", Gelu, "approximate");
        Both<SiLU>(table, "silu", "Sigmoid, Mul", c => c.Result(c.Like("Mul", [X(c), c.Like("Sigmoid", [X(c)])])));
        Both<Mish>(table, "mish", "Softplus, Tanh, Mul", c => c.Result(c.Like("Mul", [X(c), c.Like("Tanh", [c.Like("Softplus", [X(c)])])])));
        Both<Hardswish>(table, "hardswish", "HardSwish", c => Simple(c, "HardSwish"));
        Both<Hardsigmoid>(table, "hardsigmoid", "HardSigmoid", c => Simple(c, "HardSigmoid", ("alpha", 1f / 6), ("beta", 0.5f)));
        Both<Hardtanh>(table, "hardtanh", "Clip", Hardtanh, "min_val, max_val; inplace: true");
        Both<Hardshrink>(table, "hardshrink", "Shrink", c => Simple(c, "Shrink", ("lambd", (float)Option(c, 0.5, "lambda")), ("bias", 0f)), "lambda");
        Both<Softshrink>(table, "softshrink", "Shrink", c => Simple(c, "Shrink", ("lambd", (float)Option(c, 0.5, "lambda")), ("bias", (float)Option(c, 0.5, "lambda"))), "lambda");
        Both<Softsign>(table, "softsign", "Softsign", c => Simple(c, "Softsign"));
        Both<Tanhshrink>(table, "tanhshrink", "Tanh, Sub", c => c.Result(c.Like("Sub", [X(c), c.Like("Tanh", [X(c)])])));
        Both<LogSigmoid>(table, "logsigmoid", "Neg, Softplus", c => c.Result(c.Like("Neg", [c.Like("Softplus", [c.Like("Neg", [X(c)])])])));
        Both<Softplus>(table, "softplus", "Softplus", Softplus, "beta, threshold");
        Both<Threshold>(table, "threshold", "Greater, Where", ThresholdRule, "threshold, value");
        Both<GLU>(table, "glu", "Split, Sigmoid, Mul", Glu, "dim");
        table.Module<PReLU>("PRelu", c => PRelu(c, X(c), c.Parameter(((PReLU)c.Module!).weight, "weight")), "num_parameters");
        table.Operation("prelu", "PRelu", c => PRelu(c, X(c), c.Tensor(1)), "num_parameters");
        Both<Softmax>(table, "softmax", "Softmax", c => Softmax(c, "Softmax", Dim(c)), "dim, dtype");
        Both<LogSoftmax>(table, "log_softmax", "LogSoftmax", c => Softmax(c, "LogSoftmax", Dim(c)), "dim, dtype");
        Both<Softmin>(table, "softmin", "Neg, Softmax", c => c.Result(c.Like("Softmax", [c.Like("Neg", [X(c)])], ("axis", c.Axis(Dim(c), X(c).Rank)))), "dim");
        Both<Softmax2d>(table, "softmax2d", "Softmax", c => Softmax(c, "Softmax", -3));
    }

    /// <summary>min(max(x, low), high)</summary>
    public static GraphValue Clip(LoweringContext c, GraphValue x, double low, double high) => c.Like("Clip", [x, c.Scalar(low, x.Type), c.Scalar(high, x.Type)]);

    /// <summary>x/2 (1 + erf(x / sqrt 2)), which feed-forward layers of transformers use too.</summary>
    public static GraphValue GeluExact(LoweringContext c, GraphValue x)
    {
        var erf = c.Like("Erf", [c.Like("Div", [x, c.Scalar(Math.Sqrt(2), x.Type)])]);
        return c.Like("Mul", [c.Like("Mul", [x, c.Like("Add", [erf, c.Scalar(1, x.Type)])]), c.Scalar(0.5, x.Type)]);
    }

    private static void Both<TModule>(OperatorTable table, string operation, string onnx, LoweringRule rule, string options = "") where TModule : nn.Module
    {
        table.Module<TModule>(onnx, rule, options);
        table.Operation(operation, onnx, rule, options);
    }

    private static GraphValue X(LoweringContext c) => c.Cast(c.Tensor(), c.ResultType());

    private static void Simple(LoweringContext c, string onnx, params (string, object)[] attributes) => c.Result(c.Like(onnx, [X(c)], attributes));

    private static double Option(LoweringContext c, double fallback, string name) =>
        c.Module is not null ? ModuleFields.Double(c.Module, fallback, name) : c.Number(fallback, name, name.Replace("_val", "", StringComparison.Ordinal));

    private static long Dim(LoweringContext c) => c.Module is not null ? ModuleFields.Long(c.Module, -1, "dim") : c.Integer(-1, "dim", "dimension");

    private static void Softmax(LoweringContext c, string onnx, long axis) => c.Result(c.Like(onnx, [X(c)], ("axis", c.Axis(axis, X(c).Rank))));

    private static void Gelu(LoweringContext c)
    {
        var x = X(c);
        var approximate = c.Module is GELU module ? module.approximate.ToString() : c.Text("approximate") ?? "none";
        if (!approximate.Equals("tanh", StringComparison.OrdinalIgnoreCase))
        {
            c.Result(GeluExact(c, x));
            return;
        }

        var cube = c.Like("Mul", [c.Like("Mul", [c.Like("Mul", [x, x]), x]), c.Scalar(0.044715, x.Type)]);
        var inner = c.Like("Mul", [c.Like("Add", [x, cube]), c.Scalar(Math.Sqrt(2 / Math.PI), x.Type)]);
        var half = c.Like("Mul", [x, c.Scalar(0.5, x.Type)]);
        c.Result(c.Like("Mul", [half, c.Like("Add", [c.Like("Tanh", [inner]), c.Scalar(1, x.Type)])]));
    }

    private static void Softplus(LoweringContext c)
    {
        var x = X(c);
        double beta = Option(c, 1, "beta"), threshold = Option(c, 20, "threshold");
        var scaled = beta == 1 ? x : c.Like("Mul", [x, c.Scalar(beta, x.Type)]);
        var soft = c.Like("Softplus", [scaled]);
        if (beta != 1) soft = c.Like("Div", [soft, c.Scalar(beta, x.Type)]);
        // Beyond 20 the two differ by 2e-9: nothing in float32.
        if (threshold < 20) soft = c.Node("Where", x.Type, x.Rank, [c.Node("Greater", ScalarType.Bool, x.Rank, [scaled, c.Scalar(threshold, x.Type)]), x, soft]);
        c.Result(soft);
    }

    private static void ThresholdRule(LoweringContext c)
    {
        var x = X(c);
        var above = c.Node("Greater", ScalarType.Bool, x.Rank, [x, c.Scalar(Option(c, 0, "threshold"), x.Type)]);
        c.Result(c.Node("Where", x.Type, x.Rank, [above, x, c.Scalar(Option(c, 0, "value"), x.Type)]));
    }

    private static void Hardtanh(LoweringContext c)
    {
        var inPlace = c.Module is Hardtanh module ? module.inplace : c.Method.Name.EndsWith('_') || c.Flag(false, "inplace");
        if (!inPlace) throw c.Refuse("TorchSharp 0.107's hardtanh without inplace gives its input back unchanged. Use inplace: true, or clamp, which do what is meant");
        c.Result(Clip(c, X(c), Option(c, -1, "min_val"), Option(c, 1, "max_val")));
    }

    private static void Glu(LoweringContext c)
    {
        var x = X(c);
        var axis = c.Axis(Dim(c), x.Rank);
        var half = c.FixedResultSize(0, (int)axis) ?? throw c.Refuse("the axis that is halved is free");
        var parts = c.Nodes("Split", [(x.Type, x.Rank), (x.Type, x.Rank)], [x, c.Constants([half, half])], ("axis", axis));
        c.Result(c.Like("Mul", [parts[0], c.Like("Sigmoid", [parts[1]])]));
    }

    private static void PRelu(LoweringContext c, GraphValue x, GraphValue weight)
    {
        // One slope a channel, axis 1: [C] becomes [C, 1, ...] to broadcast over the rest.
        var slope = x.Rank > 2 && weight.Rank == 1 ? c.Node("Unsqueeze", weight.Type, x.Rank - 1, [weight, c.Constants([.. Enumerable.Range(1, x.Rank - 2).Select(axis => (long)axis)])]) : weight;
        c.Result(c.Like("PRelu", [x, slope]));
    }
}
