// Attention: softmax(q k^T / sqrt(d) + mask) v, per head; sequences are [L, N, E] as in TorchSharp's modules.
//   encoder layer  x = norm1(x + attention(x)); x = norm2(x + linear2(act(linear1(x))))
//   decoder layer  x = norm1(x + attention(x)); x = norm2(x + attention(x, memory)); x = norm3(x + feed-forward(x))
// Masks: in key_padding_mask, true means "ignore". attn_mask is added to the scores, even a boolean one, as libtorch's
// C++ modules do (true adds 1 there, whereas Python ignores the position). In scaled_dot_product_attention, a boolean
// true means "take part". Source: Vaswani et al. 2017.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers scaled dot-product attention, multi-head attention, and TorchSharp's transformer modules, whose weights are
/// kept in native code.
/// </summary>
internal static class Attention
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Operation(
            "scaled_dot_product_attention",
            "MatMul, Mul, Softmax, Trilu",
            ScaledDotProduct,
            "attn_mask (bool or float), is_causal"
        );
        table.Module<MultiheadAttention>(
            "MatMul, Reshape, Transpose, Softmax",
            Multihead,
            "heads (probed), bias, kdim, vdim, add_bias_kv, masks, need_weights"
        );
        table.Module<TransformerEncoderLayer>(
            "MatMul, Softmax, LayerNormalization, Relu",
            EncoderLayerModule,
            "heads and activation (probed), masks"
        );
        table.Module<TransformerDecoderLayer>(
            "MatMul, Softmax, LayerNormalization, Relu",
            DecoderLayerModule,
            "heads and activation (probed), masks"
        );
        table.Module<TransformerEncoder>(
            "MatMul, Softmax, LayerNormalization, Relu",
            EncoderModule,
            "heads and activation (probed), masks"
        );
        table.Module<TransformerDecoder>(
            "MatMul, Softmax, LayerNormalization, Relu",
            DecoderModule,
            "heads and activation (probed), masks"
        );
        table.Module<Transformer>(
            "MatMul, Softmax, LayerNormalization, Relu",
            TransformerModule,
            "heads and activation (probed), masks"
        );
    }

    /// <summary>
    /// softmax(q k^T / sqrt(d) + mask) v over the last two axes; a boolean mask selects the positions that take part,
    /// and is_causal masks later positions.
    /// </summary>
    private static void ScaledDotProduct(LoweringContext c)
    {
        if (c.Number(0, "p") != 0)
            throw c.Refuse("it would apply dropout at inference too; pass p: 0 in eval mode");
        var type = Kernels.Wide(c.ResultType());
        var (q, k, v) = (c.Cast(c.Tensor(), type), c.Cast(c.Tensor(1), type), c.Cast(c.Tensor(2), type));
        var width = c.FixedSize(c.Tensor(), q.Rank - 1) ?? throw c.RefuseFree("the feature axis");
        var scores = new Formula(c, MatMulTransposed(c, ScaledBy(c, q, 1 / Math.Sqrt(width), width), k));
        if (c.Flag(false, "is_casual", "is_causal"))
        {
            var shape = Layout.Sizes(c, scores.Value);
            var ones = Layout.Expand(c, c.IntegerScalar(1), Layout.Slice(c, shape, 0, -2, long.MaxValue), 2);
            var visible = new Formula(
                c,
                c.Cast(c.Like("Trilu", [ones, c.IntegerScalar(0)], ("upper", 0L)), ScalarType.Bool)
            );
            scores = Formula.Where(visible, scores, double.NegativeInfinity);
        }

        if (c.OptionalTensor("attn_mask") is not { } mask)
        {
            c.Result(
                c.Node(
                    "MatMul",
                    type,
                    c.ResultRank(),
                    [c.Like("Softmax", [scores.Value], ("axis", (long)scores.Value.Rank - 1)), v]
                )
            );
            return;
        }

        scores =
            mask.Type == ScalarType.Bool
                ? Formula.Where(new Formula(c, mask), scores, double.NegativeInfinity)
                : scores + new Formula(c, mask).To(type);
        // The result of a row that attends to nothing is 0.
        var hidden = scores.EqualTo(double.NegativeInfinity).To(ScalarType.Byte);
        var nothing = new Formula(
            c,
            c.Cast(
                Reductions.Reduce(c, "ReduceMin", hidden.Value, [hidden.Value.Rank - 1], keep: true),
                ScalarType.Bool
            )
        );
        var weights = Formula.Where(nothing, 0, scores.Apply("Softmax", ("axis", (long)scores.Value.Rank - 1)));
        c.Result(c.Node("MatMul", type, c.ResultRank(), [weights.Value, v]));
    }

    /// <summary>Multiplies by a number; in float64 by a vector with that number, because ONNX Runtime fuses a scalar
    /// into MatMul as float32.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="x">Floating-point values.</param>
    /// <param name="number">The factor.</param>
    /// <param name="width">Size of the last axis; with size 1, a vector would count as a scalar again.</param>
    private static GraphValue ScaledBy(LoweringContext c, GraphValue x, double number, long width)
    {
        using var scope = NewDisposeScope();
        return x.Type == ScalarType.Float64 && width > 1
            ? c.Like("Mul", [x, c.Computed(full(width, number, ScalarType.Float64), "scale")])
            : (new Formula(c, x) * number).Value;
    }

    /// <summary>a b^T over the last two axes.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="a">[..., n, k]</param>
    /// <param name="b">[..., m, k]</param>
    /// <returns>[..., n, m]</returns>
    private static GraphValue MatMulTransposed(LoweringContext c, GraphValue a, GraphValue b)
    {
        var perm = Enumerable.Range(0, b.Rank).Select(axis => (long)axis).ToArray();
        (perm[^1], perm[^2]) = (perm[^2], perm[^1]);
        return c.Node("MatMul", a.Type, Math.Max(a.Rank, b.Rank), [a, Layout.Permute(c, b, perm)]);
    }

    // ---- the parts -----------------------------------------------------------------------------------------------------------

    /// <summary>Weights of a native module below a prefix, with the context that receives the nodes.</summary>
    private sealed class Part(LoweringContext c, Dictionary<string, Tensor> weights, string prefix)
    {
        /// <summary>Receives the nodes.</summary>
        public LoweringContext Context => c;

        /// <summary>The module's own tensor.</summary>
        /// <param name="name">Name of the tensor, relative to this part's prefix.</param>
        public Tensor Raw(string name) => weights[prefix + name];

        /// <summary>Whether the module has such a tensor.</summary>
        /// <param name="name">Name of the tensor, relative to this part's prefix.</param>
        public bool Has(string name) => weights.ContainsKey(prefix + name);

        /// <summary>The weights of a child.</summary>
        /// <param name="name">Name of the child.</param>
        public Part Sub(string name) => new(c, weights, $"{prefix}{name}.");

        /// <summary>An initializer for the module's own tensor.</summary>
        /// <param name="name">Name of the tensor, relative to this part's prefix.</param>
        public GraphValue Weight(string name) => c.Parameter(weights[prefix + name], prefix + name);

        /// <summary>x W^T + b.</summary>
        /// <param name="x">Tensor of rank 2 or more.</param>
        /// <param name="weight">[out, in].</param>
        /// <param name="bias">[out], or null.</param>
        public GraphValue Linear(GraphValue x, GraphValue weight, GraphValue? bias)
        {
            var product = c.Node("MatMul", x.Type, x.Rank, [x, Layout.Permute(c, weight, 1, 0)]);
            return bias is { } b ? c.Like("Add", [product, b]) : product;
        }

        /// <summary>x W^T + b with the weights of a child.</summary>
        /// <param name="name">Name of the child.</param>
        /// <param name="x">Tensor of rank 2 or more.</param>
        public GraphValue Linear(string name, GraphValue x) =>
            Linear(x, Weight($"{name}.weight"), Has($"{name}.bias") ? Weight($"{name}.bias") : null);

        /// <summary>LayerNorm over the last axis, eps 1e-5, with the weights of a child.</summary>
        /// <param name="name">Name of the child.</param>
        /// <param name="x">A value with the norm's width.</param>
        public GraphValue Norm(string name, GraphValue x) =>
            c.Like(
                "LayerNormalization",
                [x, Weight($"{name}.weight"), Weight($"{name}.bias")],
                ("axis", -1L),
                ("epsilon", 1e-5f)
            );

        /// <summary>linear2(act(linear1(x))).</summary>
        /// <param name="x">[L, N, E].</param>
        /// <param name="gelu">Whether to use GELU instead of ReLU.</param>
        public GraphValue FeedForward(GraphValue x, bool gelu)
        {
            var inner = Linear("linear1", x);
            return Linear("linear2", gelu ? Activations.GeluExact(c, inner) : c.Like("Relu", [inner]));
        }
    }

    /// <summary>All weights of the module.</summary>
    private static Part Root(LoweringContext c) =>
        new(
            c,
            c.Module!.named_parameters()
                .ToDictionary(pair => pair.name, pair => (Tensor)pair.parameter, StringComparer.Ordinal),
            ""
        );

    /// <summary>Multi-head attention from [L, N, E] to [S, N, E].</summary>
    private static (GraphValue Output, GraphValue Weights) Attend(
        Part part,
        GraphValue query,
        GraphValue key,
        GraphValue value,
        long heads,
        GraphValue? keyPadding,
        GraphValue? mask
    )
    {
        var context = part.Context;
        var embedding = part.Raw("out_proj.weight").shape[0];
        var head = embedding / heads;
        GraphValue InProjection(int which, string name, GraphValue x)
        {
            var weight = part.Has("in_proj_weight")
                ? SliceOf(context, part.Weight("in_proj_weight"), which, embedding)
                : part.Weight($"{name}_proj_weight");
            GraphValue? bias = part.Has("in_proj_bias")
                ? SliceOf(context, part.Weight("in_proj_bias"), which, embedding)
                : null;
            return part.Linear(x, weight, bias);
        }

        var (q, k, v) = (InProjection(0, "q", query), InProjection(1, "k", key), InProjection(2, "v", value));
        if (part.Has("bias_k"))
        {
            (k, v) = (AppendRow(context, k, part.Weight("bias_k")), AppendRow(context, v, part.Weight("bias_v")));
            if (keyPadding is not null || mask is not null)
                throw context.Refuse(
                    "a mask cannot be combined with add_bias_kv, which appends a column that "
                        + "the mask does not have; omit one of them"
                );
        }

        // [L, N, E] to [N, heads, L, head]; 0 copies L and N.
        GraphValue Heads(GraphValue x) =>
            Layout.Permute(
                context,
                context.Node("Reshape", x.Type, 4, [x, context.Constants([0, 0, heads, head])]),
                1,
                2,
                0,
                3
            );
        var scores = MatMulTransposed(
            context,
            Heads(context.Like("Mul", [q, context.Scalar(1 / Math.Sqrt(head), q.Type)])),
            Heads(k)
        );
        if (mask is { } given)
            scores = context.Like(
                "Add",
                [
                    scores,
                    context.Cast(
                        given.Rank == 3
                            ? context.Node(
                                "Reshape",
                                given.Type,
                                4,
                                [
                                    given,
                                    context.SizeVector([
                                        -1L,
                                        heads,
                                        .. LoweringContext.ToSizes(context.SizesOf(given))[1..],
                                    ]),
                                ]
                            )
                            : given,
                        scores.Type
                    ),
                ]
            );
        if (keyPadding is { } padding)
            scores = context.Node(
                "Where",
                scores.Type,
                4,
                [
                    context.Cast(
                        context.Node("Unsqueeze", padding.Type, 4, [padding, context.Constants([1, 2])]),
                        ScalarType.Bool
                    ),
                    context.Scalar(double.NegativeInfinity, scores.Type),
                    scores,
                ]
            );
        var weights = context.Like("Softmax", [scores], ("axis", 3L));
        var mixed = Layout.Permute(context, context.Like("MatMul", [weights, Heads(v)]), 2, 0, 1, 3);
        var joined = context.Node("Reshape", q.Type, 3, [mixed, context.Constants([0, 0, embedding])]);
        return (part.Linear("out_proj", joined), weights);
    }

    /// <summary>One of several equal parts of axis 0.</summary>
    private static GraphValue SliceOf(LoweringContext c, GraphValue tensor, long which, long size) =>
        c.Like("Slice", [tensor, c.Constant(which * size), c.Constant((which + 1) * size), c.Constant(0)]);

    /// <summary>Appends a learned row to every sequence of a batch.</summary>
    private static GraphValue AppendRow(LoweringContext c, GraphValue x, GraphValue row)
    {
        // [1, 1, E] to [1, N, E]: N is the batch of x.
        var batch = c.Node(
            "Slice",
            ScalarType.Int64,
            1,
            [c.Node("Shape", ScalarType.Int64, 1, [x]), c.Constant(1), c.Constant(2)]
        );
        var shape = c.Node("Concat", ScalarType.Int64, 1, [c.Constant(1), batch, c.Constant(1)], ("axis", 0L));
        return c.Like("Concat", [x, c.Node("Expand", x.Type, 3, [row, shape])], ("axis", 0L));
    }

    /// <summary>The layers of an encoder in sequence, each with the masks of the inputs.</summary>
    /// <param name="c">The operation; its arguments hold the masks.</param>
    /// <param name="encoder">Weights of the encoder.</param>
    /// <param name="count">Number of layers.</param>
    /// <param name="value">The input, [S, N, E], which is also the shape of the output.</param>
    /// <param name="heads">Number of attention heads.</param>
    /// <param name="gelu">Whether the feed-forward part uses GELU instead of ReLU.</param>
    private static GraphValue EncoderLayers(
        LoweringContext c,
        Part encoder,
        int count,
        GraphValue value,
        long heads,
        bool gelu
    )
    {
        var (mask, padding) = (c.OptionalTensor("src_mask"), c.OptionalTensor("src_key_padding_mask"));
        for (var index = 0; index < count; index++)
            value = EncoderLayer(encoder.Sub($"layers.{index}"), value, heads, gelu, mask, padding);
        return value;
    }

    /// <summary>x = norm1(x + attention(x)); x = norm2(x + feed-forward(x)).</summary>
    /// <param name="part">Weights of the layer.</param>
    /// <param name="x">[S, N, E]</param>
    /// <param name="heads">Number of attention heads.</param>
    /// <param name="gelu">Whether the feed-forward part uses GELU instead of ReLU.</param>
    /// <param name="mask">Added to the scores; null for none.</param>
    /// <param name="padding">Mask of the keys to ignore; null for none.</param>
    private static GraphValue EncoderLayer(
        Part part,
        GraphValue x,
        long heads,
        bool gelu,
        GraphValue? mask,
        GraphValue? padding
    )
    {
        var context = part.Context;
        x = part.Norm(
            "norm1",
            context.Like("Add", [x, Attend(part.Sub("self_attn"), x, x, x, heads, padding, mask).Output])
        );
        return part.Norm("norm2", context.Like("Add", [x, part.FeedForward(x, gelu)]));
    }

    /// <summary>
    /// x = norm1(x + attention(x)); x = norm2(x + attention(x, memory)); x = norm3(x + feed-forward(x)).
    /// </summary>
    /// <param name="part">Weights of the layer.</param>
    /// <param name="x">[T, N, E], the target.</param>
    /// <param name="memory">The output of the encoder, [S, N, E].</param>
    /// <param name="heads">Number of attention heads.</param>
    /// <param name="gelu">Whether the feed-forward part uses GELU instead of ReLU.</param>
    /// <param name="mask">Added to the scores within the target; null for none.</param>
    /// <param name="memoryMask">Added to the scores of the memory; null for none.</param>
    /// <param name="padding">Mask of the target keys to ignore; null for none.</param>
    /// <param name="memoryPadding">Mask of the memory keys to ignore; null for none.</param>
    private static GraphValue DecoderLayer(
        Part part,
        GraphValue x,
        GraphValue memory,
        long heads,
        bool gelu,
        GraphValue? mask,
        GraphValue? memoryMask,
        GraphValue? padding,
        GraphValue? memoryPadding
    )
    {
        var context = part.Context;
        x = part.Norm(
            "norm1",
            context.Like("Add", [x, Attend(part.Sub("self_attn"), x, x, x, heads, padding, mask).Output])
        );
        x = part.Norm(
            "norm2",
            context.Like(
                "Add",
                [x, Attend(part.Sub("multihead_attn"), x, memory, memory, heads, memoryPadding, memoryMask).Output]
            )
        );
        return part.Norm("norm3", context.Like("Add", [x, part.FeedForward(x, gelu)]));
    }

    /// <summary>Number of layers, found from the names of their weights.</summary>
    private static int LayerCount(Part part)
    {
        var count = 0;
        while (part.Has($"layers.{count}.norm1.weight"))
            count++;
        return count;
    }

    // ---- the modules ---------------------------------------------------------------------------------------------------------

    /// <summary>
    /// Reproducible numbers from -2 to 2, which distinguish the candidates for native options.
    /// </summary>
    private static Tensor Noise(params long[] shape)
    {
        var draw = new Random(23);
        return tensor(
                Enumerable
                    .Range(0, (int)shape.Aggregate(1L, (a, b) => a * b))
                    .Select(_ => (float)((draw.NextDouble() * 4) - 2))
                    .ToArray()
            )
            .reshape(shape);
    }

    /// <summary>The possible numbers of heads for a width.</summary>
    private static IEnumerable<long> Divisors(long number) =>
        Enumerable.Range(1, (int)number).Select(n => (long)n).Where(n => number % n == 0);

    /// <summary>
    /// Finds options that TorchSharp keeps in native code by building each candidate with the module's weights;
    /// options that the caller specifies take precedence.
    /// </summary>
    private static (long Heads, bool Gelu) HeadsAndActivation(
        LoweringContext c,
        string weight,
        Func<long, nn.Activations, nn.Module> build,
        Func<nn.Module, Tensor> run
    )
    {
        if (c.Options is { Heads: { } heads, Activation: { } activation })
            return (heads, activation.Equals("gelu", StringComparison.OrdinalIgnoreCase));
        var width = Root(c).Raw(weight).shape[0];
        var candidates = Divisors(width)
            .SelectMany(count =>
                ((long Heads, nn.Activations Activation)[])[(count, nn.Activations.ReLU), (count, nn.Activations.GELU)]
            );
        var (found, kind) = ModuleProbe.Find(
            c,
            "heads and activation",
            candidates,
            candidate => build(candidate.Heads, candidate.Activation),
            run
        );
        return (found, kind == nn.Activations.GELU);
    }

    /// <summary>MultiheadAttention, with the attention weights as a second result.</summary>
    private static void Multihead(LoweringContext c)
    {
        var part = Root(c);
        var embedding = part.Raw("out_proj.weight").shape[0];
        var (kdim, vdim) = part.Has("in_proj_weight")
            ? (embedding, embedding)
            : (part.Raw("k_proj_weight").shape[1], part.Raw("v_proj_weight").shape[1]);
        var (q, k, v) = (Noise(5, 2, embedding), Noise(4, 2, kdim), Noise(4, 2, vdim));
        var (heads, zero) = c.Options?.Heads is { } said
            ? (said, false)
            : ModuleProbe.Find(
                c,
                "number of heads",
                Divisors(embedding).SelectMany(count => ((long Heads, bool Zero)[])[(count, false), (count, true)]),
                candidate =>
                    nn.MultiheadAttention(
                        embedding,
                        candidate.Heads,
                        0,
                        part.Has("in_proj_bias"),
                        part.Has("bias_k"),
                        candidate.Zero,
                        kdim,
                        vdim
                    ),
                twin => ((MultiheadAttention)twin).forward(q, k, v, null, false, null).Item1
            );
        if (zero)
            throw c.Refuse("add_zero_attn appends a row of zeros, which has no lowering; build the module without it");
        var (output, weights) = Attend(
            part,
            TensorArgument(c, "query"),
            TensorArgument(c, "key"),
            TensorArgument(c, "value"),
            heads,
            c.OptionalTensor("key_padding_mask"),
            c.OptionalTensor("attn_mask")
        );
        c.Result(output);
        if (c.ResultCount > 1)
            c.Result(Reductions.Reduce(c, "ReduceMean", weights, [1], keep: false), 1);
    }

    /// <summary>A required tensor argument.</summary>
    private static GraphValue TensorArgument(LoweringContext c, string name) =>
        c.OptionalTensor(name) ?? throw c.Refuse($"{name} is missing");

    /// <summary>TransformerEncoderLayer.</summary>
    private static void EncoderLayerModule(LoweringContext c)
    {
        var part = Root(c);
        var (width, inner) = (part.Raw("norm1.weight").shape[0], part.Raw("linear1.weight").shape[0]);
        var example = Noise(5, 2, width);
        var (heads, gelu) = HeadsAndActivation(
            c,
            "norm1.weight",
            (count, kind) => nn.TransformerEncoderLayer(width, count, inner, 0, kind),
            twin => ((TransformerEncoderLayer)twin).forward(example)
        );
        c.Result(
            EncoderLayer(
                part,
                c.Tensor(),
                heads,
                gelu,
                c.OptionalTensor("src_mask"),
                c.OptionalTensor("src_key_padding_mask")
            )
        );
    }

    /// <summary>TransformerEncoder.</summary>
    private static void EncoderModule(LoweringContext c)
    {
        var part = Root(c);
        var layers = LayerCount(part);
        var (width, inner) = (part.Raw("layers.0.norm1.weight").shape[0], part.Raw("layers.0.linear1.weight").shape[0]);
        var example = Noise(5, 2, width);
        var (heads, gelu) = HeadsAndActivation(
            c,
            "layers.0.norm1.weight",
            (count, kind) => nn.TransformerEncoder(nn.TransformerEncoderLayer(width, count, inner, 0, kind), layers),
            twin => ((TransformerEncoder)twin).forward(example, null!, null!)
        );
        c.Result(EncoderLayers(c, part, layers, c.Tensor(), heads, gelu));
    }

    /// <summary>TransformerDecoderLayer.</summary>
    private static void DecoderLayerModule(LoweringContext c)
    {
        var part = Root(c);
        var (width, inner) = (part.Raw("norm1.weight").shape[0], part.Raw("linear1.weight").shape[0]);
        var (x, m) = (Noise(5, 2, width), Noise(4, 2, width));
        var (heads, gelu) = HeadsAndActivation(
            c,
            "norm1.weight",
            (count, kind) => nn.TransformerDecoderLayer(width, count, inner, 0, kind),
            twin => ((TransformerDecoderLayer)twin).forward(x, m, null!, null!, null!, null!)
        );
        c.Result(
            DecoderLayer(
                part,
                TensorArgument(c, "tgt"),
                TensorArgument(c, "memory"),
                heads,
                gelu,
                c.OptionalTensor("tgt_mask"),
                c.OptionalTensor("memory_mask"),
                c.OptionalTensor("tgt_key_padding_mask"),
                c.OptionalTensor("memory_key_padding_mask")
            )
        );
    }

    /// <summary>TransformerDecoder.</summary>
    private static void DecoderModule(LoweringContext c)
    {
        var part = Root(c);
        var layers = LayerCount(part);
        var (width, inner) = (part.Raw("layers.0.norm1.weight").shape[0], part.Raw("layers.0.linear1.weight").shape[0]);
        var (x, m) = (Noise(5, 2, width), Noise(4, 2, width));
        var (heads, gelu) = HeadsAndActivation(
            c,
            "layers.0.norm1.weight",
            (count, kind) => nn.TransformerDecoder(nn.TransformerDecoderLayer(width, count, inner, 0, kind), layers),
            twin => ((TransformerDecoder)twin).forward(x, m, null!, null!, null!, null!)
        );
        var value = TensorArgument(c, "tgt");
        for (var layer = 0; layer < layers; layer++)
            value = DecoderLayer(
                part.Sub($"layers.{layer}"),
                value,
                TensorArgument(c, "memory"),
                heads,
                gelu,
                c.OptionalTensor("tgt_mask"),
                c.OptionalTensor("memory_mask"),
                c.OptionalTensor("tgt_key_padding_mask"),
                c.OptionalTensor("memory_key_padding_mask")
            );
        c.Result(value);
    }

    /// <summary>Transformer: encoder and decoder, each with its final norm.</summary>
    private static void TransformerModule(LoweringContext c)
    {
        var part = Root(c);
        var (encoder, decoder) = (part.Sub("encoder"), part.Sub("decoder"));
        var (encoders, decoders) = (LayerCount(encoder), LayerCount(decoder));
        var (width, inner) = (
            encoder.Raw("layers.0.norm1.weight").shape[0],
            encoder.Raw("layers.0.linear1.weight").shape[0]
        );
        var (x, m) = (Noise(5, 2, width), Noise(4, 2, width));
        var (heads, gelu) = HeadsAndActivation(
            c,
            "encoder.layers.0.norm1.weight",
            (count, kind) => nn.Transformer(width, count, encoders, decoders, inner, 0, kind),
            twin => ((Transformer)twin).forward(x, m)
        );
        var memory = EncoderLayers(c, encoder, encoders, TensorArgument(c, "src"), heads, gelu);
        memory = encoder.Norm("norm", memory);
        var value = TensorArgument(c, "tgt");
        for (var layer = 0; layer < decoders; layer++)
            value = DecoderLayer(
                decoder.Sub($"layers.{layer}"),
                value,
                memory,
                heads,
                gelu,
                c.OptionalTensor("tgt_mask"),
                c.OptionalTensor("memory_mask"),
                c.OptionalTensor("tgt_key_padding_mask"),
                c.OptionalTensor("memory_key_padding_mask")
            );
        c.Result(decoder.Norm("norm", value));
    }
}
