// Losses, as functions and as modules, with reduction None, Mean or Sum. x is the input, t the target, w a weight.
//   mse  (x - t)^2          l1  |x - t|        smooth_l1, huber  quadratic near zero, linear beyond beta or delta
//   bce  -w (t max(log x, -100) + (1 - t) max(log(1 - x), -100));  with logits  w ((1 - t) x - (1 + (p - 1) t)
// logsigmoid x)
//   kl   t (log t - x), or exp(t) (t - x) of a log target           nll  -w[t] x[t], whose mean divides by the sum of
// w[t]
//   cross entropy  nll of log softmax; with smoothing e: (1 - e) nll + e / C (-sum over classes of w log softmax)
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Losses
{
    public static void Register(OperatorTable table)
    {
        Both<MSELoss>(table, "mse_loss", "Sub, Mul, ReduceSum", o => Square(o.X - o.T));
        Both<L1Loss>(table, "l1_loss", "Sub, Abs, ReduceSum", o => (o.X - o.T).Abs());
        Both<SmoothL1Loss>(table, "smooth_l1_loss", "Sub, Abs, Less, Where", SmoothL1, "beta");
        Both<HuberLoss>(table, "huber_loss", "Sub, Abs, LessOrEqual, Where", Huber, "delta");
        Both<BCELoss>(table, "binary_cross_entropy", "Log, Max, Mul, Sub", BinaryCrossEntropy, "weight");
        Both<BCEWithLogitsLoss>(
            table,
            "binary_cross_entropy_with_logits",
            "Abs, Exp, Log, Min, Mul, Sub",
            WithLogits,
            "weight, pos_weights"
        );
        Both<KLDivLoss>(table, "kl_div", "Log, Exp, Mul, Sub", Divergence, "log_target");
        Both<PoissonNLLLoss>(table, "poisson_nll_loss", "Exp, Log, Mul, Sub", Poisson, "log_input, full, eps");
        Both<GaussianNLLLoss>(table, "gaussian_nll_loss", "Max, Log, Div, Add", Gaussian, "full, eps");
        Both<SoftMarginLoss>(table, "soft_margin_loss", "Neg, Mul, Exp, Log", o =>
            SpecialFunctions.Log1p(o.Stored(o.Stored(-o.T * o.X).Apply("Exp")))
        );
        Both<HingeEmbeddingLoss>(table, "hinge_embedding_loss", "Sub, Max, Where", Hinge, "margin");
        Both<MarginRankingLoss>(table, "margin_ranking_loss", "Sub, Mul, Max", Ranking, "margin");
        Both<MultiLabelSoftMarginLoss>(
            table,
            "multilabel_soft_margin_loss",
            "Abs, Exp, Log, Mul, ReduceMean",
            MultiLabel,
            "weight"
        );
        Both<CosineEmbeddingLoss>(
            table,
            "cosine_embedding_loss",
            "Mul, ReduceSum, Sqrt, Div, Where",
            CosineEmbedding,
            "margin"
        );
        Both<TripletMarginLoss>(
            table,
            "triplet_margin_loss",
            "Sub, ReduceL2, Min, Max",
            Triplet,
            "margin, p, eps, swap"
        );
        Both<MultiMarginLoss>(
            table,
            "multi_margin_loss",
            "GatherElements, Sub, Max, Mul",
            MultiMargin,
            "p, margin, weight"
        );
        Add<NLLLoss>(
            table,
            "nll_loss",
            "GatherElements, Gather, Mul, ReduceSum, Div",
            o => Nll(o, o.X, -100),
            "weight"
        );
        Add<CrossEntropyLoss>(
            table,
            "cross_entropy",
            "LogSoftmax, GatherElements, Mul, ReduceSum, Div",
            CrossEntropy,
            "weight, ignore_index, label_smoothing; classes or probabilities"
        );
    }

    private static void Both<TModule>(
        OperatorTable table,
        string operation,
        string onnx,
        Func<Options, Formula> elements,
        string options = ""
    )
        where TModule : nn.Module => Add<TModule>(table, operation, onnx, o => o.Reduced(elements(o)), options);

    private static void Add<TModule>(
        OperatorTable table,
        string operation,
        string onnx,
        Func<Options, Formula> rule,
        string options = ""
    )
        where TModule : nn.Module
    {
        var all = options.Length == 0 ? "reduction" : $"{options}, reduction";
        table.Module<TModule>(onnx, c => c.Result(rule(new Options(c)).Value), all);
        table.Operation(operation, onnx, c => c.Result(rule(new Options(c)).Value), all);
    }

    /// <summary>The arguments of a loss: of a function, or the members of a module.</summary>
    private sealed class Options(LoweringContext c)
    {
        public LoweringContext Context => c;

        public ScalarType Type => Kernels.Wide(c.ResultType());

        public Formula X => Argument(0);

        public Formula T => Argument(1);

        public string Reduction =>
            (c.Module is { } module ? ModuleFields.Get(module, "reduction").ToString() : c.Text("reduction")) ?? "Mean";

        public Formula Argument(int position) => new(c, c.Cast(c.Tensor(position), Type));

        public double Number(double fallback, string name) =>
            c.Module is { } module ? ModuleFields.Double(module, fallback, name) : c.Number(fallback, name);

        public bool Flag(bool fallback, string name) =>
            c.Module is { } module ? ModuleFields.Bool(module, fallback, name) : c.Flag(fallback, name);

        public Formula? Weight(string name = "weight")
        {
            if (c.Module is null)
                return c.OptionalTensor(name) is { } given ? new Formula(c, c.Cast(given, Type)) : null;
            return ModuleFields.Find(c.Module, name) is Tensor { IsInvalid: false } tensor
                ? new Formula(c, c.Cast(c.Computed(tensor, name), Type))
                : null;
        }

        public Formula Sum(Formula x, long[]? axes = null, bool keep = false) =>
            new(c, Reductions.Reduce(c, "ReduceSum", x.Value, axes, keep));

        public Formula Mean(Formula x) => Sum(x) / new Formula(c, c.Cast(Reductions.Count(c, x.Value, null), x.Type));

        /// <summary>As TorchSharp keeps it between two operations: a float16 overflows there.</summary>
        public Formula Stored(Formula x) => x.To(c.ResultType()).To(Type);

        public Formula Reduced(Formula elements) =>
            Reduction switch
            {
                "None" => elements,
                "Sum" => Sum(Stored(elements)),
                "Mean" => Mean(Stored(elements)),
                var other => throw c.Refuse($"reduction {other}"),
            };
    }

    private static Formula Square(Formula x) => x * x;

    private static Formula Weighted(Formula loss, Formula? weight) => weight is { } factor ? loss * factor : loss;

    private static Formula Positive(Formula x) => x.Max(x.Number(0));

    private static Formula LogSigmoid(Formula x) =>
        x.Min(x.Number(0)) - SpecialFunctions.Log1p((-x.Abs()).Apply("Exp"));

    private static Formula SmoothL1(Options o)
    {
        var (distance, beta) = ((o.X - o.T).Abs(), o.Number(1, "beta"));
        return beta == 0
            ? distance
            : Formula.Where(distance < beta, distance * distance * (0.5 / beta), distance - 0.5 * beta);
    }

    private static Formula Huber(Options o)
    {
        var (distance, delta) = ((o.X - o.T).Abs(), o.Number(1, "delta"));
        return Formula.Where(distance <= delta, distance * distance * 0.5, (distance - 0.5 * delta) * delta);
    }

    private static Formula BinaryCrossEntropy(Options o)
    {
        var (x, t) = (o.X, o.T);
        Formula Logarithm(Formula value) => value.Max(value.Number(-100));
        return Weighted((t - 1) * Logarithm(SpecialFunctions.Log1p(-x)) - t * Logarithm(x.Apply("Log")), o.Weight());
    }

    private static Formula WithLogits(Options o)
    {
        var (x, t) = (o.X, o.T);
        var likelihood = LogSigmoid(x);
        if (o.Weight("pos_weights") is { } positive)
            likelihood *= (positive - 1) * t + 1;
        return Weighted((1 - t) * x - likelihood, o.Weight());
    }

    private static Formula Divergence(Options o)
    {
        var (x, t) = (o.X, o.T);
        if (o.Flag(true, "log_target"))
            return t.Apply("Exp") * (t - x);
        return Formula.Where(t.IsNan(), double.NaN, Formula.Where(t.EqualTo(0), 0, t * t.Apply("Log"))) - t * x;
    }

    private static Formula Poisson(Options o)
    {
        var (x, t) = (o.X, o.T);
        // TorchSharp 0.107 does not pass eps on: the logarithm of 0 is -infinity.
        _ = o.Number(1e-8, "eps");
        var loss = o.Flag(true, "log_input") ? x.Apply("Exp") - t * x : x - t * x.Apply("Log");
        if (!o.Flag(false, "full"))
            return loss;
        // Stirling's formula.
        var stirling = t * t.Apply("Log") - t + (t * (2 * Math.PI)).Apply("Log") * 0.5;
        return loss + Formula.Where(t <= 1, 0, stirling);
    }

    private static Formula Gaussian(Options o)
    {
        // TorchSharp sums over all axes but the first, and has the variance of each element or of each row.
        var c = o.Context;
        Formula Rows(Formula value) => new(c, c.Like("Flatten", [value.Value], ("axis", 1L)) with { Rank = 2 });
        var (x, t, variance) = (Rows(o.X), Rows(o.T), Rows(o.Argument(2)));
        var bounded = variance.Max(variance.Number(o.Number(1e-6, "eps")));
        var loss = o.Sum((bounded.Apply("Log") + Square(x - t) / bounded) * 0.5, [1]);
        if (!o.Flag(false, "full"))
            return loss;
        var width = new Formula(c, c.Cast(Layout.Scalar(c, Layout.Size(c, x.Value, 1)), x.Type));
        return loss + width * (0.5 * MathF.Log(2 * MathF.PI));
    }

    private static Formula Hinge(Options o)
    {
        var (x, t) = (o.X, o.T);
        return Formula.Where(t.EqualTo(1), 0, Positive(o.Number(0, "margin") - x)) + Formula.Where(t.EqualTo(-1), 0, x);
    }

    private static Formula Ranking(Options o)
    {
        var (first, second, t) = (o.Argument(0), o.Argument(1), o.Argument(2));
        return Positive(-t * (first - second) + o.Number(0, "margin"));
    }

    private static Formula MultiLabel(Options o)
    {
        var (x, t) = (o.X, o.T);
        var loss = Weighted(-(t * LogSigmoid(x) + (1 - t) * LogSigmoid(-x)), o.Weight());
        return new Formula(
            o.Context,
            Reductions.Reduce(o.Context, "ReduceMean", loss.Value, [x.Value.Rank - 1], keep: false)
        );
    }

    private static Formula CosineEmbedding(Options o)
    {
        var (first, second, t) = (o.Argument(0), o.Argument(1), o.Argument(2));
        long[] axes = [first.Value.Rank - 1];
        var (a, b) = (o.Sum(first * first, axes) + 1e-12, o.Sum(second * second, axes) + 1e-12);
        var cosine = o.Sum(first * second, axes) / (a * b).Apply("Sqrt");
        return Formula.Where(t.EqualTo(1), 1 - cosine, 0)
            + Formula.Where(t.EqualTo(-1), Positive(cosine - o.Number(0, "margin")), 0);
    }

    private static Formula Triplet(Options o)
    {
        var c = o.Context;
        double p = o.Number(2, "p"),
            eps = o.Number(1e-6, "eps");
        Formula Distance(int a, int b) =>
            new(c, c.Cast(Distances.PairwiseOf(c, c.Tensor(a), c.Tensor(b), p, eps, keep: false), o.Type));
        var (near, far) = (Distance(0, 1), Distance(0, 2));
        if (o.Flag(false, "swap"))
            far = far.Min(Distance(1, 2));
        return Positive(near - far + o.Number(1, "margin"));
    }

    private static Formula MultiMargin(Options o)
    {
        var c = o.Context;
        var isOne = o.X.Value.Rank < 2;
        var x = isOne ? new Formula(c, Layout.Unsqueeze(c, Ranks.Vector(c, o.X.Value), 0)) : o.X;
        var labels = Layout.Unsqueeze(c, Ranks.Vector(c, c.Cast(c.Tensor(1), ScalarType.Int64)), 1);
        var own = new Formula(c, c.Like("GatherElements", [x.Value, labels], ("axis", 1L)));
        var excess = Positive(o.Number(1, "margin") - own + x);
        if (o.Number(1, "p") == 2)
            excess *= excess;
        if (o.Weight() is { } weight)
            excess *= new Formula(c, Layout.Gather(c, weight.Value, labels, 0));
        var classes = Layout.Range(c, Layout.Size(c, x.Value, 1));
        var isOwn = new Formula(c, labels).EqualTo(new Formula(c, Layout.Unsqueeze(c, classes, 0)));
        var loss = new Formula(
            c,
            Reductions.Reduce(c, "ReduceMean", Formula.Where(isOwn, 0, excess).Value, [1], keep: false)
        );
        return isOne && o.Reduction == "None" ? o.Sum(loss) : loss;
    }

    // ---- classes -------------------------------------------------------------------------------------------------------------

    /// <summary>-w[t] x[t] of log probabilities [N, C, ...].</summary>
    private static Formula Nll(Options o, Formula logs, long ignored)
    {
        var c = o.Context;
        var (loss, weights) = NllElements(o, logs, ignored);
        return o.Reduction switch
        {
            "None" => logs.Value.Rank == 1 ? o.Sum(loss) : loss,
            "Sum" => o.Sum(loss),
            "Mean" => o.Sum(loss) / o.Sum(weights),
            var other => throw c.Refuse($"reduction {other}"),
        };
    }

    private static (Formula Loss, Formula Weights) NllElements(Options o, Formula logs, long ignored)
    {
        var c = o.Context;
        var (labels, isIgnored) = Labels(o, ignored);
        var x = logs.Value.Rank == 1 ? Layout.Unsqueeze(c, logs.Value, 0) : logs.Value;
        var own = new Formula(
            c,
            Layout.Squeeze(c, c.Like("GatherElements", [x, Layout.Unsqueeze(c, labels.Value, 1)], ("axis", 1L)), 1)
        );
        var weight = o.Weight() is { } given
            ? new Formula(c, Layout.Gather(c, given.Value, labels.Value, 0))
            : Formula.Where(isIgnored, own.Number(1), own.Number(1));
        return (Formula.Where(isIgnored, 0, -own * weight), Formula.Where(isIgnored, 0, weight));
    }

    /// <summary>The classes, 0 where they are not to count, and where that is.</summary>
    private static (Formula Labels, Formula IsIgnored) Labels(Options o, long ignored)
    {
        var c = o.Context;
        var labels = new Formula(c, Ranks.Vector(c, c.Cast(c.Tensor(1), ScalarType.Int64), onlyScalar: true));
        var isIgnored = labels.EqualTo(ignored);
        return (Formula.Where(isIgnored, 0, labels), isIgnored);
    }

    private static Formula CrossEntropy(Options o)
    {
        var c = o.Context;
        var x = o.X;
        var axis = x.Value.Rank == 1 ? 0L : 1;
        var logs = new Formula(c, Activations.LogSoftmax(c, x.Value, axis));
        var smoothing = o.Number(0, "label_smoothing");
        var ignored = (long)o.Number(-100, "ignore_index");
        var classes = new Formula(c, c.Cast(Layout.Scalar(c, Layout.Size(c, x.Value, axis)), x.Type));
        // One weight a class, beside the axes behind it.
        Formula? weight = o.Weight() is { } given
            ? new Formula(c, Layout.Behind(c, given.Value, x.Value.Rank - 1 - (int)axis))
            : null;
        if (is_floating_point(c.Tensor(1).Type))
            return OfProbabilities(o, logs, weight, smoothing, classes, axis);
        var loss = Nll(o, logs, ignored);
        if (smoothing == 0)
            return loss;
        var (_, isIgnored) = Labels(o, ignored);
        var spread = -o.Sum(Weighted(logs, weight), [axis]);
        if (axis == 0)
            spread = new Formula(c, Ranks.Vector(c, spread.Value));
        var counted = Formula.Where(isIgnored, 0, spread);
        var smooth = o.Reduction switch
        {
            "None" => axis == 0 ? o.Sum(counted) : counted,
            "Sum" => o.Sum(counted),
            _ => o.Sum(counted) / o.Sum(NllElements(o, logs, ignored).Weights),
        };
        return loss * (1 - smoothing) + smooth * (smoothing / classes);
    }

    private static Formula OfProbabilities(
        Options o,
        Formula logs,
        Formula? weight,
        double smoothing,
        Formula classes,
        long axis
    )
    {
        var target = o.T;
        if (smoothing > 0)
            target = target * (1 - smoothing) + smoothing / classes;
        var elements = -o.Sum(Weighted(logs * target, weight), [axis]);
        return o.Reduced(elements);
    }
}
