using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Generators;

internal static partial class OperationCases
{
    private static readonly ValueKind[] WithLarge =
    [
        ValueKind.Ordinary,
        ValueKind.Special,
        ValueKind.Ties,
        ValueKind.Large,
    ];
    private static readonly int[] AnyRank = [0, 1, 2, 3, 4];

    private static OperationRow One(string name, Func<Tensor, Tensor> function) => One(name, (_, _) => function);

    private static OperationRow One(string name, Func<Draw, Shape, Func<Tensor, Tensor>> make) =>
        new(name, 1, make)
        {
            Closeness = Closeness.Element,
            Kinds = WithLarge,
            Ranks = AnyRank,
        };

    private static OperationRow Two(string name, Func<Tensor, Tensor, Tensor> function) =>
        Two(name, (_, _) => function);

    private static OperationRow Two(string name, Func<Draw, Shape, Func<Tensor, Tensor, Tensor>> make) =>
        new(name, 2, make) { Closeness = Closeness.Element, Kinds = WithLarge };

    private static Scalar Some(Draw draw, Shape shape) =>
        shape.Type == ScalarType.Bool ? draw.Pick<Scalar>(0.7f, 2, -1.5f)
        : is_integral(shape.Type) ? draw.Pick<Scalar>(1, 2, 3, -3, 5, 0.7f, -2.5f)
        : draw.Pick<Scalar>(0.5f, 1, 2, -3, 0.1f, -0.7f, 2.5, 1000);

    private static IEnumerable<OperationRow> Elementwise()
    {
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("abs", x => x.abs()),
                    ("neg", x => -x),
                    ("ceil", x => x.ceil()),
                    ("floor", x => x.floor()),
                    ("round", x => x.round()),
                    ("trunc", x => x.trunc()),
                    ("frac", x => x.frac()),
                    ("sign", x => x.sign()),
                    ("sgn", x => x.sgn()),
                    ("square", x => x.square()),
                    ("reciprocal", x => x.reciprocal()),
                    ("sqrt", x => x.sqrt()),
                    ("rsqrt", x => x.rsqrt()),
                    ("exp", x => x.exp()),
                    ("exp2", x => x.exp2()),
                    ("log", x => x.log()),
                    ("log2", x => x.log2()),
                    ("log10", x => x.log10()),
                    ("deg2rad", x => x.deg2rad()),
                    ("rad2deg", x => x.rad2deg()),
                    ("positive", x => x.positive()),
                ]
        )
            yield return One(name, function) with
            {
                Closeness = name is "ceil" or "neg" or "reciprocal"
                    ? Closeness.ElementAndSignOfZero
                    : Closeness.Element,
            };
        // The sine of a number is as exact as the number divided by its unit.
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("sin", x => x.sin()),
                    ("cos", x => x.cos()),
                    ("tan", x => x.tan()),
                    ("asin", x => x.asin()),
                    ("acos", x => x.acos()),
                    ("atan", x => x.atan()),
                    ("sinh", x => x.sinh()),
                    ("cosh", x => x.cosh()),
                    ("tanh", x => x.tanh()),
                    ("asinh", x => x.asinh()),
                    ("acosh", x => x.acosh()),
                    ("atanh", x => x.atanh()),
                    ("sigmoid", x => x.sigmoid()),
                    ("erf", x => x.erf()),
                    ("sinc", x => special.sinc(x)),
                    ("special.expit", x => special.expit(x)),
                    ("special.sigmoid", x => special.sigmoid(x)),
                    ("special.entr", x => special.entr(x)),
                    ("special.ndtr", x => special.ndtr(x)),
                ]
        )
            yield return One(name, function) with
            {
                Kinds = [ValueKind.Ordinary, ValueKind.Special, ValueKind.Ties],
            };
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("log1p", x => x.log1p()),
                    ("expm1", x => x.expm1()),
                    ("erfc", x => x.erfc()),
                    ("logit", x => x.logit()),
                ]
        )
            yield return One(name, function) with
            {
                Floor = 1e-37,
            };
        yield return One("logit: eps", (draw, _) =>
        {
            var eps = draw.Pick(0.1, 0.25);
            return x => x.logit(eps);
        });
        yield return One("round: decimals", (draw, _) =>
        {
            var decimals = draw.Number(-2, 3);
            return x => x.round(decimals);
        }) with
        {
            Kinds = [ValueKind.Special, ValueKind.Ties],
        };
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("isnan", x => x.isnan()),
                    ("isinf", x => x.isinf()),
                    ("isfinite", x => x.isfinite()),
                    ("isposinf", x => x.isposinf()),
                    ("isneginf", x => x.isneginf()),
                    ("isreal", x => x.isreal()),
                    ("logical_not", x => x.logical_not()),
                    ("bitwise_not", x => x.bitwise_not()),
                    ("nan_to_num", x => x.nan_to_num()),
                ]
        )
            yield return One(name, function);
        // What the sign of NaN is, differs by processor.
        yield return One("signbit", x => torch.signbit(x)) with
        {
            Prepare = x => is_floating_point(x) ? x.masked_fill(x.isnan(), 0) : x,
        };
        yield return One("bitwise_not, opset 18", x => x.bitwise_not()) with
        {
            Opset = 18,
        };
        yield return One("nan_to_num: numbers", (draw, _) =>
        {
            var (n, p, m) = (
                draw.Real(-3, 3),
                draw.Flag() ? draw.Real(5, 9) : (double?)null,
                draw.Flag() ? draw.Real(-9, -5) : (double?)null
            );
            return x => x.nan_to_num(n, p, m);
        });

        // dtypes
        foreach (var to in AllTypes)
        {
            // What a number outside the integer's range becomes is not defined in C++, and differs by processor.
            var kinds = is_floating_point(to) ? WithLarge : [ValueKind.Ordinary, ValueKind.Ties];
            yield return One($"to {to}", x => x.to(to)) with
            {
                Kinds = to == ScalarType.Bool ? WithLarge : kinds,
            };
        }

        yield return One("to a dtype and on", x => x.half().to(ScalarType.Float32) > 0.1f) with
        {
            Types = [ScalarType.Float32, ScalarType.Float64],
        };
        yield return One("bfloat16 and floor", x => (x * 100).to(ScalarType.BFloat16).floor()) with
        {
            Types = [ScalarType.Float32],
            Kinds = [ValueKind.Ordinary],
        };
        yield return One("char, short", x => x.@char().@int() + x.@short()) with
        {
            Kinds = [ValueKind.Ordinary, ValueKind.Ties],
            Types = [ScalarType.Float32, ScalarType.Int64, ScalarType.Bool],
        };

        // with a number
        yield return One("add: number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x + n;
        });
        yield return One("add: number, alpha", (draw, shape) =>
        {
            var n = Some(draw, shape);
            Scalar alpha = is_integral(shape.Type) ? 2 : 0.5;
            return x => x.add(n, alpha);
        });
        yield return One("sub: number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x - n;
        });
        yield return One("sub: of a number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => n - x;
        });
        yield return One("mul: number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x * n;
        });
        yield return One("mul: large number", x => x * 70000f) with
        {
            Types = Floats,
        };
        yield return One("div: number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x / n;
        });
        yield return One("div: method", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x.div(n);
        });
        yield return One("div: of a number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => n / x;
        }) with
        {
            Closeness = Closeness.ElementAndSignOfZero,
        };
        yield return One("div: rounding, number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            var mode = draw.Pick(RoundingMode.None, RoundingMode.floor, RoundingMode.trunc);
            return x => x.div(n, mode);
        });
        yield return One("floor_divide: number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x.floor_divide(n);
        });
        yield return One("remainder: number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x.remainder(n);
        });
        yield return One("remainder: infinity", x => x.remainder(float.PositiveInfinity)) with
        {
            Types = Floats,
        };
        yield return One("fmod: number", (draw, shape) =>
        {
            var n = Some(draw, shape);
            return x => x.fmod(n);
        });
        yield return One("pow: number", (draw, shape) =>
        {
            Scalar n = is_integral(shape.Type)
                ? draw.Pick<Scalar>(0, 1, 2, 3, 5, 7, 0.5, 2.5)
                : draw.Pick<Scalar>(0, 1, 2, 3, 4, -1, -2, -3, 0.5, -0.5, 2.5, 1.0 / 3);
            return x => x.pow(n);
        });
        yield return One("clamp: numbers", (draw, shape) =>
        {
            var (low, high) = is_integral(shape.Type) ? ((Scalar)(-3), (Scalar)4) : (-0.5, 0.8);
            return draw.Number(0, 3) switch
            {
                0 => x => x.clamp(min: low),
                1 => x => x.clamp(max: high),
                2 => x => x.clip(low, high),
                _ => x => x.clamp(low, high),
            };
        });
        yield return One("clamp_min: number", x => x.clamp_min(1));
        yield return One("clamp_max: number", x => x.clamp_max(1));
        yield return One("clamp: of integers by fractions", x => x.clamp(-0.5, 1.5));
        foreach (
            var (name, compare) in ((string, Func<Tensor, Scalar, Tensor>)[])
                [
                    ("gt", (x, n) => x.gt(n)),
                    ("ge", (x, n) => x.ge(n)),
                    ("lt", (x, n) => x.lt(n)),
                    ("le", (x, n) => x.le(n)),
                    ("eq", (x, n) => x.eq(n)),
                    ("ne", (x, n) => x.ne(n)),
                ]
        )
            yield return One($"{name}: number", (draw, shape) =>
            {
                var n = draw.Flag() ? Some(draw, shape) : 0.5f;
                return x => compare(x, n);
            });
        yield return One("masked_fill", (draw, shape) =>
        {
            var n = is_integral(shape.Type) ? (Scalar)3 : -1.5f;
            return x => x.masked_fill(x > 0, n);
        });
        yield return One("xlogy: number", x => x.xlogy(2.5f));
        yield return One("threshold", (draw, _) =>
        {
            var (threshold, value) = (draw.Pick(0.0, 0.1, -1), draw.Pick(-3.0, 20));
            return x => F.threshold(x, threshold, value);
        });

        // with another tensor
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor, Tensor>)[])
                [
                    ("add", (a, b) => a + b),
                    ("sub", (a, b) => a - b),
                    ("mul", (a, b) => a * b),
                    ("div", (a, b) => a / b),
                    ("maximum", (a, b) => torch.maximum(a, b)),
                    ("minimum", (a, b) => torch.minimum(a, b)),
                    ("max: two", (a, b) => a.max(b)),
                    ("min: two", (a, b) => torch.min(a, b)),
                    ("fmax", (a, b) => torch.fmax(a, b)),
                    ("fmin", (a, b) => torch.fmin(a, b)),
                    ("atan2", (a, b) => torch.atan2(a, b)),
                    ("hypot", (a, b) => torch.hypot(a, b)),
                    ("xlogy", (a, b) => a.xlogy(b)),
                    ("special.xlog1py", (a, b) => special.xlog1py(a, b)),
                    ("heaviside", (a, b) => a.heaviside(b)),
                    ("logaddexp", (a, b) => a.logaddexp(b)),
                    ("logaddexp2", (a, b) => a.logaddexp2(b)),
                    ("float_power", (a, b) => a.float_power(b)),
                    ("gt", (a, b) => a > b),
                    ("ge", (a, b) => a >= b),
                    ("lt", (a, b) => a < b),
                    ("le", (a, b) => a <= b),
                    ("eq", (a, b) => a.eq(b)),
                    ("ne", (a, b) => a.ne(b)),
                    ("isclose", (a, b) => a.isclose(b)),
                    ("isclose: nanEqual", (a, b) => a.isclose(b, 0.5, 0.1, true)),
                    ("logical_and", (a, b) => a.logical_and(b)),
                    ("logical_or", (a, b) => a.logical_or(b)),
                    ("logical_xor", (a, b) => a.logical_xor(b)),
                    ("bitwise_and", (a, b) => a & b),
                    ("bitwise_or", (a, b) => a | b),
                    ("bitwise_xor", (a, b) => a ^ b),
                    ("where", (a, b) => torch.where(a > 0, a, b)),
                    ("where: method", (a, b) => a.where(b > 0, b)),
                    ("clamp: tensors", (a, b) => a.clamp(b, b + 1)),
                ]
        )
            yield return Two(name, function) with
            {
                Closeness = name is "atan2" or "div" or "copysign" ? Closeness.ElementAndSignOfZero : Closeness.Element,
                Floor = name is "logaddexp" or "hypot" ? 1e-37 : 1e-7,
                Ranks = AnyRank,
            };
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor, Tensor>)[])
                [("bitwise_and", (a, b) => a & b), ("bitwise_or", (a, b) => a | b), ("bitwise_xor", (a, b) => a ^ b)]
        )
            yield return Two($"{name}, opset 18", function) with
            {
                Opset = 18,
                Types = [.. AllTypes.Where(type => !is_floating_point(type))],
            };
        // A divisor of zero ends the process for integers.
        Tensor NotZero(Tensor y, long[] _) =>
            is_floating_point(y)
                ? y
                : torch
                    .where(y.to(ScalarType.Int64).eq(0).logical_or(y.to(ScalarType.Int64).eq(-1)), full_like(y, 3), y)
                    .to(y.dtype);
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor, Tensor>)[])
                [
                    ("remainder", (a, b) => a.remainder(b)),
                    ("fmod", (a, b) => a.fmod(b)),
                    ("floor_divide", (a, b) => a.floor_divide(b)),
                    ("div: floor", (a, b) => a.div(b, RoundingMode.floor)),
                    ("div: trunc", (a, b) => a.div(b, RoundingMode.trunc)),
                ]
        )
            yield return Two(name, function) with
            {
                PrepareSecond = NotZero,
                Kinds = [ValueKind.Ordinary, ValueKind.Special, ValueKind.Ties],
            };
        yield return Two("pow", (a, b) => a.pow(b)) with
        {
            Types = Floats,
        };
        yield return Two("pow: integers", (a, b) => a.pow(b)) with
        {
            Types = [ScalarType.Int64, ScalarType.Int32, ScalarType.Int16, ScalarType.Int8, ScalarType.Byte],
            SecondType = (draw, type) => type,
            PrepareSecond = (y, _) => (y.to(ScalarType.Int64).abs() % 70).to(y.dtype),
        };
        yield return Two("copysign", (a, b) => a.copysign(b)) with
        {
            Closeness = Closeness.ElementAndSignOfZero,
            PrepareSecond = (y, _) => is_floating_point(y) ? y.masked_fill(y.isnan(), 1) : y,
        };
        yield return Two("dist", (a, b) => torch.dist(a, b, 2)) with
        {
            Closeness = Closeness.Row,
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
        };
        yield return Two("lerp", (a, b) => torch.lerp(a, b, b.sigmoid())) with
        {
            Closeness = Closeness.Row,
            Types = Floats,
            SecondType = (_, type) => type,
        };
        yield return Two("addcmul", (draw, shape) =>
        {
            Scalar value = is_integral(shape.Type) ? 2 : 0.5;
            return (a, b) => a.addcmul(b, b, value);
        }) with
        {
            Closeness = Closeness.Row,
        };
        yield return Two("addcdiv", (draw, shape) =>
        {
            Scalar value = is_integral(shape.Type) ? 2 : 0.5;
            return (a, b) => a.addcdiv(b, b, value);
        }) with
        {
            Closeness = Closeness.Row,
        };
        yield return Two("add: alpha", (draw, shape) =>
        {
            Scalar value = is_integral(shape.Type) ? 2 : 0.5;
            return (a, b) => a.add(b, value);
        }) with
        {
            Closeness = Closeness.Row,
            SecondType = (_, type) => type,
        };

        // activations
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("relu", x => F.relu(x)),
                    ("relu6", x => F.relu6(x)),
                    ("selu", x => F.selu(x)),
                    ("gelu", x => F.gelu(x)),
                    ("silu", x => F.silu(x)),
                    ("mish", x => F.mish(x)),
                    ("hardswish", x => F.hardswish(x)),
                    ("hardsigmoid", x => F.hardsigmoid(x)),
                    ("softsign", x => F.softsign(x)),
                    ("tanhshrink", x => F.tanhshrink(x)),
                    ("logsigmoid", x => F.logsigmoid(x)),
                    ("hardtanh", x => F.hardtanh(x.clone(), -0.5, 0.8, inplace: true)),
                    ("gelu: method", x => x.gelu()),
                    ("elu: method", x => x.elu(0.7)),
                    ("softplus: method", x => x.softplus(2, 5)),
                    ("celu: method", x => x.celu(0.7f)),
                    ("rrelu: method", x => x.rrelu(0.2, 0.2)),
                    ("leaky_relu: method", x => x.leaky_relu(0.2f)),
                    ("relu6: method", x => x.relu6()),
                ]
        )
            yield return One(name, function) with
            {
                // TorchSharp's GELU of +infinity is NaN, the file's is infinite: docs/operators.md.
                Prepare = name.StartsWith("gelu", StringComparison.Ordinal) ? x => x.masked_fill(x.isinf(), 3) : null,
                Floor = name is "gelu" or "silu" or "mish" or "gelu: method" ? 2e-6 : 1e-7,
            };
        yield return One("leaky_relu", (draw, _) =>
        {
            var slope = draw.Pick(0.01, 0.2, 0, 1.5, -0.5);
            return x => F.leaky_relu(x, slope);
        });
        yield return One("elu", (draw, _) =>
        {
            var alpha = draw.Pick(1.0, 0.7, 2, -0.5);
            return x => F.elu(x, alpha);
        });
        yield return One("elu: scales", (draw, _) =>
        {
            var (alpha, scale, inputScale) = (draw.Pick(1.0, 0.7), draw.Pick(1.0, 1.5), draw.Pick(1.0, 0.5));
            return x => x.elu(alpha, scale, inputScale);
        });
        yield return One("celu", (draw, _) =>
        {
            var alpha = draw.Pick(1.0, 0.7, 2);
            return x => F.celu(x, alpha);
        });
        yield return One("gelu: tanh", x => x.gelu(TorchSharp.Modules.GELU.Approximate.tanh)) with
        {
            Floor = 2e-6,
        };
        yield return One("softplus", (draw, _) =>
        {
            var (beta, threshold) = (draw.Pick(1.0, 2, 0.5), draw.Pick(20.0, 5, 40));
            return x => F.softplus(x, beta, threshold);
        });
        yield return One("hardshrink", (draw, _) =>
        {
            var lambda = draw.Pick(0.5, 0.3, 0, 1.5);
            return x => F.hardshrink(x, lambda);
        });
        yield return One("softshrink", (draw, _) =>
        {
            var lambda = draw.Pick(0.5, 0.3, 0, 1.5);
            return x => F.softshrink(x, lambda);
        });
        yield return One("glu", (draw, shape) =>
        {
            var axis = draw.Number(0, 1) == 0 ? -1 : shape.Rank - 1;
            return x => F.glu(x, axis);
        }) with
        {
            Ranks = [2, 3],
            FirstShape = (draw, rank) => [.. draw.Shape(rank)[..^1], 6],
            Closeness = Closeness.Element,
            Kinds = [ValueKind.Ordinary, ValueKind.Ties],
            Floor = 2e-6,
        };
    }
}
