// Losses, as functions and as modules, with reduction None, Mean or Sum. x is the input, t the target, w a weight.
//   mse            (x - t)^2
//   l1             |x - t|
//   smooth_l1, huber  quadratic near zero, linear beyond beta or delta
//   bce            -w (t max(log x, -100) + (1 - t) max(log(1 - x), -100));
//                  with logits w ((1 - t) x - (1 + (p - 1) t) logsigmoid x)
//   kl             t (log t - x), or exp(t) (t - x) for a log target
//   nll            -w[t] x[t]; its mean divides by the sum of w[t]
//   cross entropy  nll of log softmax; with smoothing e: (1 - e) nll + e / C (-sum over classes of w log softmax)
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers losses, as modules and as functions, with their reductions.</summary>
internal static class Losses
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
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

    /// <summary>Adds a loss that is computed per element and then reduced.</summary>
    private static void Both<TModule>(
        OperatorTable table,
        string operation,
        string onnx,
        Func<Options, Formula> elements,
        string options = ""
    )
        where TModule : nn.Module => Add<TModule>(table, operation, onnx, o => o.Reduced(elements(o)), options);

    /// <summary>Adds a loss that reduces itself.</summary>
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

    /// <summary>The options of a loss: arguments of a function, or members of a module.</summary>
    private sealed class Options(LoweringContext c)
    {
        /// <summary>Receives the nodes.</summary>
        public LoweringContext Context => c;

        /// <summary>The dtype in which the loss is computed.</summary>
        public ScalarType Type => Kernels.Wide(c.ResultType());

        /// <summary>The input.</summary>
        public Formula X => Argument(0);

        /// <summary>The target.</summary>
        public Formula T => Argument(1);

        /// <summary>None, Mean or Sum.</summary>
        public string Reduction =>
            (c.Module is { } module ? ModuleFields.Get(module, "reduction").ToString() : c.Text("reduction")) ?? "Mean";

        /// <summary>A tensor argument in the loss's dtype.</summary>
        /// <param name="position">0 for the input, 1 for the target.</param>
        public Formula Argument(int position) => new(c, c.Cast(c.Tensor(position), Type));

        /// <summary>A numeric option of the module or function.</summary>
        /// <param name="fallback">Value if it is not given.</param>
        /// <param name="name">Name of the option.</param>
        public double Number(double fallback, string name) =>
            c.Module is { } module ? ModuleFields.Double(module, fallback, name) : c.Number(fallback, name);

        /// <summary>A boolean option of the module or function.</summary>
        /// <param name="fallback">Value if it is not given.</param>
        /// <param name="name">Name of the option.</param>
        public bool Flag(bool fallback, string name) =>
            c.Module is { } module ? ModuleFields.Bool(module, fallback, name) : c.Flag(fallback, name);

        /// <summary>A weight tensor of the module or function; null for none.</summary>
        /// <param name="name">Name of the option.</param>
        public Formula? Weight(string name = "weight")
        {
            if (c.Module is null)
                return c.OptionalTensor(name) is { } given ? new Formula(c, c.Cast(given, Type)) : null;
            return ModuleFields.Find(c.Module, name) is Tensor { IsInvalid: false } tensor
                ? new Formula(c, c.Cast(c.Computed(tensor, name), Type))
                : null;
        }

        /// <summary>The sum over axes, or over all if they are null.</summary>
        /// <param name="x">The elements.</param>
        /// <param name="axes">Axes, from 0.</param>
        /// <param name="keep">Whether the axes are kept with size 1.</param>
        public Formula Sum(Formula x, long[]? axes = null, bool keep = false) =>
            new(c, Reductions.Reduce(c, "ReduceSum", x.Value, axes, keep));

        /// <summary>The mean of all elements.</summary>
        /// <param name="x">The elements.</param>
        public Formula Mean(Formula x) => Sum(x) / new Formula(c, c.Cast(Reductions.Count(c, x.Value, null), x.Type));

        /// <summary>Rounds to the dtype in which TorchSharp stores an intermediate result, where float16 can
        /// overflow.</summary>
        public Formula Stored(Formula x) => x.To(c.ResultType()).To(Type);

        /// <summary>Reduces the loss according to <see cref="Reduction"/>.</summary>
        /// <param name="elements">The loss per element.</param>
        public Formula Reduced(Formula elements) =>
            Reduction switch
            {
                "None" => elements,
                "Sum" => Sum(Stored(elements)),
                "Mean" => Mean(Stored(elements)),
                var other => throw c.Refuse($"reduction {other} is not supported; supported are None, Mean and Sum"),
            };
    }

    /// <summary>x^2.</summary>
    private static Formula Square(Formula x) => x * x;

    /// <summary>The loss times a weight, if there is one.</summary>
    private static Formula Weighted(Formula loss, Formula? weight) => weight is { } factor ? loss * factor : loss;

    /// <summary>max(x, 0).</summary>
    private static Formula Positive(Formula x) => x.Max(x.Number(0));

    /// <summary>min(x, 0) - log1p(exp(-|x|)).</summary>
    private static Formula LogSigmoid(Formula x) =>
        x.Min(x.Number(0)) - SpecialFunctions.Log1p((-x.Abs()).Apply("Exp"));

    /// <summary>d^2 / (2 beta) below beta, d - beta / 2 beyond, with d = |x - t|.</summary>
    private static Formula SmoothL1(Options o)
    {
        var (distance, beta) = ((o.X - o.T).Abs(), o.Number(1, "beta"));
        return beta == 0
            ? distance
            : Formula.Where(distance < beta, distance * distance * (0.5 / beta), distance - 0.5 * beta);
    }

    /// <summary>d^2 / 2 up to delta, delta (d - delta / 2) beyond, with d = |x - t|.</summary>
    private static Formula Huber(Options o)
    {
        var (distance, delta) = ((o.X - o.T).Abs(), o.Number(1, "delta"));
        return Formula.Where(distance <= delta, distance * distance * 0.5, (distance - 0.5 * delta) * delta);
    }

    /// <summary>-w (t log x + (1 - t) log(1 - x)), each logarithm at least -100.</summary>
    private static Formula BinaryCrossEntropy(Options o)
    {
        var (x, t) = (o.X, o.T);
        Formula Logarithm(Formula value) => value.Max(value.Number(-100));
        return Weighted((t - 1) * Logarithm(SpecialFunctions.Log1p(-x)) - t * Logarithm(x.Apply("Log")), o.Weight());
    }

    /// <summary>Binary cross entropy of logits, with weights for the positive class.</summary>
    private static Formula WithLogits(Options o)
    {
        var (x, t) = (o.X, o.T);
        var likelihood = LogSigmoid(x);
        if (o.Weight("pos_weights") is { } positive)
            likelihood *= (positive - 1) * t + 1;
        return Weighted((1 - t) * x - likelihood, o.Weight());
    }

    /// <summary>
    /// Kullback-Leibler divergence: t (log t - x), 0 where t is 0; or with a logarithmic target.
    /// </summary>
    private static Formula Divergence(Options o)
    {
        var (x, t) = (o.X, o.T);
        if (o.Flag(true, "log_target"))
            return t.Apply("Exp") * (t - x);
        return Formula.Where(t.IsNan(), double.NaN, Formula.Where(t.EqualTo(0), 0, t * t.Apply("Log"))) - t * x;
    }

    /// <summary>
    /// exp(x) - t x, or x - t log x; with Stirling's approximation if full is set.
    /// </summary>
    private static Formula Poisson(Options o)
    {
        var (x, t) = (o.X, o.T);
        // TorchSharp 0.107 passes eps as four of a double's eight bytes: 1e-8 arrives as 4e-315. In float32 that is
        // 0, whose logarithm is -infinity; in float64 the logarithm is about -724.
        var eps = BitConverter.UInt64BitsToDouble(BitConverter.SingleToUInt32Bits((float)o.Number(1e-8, "eps")));
        var logarithm = x.Apply("Log");
        if (x.Type == ScalarType.Float64)
            logarithm = Formula.Where(x.EqualTo(0), x.Number(Math.Log(eps)), logarithm);
        var loss = o.Flag(true, "log_input") ? x.Apply("Exp") - t * x : x - t * logarithm;
        if (!o.Flag(false, "full"))
            return loss;
        // Stirling's formula.
        var stirling = t * t.Apply("Log") - t + (t * (2 * Math.PI)).Apply("Log") * 0.5;
        return loss + Formula.Where(t <= 1, 0, stirling);
    }

    /// <summary>(log v + (x - t)^2 / v) / 2 with a variance v of at least eps.</summary>
    private static Formula Gaussian(Options o)
    {
        // TorchSharp sums over all axes except the first; the variance is per element or per row.
        var context = o.Context;
        Formula Rows(Formula value) =>
            new(context, context.Like("Flatten", [value.Value], ("axis", 1L)) with { Rank = 2 });
        var (x, t, variance) = (Rows(o.X), Rows(o.T), Rows(o.Argument(2)));
        var bounded = variance.Max(variance.Number(o.Number(1e-6, "eps")));
        var loss = o.Sum((bounded.Apply("Log") + Square(x - t) / bounded) * 0.5, [1]);
        if (!o.Flag(false, "full"))
            return loss;
        var width = new Formula(
            context,
            context.Cast(Layout.Scalar(context, Layout.Size(context, x.Value, 1)), x.Type)
        );
        return loss + width * (0.5 * MathF.Log(2 * MathF.PI));
    }

    /// <summary>x where t is 1, max(0, margin - x) where t is -1.</summary>
    private static Formula Hinge(Options o)
    {
        var (x, t) = (o.X, o.T);
        return Formula.Where(t.EqualTo(1), 0, Positive(o.Number(0, "margin") - x)) + Formula.Where(t.EqualTo(-1), 0, x);
    }

    /// <summary>max(0, -t (x1 - x2) + margin).</summary>
    private static Formula Ranking(Options o)
    {
        var (first, second, t) = (o.Argument(0), o.Argument(1), o.Argument(2));
        return Positive(-t * (first - second) + o.Number(0, "margin"));
    }

    /// <summary>The mean over classes of -(t log sigmoid(x) + (1 - t) log sigmoid(-x)).</summary>
    private static Formula MultiLabel(Options o)
    {
        var (x, t) = (o.X, o.T);
        var loss = Weighted(-(t * LogSigmoid(x) + (1 - t) * LogSigmoid(-x)), o.Weight());
        return new Formula(
            o.Context,
            Reductions.Reduce(o.Context, "ReduceMean", loss.Value, [x.Value.Rank - 1], keep: false)
        );
    }

    /// <summary>1 - cos where t is 1, max(0, cos - margin) where t is -1.</summary>
    private static Formula CosineEmbedding(Options o)
    {
        var (first, second, t) = (o.Argument(0), o.Argument(1), o.Argument(2));
        long[] axes = [first.Value.Rank - 1];
        var (a, b) = (o.Sum(first * first, axes) + 1e-12, o.Sum(second * second, axes) + 1e-12);
        var cosine = o.Sum(first * second, axes) / (a * b).Apply("Sqrt");
        return Formula.Where(t.EqualTo(1), 1 - cosine, 0)
            + Formula.Where(t.EqualTo(-1), Positive(cosine - o.Number(0, "margin")), 0);
    }

    /// <summary>
    /// max(0, |a - p| - |a - n| + margin); with swap, the smaller of n's distances to a and p.
    /// </summary>
    private static Formula Triplet(Options o)
    {
        var context = o.Context;
        double order = o.Number(2, "p"),
            eps = o.Number(1e-6, "eps");
        Formula Distance(int a, int b) =>
            new(
                context,
                context.Cast(
                    Distances.PairwiseOf(context, context.Tensor(a), context.Tensor(b), order, eps, keep: false),
                    o.Type
                )
            );
        var (near, far) = (Distance(0, 1), Distance(0, 2));
        if (o.Flag(false, "swap"))
            far = far.Min(Distance(1, 2));
        return Positive(near - far + o.Number(1, "margin"));
    }

    /// <summary>
    /// The mean over classes of max(0, margin - x[t] + x[i])^p, without the correct class.
    /// </summary>
    private static Formula MultiMargin(Options o)
    {
        var context = o.Context;
        var isOne = o.X.Value.Rank < 2;
        var scores = isOne ? new Formula(context, Layout.Unsqueeze(context, Ranks.Vector(context, o.X.Value), 0)) : o.X;
        var labels = Layout.Unsqueeze(
            context,
            Ranks.Vector(context, context.Cast(context.Tensor(1), ScalarType.Int64)),
            1
        );
        var own = new Formula(context, context.Like("GatherElements", [scores.Value, labels], ("axis", 1L)));
        var excess = Positive(o.Number(1, "margin") - own + scores);
        if (o.Number(1, "p") == 2)
            excess *= excess;
        if (o.Weight() is { } weight)
            excess *= new Formula(context, Layout.Gather(context, weight.Value, labels, 0));
        var classes = Layout.Range(context, Layout.Size(context, scores.Value, 1));
        var isOwn = new Formula(context, labels).EqualTo(new Formula(context, Layout.Unsqueeze(context, classes, 0)));
        var loss = new Formula(
            context,
            Reductions.Reduce(context, "ReduceMean", Formula.Where(isOwn, 0, excess).Value, [1], keep: false)
        );
        return isOne && o.Reduction == "None" ? o.Sum(loss) : loss;
    }

    // ---- classes -------------------------------------------------------------------------------------------------------------

    /// <summary>-w[t] x[t] of log probabilities [N, C, ...].</summary>
    /// <param name="o">The loss and its options.</param>
    /// <param name="logs">Log probabilities.</param>
    /// <param name="ignored">The class whose rows are ignored.</param>
    private static Formula Nll(Options o, Formula logs, long ignored)
    {
        var context = o.Context;
        var (loss, weights) = NllElements(o, logs, ignored);
        return o.Reduction switch
        {
            "None" => logs.Value.Rank == 1 ? o.Sum(loss) : loss,
            "Sum" => o.Sum(loss),
            "Mean" => o.Sum(loss) / o.Sum(weights),
            var other => throw context.Refuse($"reduction {other} is not supported; supported are None, Mean and Sum"),
        };
    }

    /// <summary>
    /// The loss of each row and its weight in the mean; both are 0 for ignored rows.
    /// </summary>
    /// <param name="o">The loss and its options.</param>
    /// <param name="logs">Log probabilities [N, C, ...], or [C] for one row.</param>
    /// <param name="ignored">The class whose rows are ignored.</param>
    private static (Formula Loss, Formula Weights) NllElements(Options o, Formula logs, long ignored)
    {
        var context = o.Context;
        var (labels, isIgnored) = Labels(o, ignored);
        var rows = logs.Value.Rank == 1 ? Layout.Unsqueeze(context, logs.Value, 0) : logs.Value;
        var own = new Formula(
            context,
            Layout.Squeeze(
                context,
                context.Like("GatherElements", [rows, Layout.Unsqueeze(context, labels.Value, 1)], ("axis", 1L)),
                1
            )
        );
        var weight = o.Weight() is { } given
            ? new Formula(context, Layout.Gather(context, given.Value, labels.Value, 0))
            : Formula.Where(isIgnored, own.Number(1), own.Number(1));
        return (Formula.Where(isIgnored, 0, -own * weight), Formula.Where(isIgnored, 0, weight));
    }

    /// <summary>The class labels, with 0 for ignored ones, and the mask of ignored ones.</summary>
    private static (Formula Labels, Formula IsIgnored) Labels(Options o, long ignored)
    {
        var context = o.Context;
        var labels = new Formula(
            context,
            Ranks.Vector(context, context.Cast(context.Tensor(1), ScalarType.Int64), onlyScalar: true)
        );
        var isIgnored = labels.EqualTo(ignored);
        return (Formula.Where(isIgnored, 0, labels), isIgnored);
    }

    /// <summary>
    /// Negative log likelihood of the log softmax, with label smoothing; the target is classes or probabilities.
    /// </summary>
    private static Formula CrossEntropy(Options o)
    {
        var context = o.Context;
        var input = o.X;
        var axis = input.Value.Rank == 1 ? 0L : 1;
        var logs = new Formula(context, Activations.LogSoftmax(context, input.Value, axis));
        var smoothing = o.Number(0, "label_smoothing");
        var ignored = (long)o.Number(-100, "ignore_index");
        var classes = new Formula(
            context,
            context.Cast(Layout.Scalar(context, Layout.Size(context, input.Value, axis)), input.Type)
        );
        // One weight per class, broadcast over the axes after it.
        Formula? weight = o.Weight() is { } given
            ? new Formula(context, Layout.Behind(context, given.Value, input.Value.Rank - 1 - (int)axis))
            : null;
        if (is_floating_point(context.Tensor(1).Type))
            return OfProbabilities(o, logs, weight, smoothing, classes, axis);
        var loss = Nll(o, logs, ignored);
        if (smoothing == 0)
            return loss;
        var (_, isIgnored) = Labels(o, ignored);
        var spread = -o.Sum(Weighted(logs, weight), [axis]);
        if (axis == 0)
            spread = new Formula(context, Ranks.Vector(context, spread.Value));
        var counted = Formula.Where(isIgnored, 0, spread);
        var smooth = o.Reduction switch
        {
            "None" => axis == 0 ? o.Sum(counted) : counted,
            "Sum" => o.Sum(counted),
            _ => o.Sum(counted) / o.Sum(NllElements(o, logs, ignored).Weights),
        };
        return loss * (1 - smoothing) + smooth * (smoothing / classes);
    }

    /// <summary>Cross entropy with a target of probabilities.</summary>
    /// <param name="o">The loss; its target has the shape of <paramref name="logs"/>.</param>
    /// <param name="logs">Log probabilities.</param>
    /// <param name="weight">Weight of each class; null for none.</param>
    /// <param name="smoothing">Share of the target that is spread over all classes, 0 to 1.</param>
    /// <param name="classes">Number of classes, as a value in the graph.</param>
    /// <param name="axis">Axis of the classes.</param>
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
