// What it does: lowers operations on complex numbers, which ONNX Runtime does not support, to operations on pairs of
// real numbers.
//   views, sizes, sums   linear: the operation's own rule, once for the real parts and once for the imaginary parts
//   products             (a + bi)(c + di) = (ac - bd) + (ad + bc)i; with a real factor, each part by itself
//   polar                abs cos angle, abs sin angle
// This covers rotary embeddings as LLaMA ports write them: view_as_complex(x) * freqs_cis, then view_as_real.
using TorchBridge.Export.Capture;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering;

/// <summary>Represents complex numbers as pairs of real numbers.</summary>
internal static class ComplexPairs
{
    private static readonly HashSet<string> PartByPart = new(StringComparer.Ordinal)
    {
        "index",
        "narrow",
        "select",
        "slice",
        "index_select",
        "view",
        "view_as",
        "reshape",
        "reshape_as",
        "unsqueeze",
        "squeeze",
        "transpose",
        "permute",
        "movedim",
        "t",
        "flatten",
        "unflatten",
        "expand",
        "expand_as",
        "broadcast_to",
        "repeat",
        "cat",
        "stack",
        "chunk",
        "split",
        "unbind",
        "flip",
        "roll",
        "contiguous",
        "clone",
        "detach",
        "alias",
        "to",
        "type_as",
        "cpu",
        "neg",
        "sum",
        "mean",
    };

    /// <summary>The dtype of the real and imaginary parts; a real dtype is returned unchanged.</summary>
    /// <param name="type">Any dtype.</param>
    public static ScalarType PartOf(ScalarType type) =>
        type switch
        {
            ScalarType.ComplexFloat32 => ScalarType.Float32,
            ScalarType.ComplexFloat64 => ScalarType.Float64,
            _ => type,
        };

    /// <summary>Whether a dtype is complex.</summary>
    /// <param name="type">Any dtype.</param>
    public static bool IsComplex(ScalarType type) => PartOf(type) != type;

    /// <summary>Lowers an operation that reads or returns complex numbers.</summary>
    /// <param name="builder">Builder of the graph.</param>
    /// <param name="op">The operation.</param>
    /// <param name="row">The operation's rule for real numbers, if it has one.</param>
    public static void Lower(GraphBuilder builder, TracedOp op, OperatorRow? row)
    {
        var name = OperationName.Of(op.Method);
        var operands = ValueRef.In(op.Arguments).Select(reference => builder.IsComplex(reference.Id)).ToArray();
        var complex = operands.Count(isComplex => isComplex);
        switch (name)
        {
            case "view_as_complex":
                EachPart(
                    (c, part) =>
                        c.Node(
                            "Gather",
                            c.Tensor().Type,
                            c.Tensor().Rank - 1,
                            [c.Tensor(), c.IntegerScalar(part)],
                            ("axis", -1L)
                        )
                );
                break;
            case "view_as_real":
                Real(c =>
                {
                    var parts = Parts(c, 0)
                        .Select(part => c.Node("Unsqueeze", part.Type, part.Rank + 1, [part, c.Constant(-1)]))
                        .ToArray();
                    return c.Node("Concat", parts[0].Type, parts[0].Rank, parts, ("axis", -1L));
                });
                break;
            case "real" or "imag" when complex == 1:
                Real(c => Parts(c, 0)[name == "real" ? 0 : 1]);
                break;
            case "abs" when complex == 1:
                Real(c =>
                {
                    var parts = Formulas(c, 0);
                    return ((parts[0] * parts[0]) + (parts[1] * parts[1])).Apply("Sqrt").Value;
                });
                break;
            case "conj" or "conj_physical" or "resolve_conj":
                EachPart((c, part) => part == 0 ? Parts(c, 0)[0] : c.Like("Neg", [Parts(c, 0)[1]]));
                break;
            case "complex":
                EachPart((c, part) => c.Tensor(part));
                break;
            case "polar":
                EachPart(
                    (c, part) =>
                        (
                            new Formula(c, c.Tensor()) * new Formula(c, c.Tensor(1)).Apply(part == 0 ? "Cos" : "Sin")
                        ).Value
                );
                break;
            case "mul" when complex == 2:
                EachPart(
                    (c, part) =>
                    {
                        Formula[] x = Formulas(c, 0),
                            y = Formulas(c, 1);
                        return (part == 0 ? (x[0] * y[0]) - (x[1] * y[1]) : (x[0] * y[1]) + (x[1] * y[0])).Value;
                    }
                );
                break;
            case "mul" when complex == 1:
            case "div" when complex == 1 && operands[0]:
            case "add" or "sub" when complex == 2:
            case var other when PartByPart.Contains(other) && complex == operands.Length:
                ByRule();
                break;
            default:
                throw op.Refuse(
                    $"{op.Site.CalleeName} is called with complex numbers, which ONNX Runtime does not support. "
                        + "The exporter lowers polar, complex, "
                        + "view_as_complex, view_as_real, real, imag, abs, conj, products, sums and views of "
                        + "them to pairs "
                        + "of real numbers. Write other operations with the real and the imaginary part."
                );
        }

        LoweringContext Context(int part)
        {
            builder.Part = part;
            return new LoweringContext(builder, op, name);
        }

        void EachPart(Func<LoweringContext, int, GraphValue> rule)
        {
            for (var part = 0; part < 2; part++)
            {
                var context = Context(part);
                var value = rule(context, part);
                builder.Part = part;
                context.Result(value);
            }
        }

        void Real(Func<LoweringContext, GraphValue> rule)
        {
            var context = Context(0);
            context.Result(rule(context));
        }

        void ByRule()
        {
            if (row is null)
                throw op.Refuse($"{op.Site.CalleeName} has no lowering to ONNX");
            for (var part = 0; part < 2; part++)
            {
                var context = Context(part);
                row.Rule(context);
                context.CheckResults();
            }
        }

        GraphValue[] Parts(LoweringContext c, int position)
        {
            var known = builder.Part;
            var parts = new GraphValue[2];
            for (var part = 0; part < 2; part++)
            {
                builder.Part = part;
                parts[part] = c.Tensor(position);
            }

            builder.Part = known;
            return parts;
        }

        Formula[] Formulas(LoweringContext c, int position) =>
            [.. Parts(c, position).Select(part => new Formula(c, part))];
    }
}
