// Normalizations in eval mode, over the axes that their formulas average:
//   BatchNorm:    (x - running_mean[c]) / sqrt(running_var[c] + eps) * weight[c] + bias[c]
//   LayerNorm:    mean and biased variance over the last axes, affine of their shape (LayerNormalization, opset 17)
//   GroupNorm:    over (C / groups, spatial), affine per channel; as InstanceNormalization over [N, groups, -1]
//   InstanceNorm: over spatial, per sample and channel; with running statistics it is a BatchNorm
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>
/// Lowers normalizations in eval mode. BatchNorm without running statistics is refused, because it would use the
/// statistics of the batch.
/// </summary>
internal static class Normalizations
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        table.Module<BatchNorm1d>("BatchNormalization", Batch, "eps, affine, momentum");
        table.Module<BatchNorm2d>("BatchNormalization", Batch, "eps, affine, momentum");
        table.Module<BatchNorm3d>("BatchNormalization", Batch, "eps, affine, momentum");
        table.Module<InstanceNorm1d>(
            "InstanceNormalization; BatchNormalization",
            Instance,
            "eps, affine, track_running_stats"
        );
        table.Module<InstanceNorm2d>(
            "InstanceNormalization; BatchNormalization",
            Instance,
            "eps, affine, track_running_stats"
        );
        table.Module<InstanceNorm3d>(
            "InstanceNormalization; BatchNormalization",
            Instance,
            "eps, affine, track_running_stats"
        );
        table.Module<LayerNorm>("LayerNormalization", Layer, "normalized_shape, eps, elementwise_affine");
        table.Module<LocalResponseNorm>(
            "LRN",
            c =>
                Local(
                    c,
                    ((LocalResponseNorm)c.Module!).size,
                    ((LocalResponseNorm)c.Module!).alpha,
                    ((LocalResponseNorm)c.Module!).beta,
                    ((LocalResponseNorm)c.Module!).k
                ),
            "size, alpha, beta, k"
        );
        table.Operation(
            "local_response_norm",
            "LRN",
            c => Local(c, c.Integer(5, "size"), c.Number(1e-4, "alpha"), c.Number(0.75, "beta"), c.Number(1, "k")),
            "size, alpha, beta, k"
        );
        table.Operation("layer_norm", "LayerNormalization", LayerFunctional, "normalized_shape, weight, bias, eps");
        table.Operation(
            "group_norm",
            "Reshape, InstanceNormalization, Mul, Add",
            c =>
                GroupNormalize(
                    c,
                    c.Tensor(),
                    c.Integer(1, "num_groups"),
                    c.Number(1e-5, "eps"),
                    c.OptionalTensor("weight"),
                    c.OptionalTensor("bias")
                ),
            "num_groups, weight, bias, eps"
        );
        table.Operation(
            "batch_norm",
            "BatchNormalization",
            BatchFunctional,
            "running statistics, weight, bias, eps; training: false"
        );
        table.Operation("instance_norm", "InstanceNormalization", InstanceFunctional, "weight, bias, eps");
        table.Module<GroupNorm>("Reshape, InstanceNormalization, Mul, Add", Group, "num_groups, eps, affine");
    }

    /// <summary>BatchNorm with its running statistics.</summary>
    private static void Batch(LoweringContext c)
    {
        var module = (NormBase)c.Module!;
        if (module.running_mean is null || module.running_var is null)
            throw c.Refuse(
                "it has no running statistics, so even eval mode would use the statistics of the batch. Build it "
                    + "with track_running_stats: true"
            );
        Running(c, module, c.Tensor());
    }

    /// <summary>
    /// (x - running_mean) / sqrt(running_var + eps) * weight + bias, per channel.
    /// </summary>
    private static void Running(LoweringContext c, NormBase module, GraphValue input)
    {
        var (weight, bias) = Affine(c, module);
        c.Result(
            c.Like(
                "BatchNormalization",
                [
                    input,
                    weight,
                    bias,
                    c.Parameter(module.running_mean!, "running_mean"),
                    c.Parameter(module.running_var!, "running_var"),
                ],
                ("epsilon", (float)module.eps)
            )
        );
    }

    /// <summary>Weight and bias per channel; ones and zeros if the module has none.</summary>
    private static (GraphValue Weight, GraphValue Bias) Affine(LoweringContext c, NormBase module)
    {
        using var scope = NewDisposeScope();
        var type = c.ResultType();
        var weight = module.affine
            ? c.Parameter(module.weight, "weight")
            : c.Computed(ones(module.num_features, type), "ones");
        var bias =
            module.affine && module.bias is { } parameter
                ? c.Parameter(parameter, "bias")
                : c.Computed(zeros(module.num_features, type), "zeros");
        return (weight, bias);
    }

    /// <summary>
    /// InstanceNorm over the spatial axes of each sample and channel; with running statistics it is a BatchNorm.
    /// </summary>
    private static void Instance(LoweringContext c)
    {
        var module = (NormBase)c.Module!;
        var input = c.Tensor();
        var spatial = c.Module!.GetType().Name[^2] - '0';
        var unbatched = input.Rank == spatial + 1;
        if (module.running_mean is not null)
        {
            if (unbatched)
                throw c.Refuse("the input has no batch axis; add one with unsqueeze(0)");
            Running(c, module, input);
            return;
        }

        var (weight, bias) = Affine(c, module);
        if (unbatched)
            input = c.Node("Unsqueeze", input.Type, input.Rank + 1, [input, c.Constant(0)]);
        var result = c.Like("InstanceNormalization", [input, weight, bias], ("epsilon", (float)module.eps));
        c.Result(unbatched ? c.Node("Squeeze", input.Type, spatial + 1, [result, c.Constant(0)]) : result);
    }

    /// <summary>LayerNorm over the last axes.</summary>
    private static void Layer(LoweringContext c)
    {
        var module = (LayerNorm)c.Module!;
        var type = c.ResultType();
        using var scope = NewDisposeScope();
        var weight = module.elementwise_affine
            ? c.Parameter(module.weight, "weight")
            : c.Computed(ones(module.normalized_shape, type), "ones");
        List<GraphValue> inputs = [c.Tensor(), weight];
        if (module.elementwise_affine && module.bias is { } bias)
            inputs.Add(c.Parameter(bias, "bias"));
        c.Result(
            c.Like(
                "LayerNormalization",
                [.. inputs],
                ("axis", (long)-module.normalized_shape.Length),
                ("epsilon", (float)module.eps)
            )
        );
    }

    /// <summary>GroupNorm of a module.</summary>
    private static void Group(LoweringContext c)
    {
        var module = (GroupNorm)c.Module!;
        GroupNormalize(
            c,
            c.Tensor(),
            module.num_groups,
            module.eps,
            module.affine ? c.Parameter(module.weight, "weight") : null,
            module.affine && module.bias is { } bias ? c.Parameter(bias, "bias") : null
        );
    }

    /// <summary>Normalizes [N, C, ...] over groups of channels.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="input">[N, C, ...]</param>
    /// <param name="groups">Number of groups; a divisor of C.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="weight">[C]; null for 1.</param>
    /// <param name="bias">[C]; null for 0.</param>
    public static void GroupNormalize(
        LoweringContext c,
        GraphValue input,
        long groups,
        double eps,
        GraphValue? weight,
        GraphValue? bias
    )
    {
        using var scope = NewDisposeScope();
        var grouped = c.Node("Reshape", input.Type, 3, [input, c.Constants([0, groups, -1])]);
        var normalized = c.Like(
            "InstanceNormalization",
            [grouped, c.Computed(ones(groups, input.Type), "ones"), c.Computed(zeros(groups, input.Type), "zeros")],
            ("epsilon", (float)eps)
        );
        var back = c.Node(
            "Reshape",
            input.Type,
            input.Rank,
            [normalized, c.Node("Shape", ScalarType.Int64, 1, [input])]
        );
        if (weight is { } scale)
            back = c.Like("Mul", [back, PerChannel(c, scale, input.Rank)]);
        if (bias is { } shift)
            back = c.Like("Add", [back, PerChannel(c, shift, input.Rank)]);
        c.Result(back);
    }

    /// <summary>Reshapes per-channel values so that they broadcast along axis 1.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="vector">[C]</param>
    /// <param name="rank">Rank of the value that they are combined with.</param>
    private static GraphValue PerChannel(LoweringContext c, GraphValue vector, int rank) =>
        rank <= 2
            ? vector
            : c.Node(
                "Unsqueeze",
                vector.Type,
                rank - 1,
                [vector, c.Constants([.. Enumerable.Range(1, rank - 2).Select(axis => (long)axis)])]
            );

    /// <summary>x / (k + alpha / n times the sum of squares of n neighbouring channels)^beta.</summary>
    /// <param name="c">The operation.</param>
    /// <param name="size">Number of channels in a window, n.</param>
    /// <param name="alpha">Factor of the mean of squares.</param>
    /// <param name="beta">The exponent.</param>
    /// <param name="k">Added before exponentiation.</param>
    private static void Local(LoweringContext c, long size, double alpha, double beta, double k)
    {
        // ONNX centres an even window one channel later than TorchSharp, and accepts only [N, C, H, W].
        if (size % 2 == 1 && c.Tensor().Rank == 4 && c.ResultType() == ScalarType.Float32)
        {
            c.Result(
                c.Like(
                    "LRN",
                    [c.Tensor()],
                    ("size", size),
                    ("alpha", (float)alpha),
                    ("beta", (float)beta),
                    ("bias", (float)k)
                )
            );
            return;
        }

        // x / (k + alpha mean of squares over size channels)^beta, as a sum of shifted squares.
        var x = Pointwise.X(c);
        var pads = new long[2 * x.Value.Rank];
        (pads[1], pads[x.Value.Rank + 1]) = (size / 2, (size - 1) / 2);
        var squares = Paddings.Pad(c, (x * x).Value, pads, "constant", 0);
        var sum = Enumerable
            .Range(0, (int)size)
            .Select(i => new Formula(c, Layout.Slice(c, squares, 1, i, i == size - 1 ? long.MaxValue : i - size + 1)))
            .Aggregate((a, b) => a + b);
        var scale = sum * (alpha / size) + k;
        c.Result((x / scale.Binary("Pow", scale.Number(beta))).Value);
    }

    /// <summary>A tensor argument, or a constant if it is missing.</summary>
    /// <param name="c">Receives the nodes.</param>
    /// <param name="given">The argument; null if it was omitted.</param>
    /// <param name="shape">Shape of the constant.</param>
    /// <param name="value">Value of each element of the constant.</param>
    /// <param name="name">Name of the constant, which is made unique.</param>
    private static GraphValue Filled(LoweringContext c, GraphValue? given, long[] shape, double value, string name)
    {
        using var scope = NewDisposeScope();
        return given ?? c.Computed(full(shape, value, c.ResultType()), name);
    }

    /// <summary>layer_norm as a function.</summary>
    private static void LayerFunctional(LoweringContext c)
    {
        var shape = c.Integers("normalized_shape")!;
        List<GraphValue> inputs = [c.Tensor(), Filled(c, c.OptionalTensor("weight"), shape, 1, "ones")];
        if (c.OptionalTensor("bias") is { } bias)
            inputs.Add(bias);
        c.Result(
            c.Like(
                "LayerNormalization",
                [.. inputs],
                ("axis", (long)-shape.Length),
                ("epsilon", (float)c.Number(1e-5, "eps"))
            )
        );
    }

    /// <summary>batch_norm as a function, with running statistics.</summary>
    private static void BatchFunctional(LoweringContext c)
    {
        if (c.Flag(false, "training"))
            throw c.Refuse("training is true, so it would use the statistics of the batch; pass training: false");
        var mean = c.OptionalTensor("running_mean")
            ?? throw c.Refuse(
                "without running statistics it would use the statistics of the batch, even in eval mode; pass "
                    + "running_mean and running_var"
            );
        var channels = c.FixedSize(c.Tensor(), 1) ?? throw c.RefuseFree("the channel axis");
        c.Result(
            c.Like(
                "BatchNormalization",
                [
                    c.Tensor(),
                    Filled(c, c.OptionalTensor("weight"), [channels], 1, "ones"),
                    Filled(c, c.OptionalTensor("bias"), [channels], 0, "zeros"),
                    mean,
                    c.OptionalTensor("running_var")!.Value,
                ],
                ("epsilon", (float)c.Number(1e-5, "eps"))
            )
        );
    }

    /// <summary>instance_norm as a function, without running statistics.</summary>
    private static void InstanceFunctional(LoweringContext c)
    {
        if (c.Has("running_mean"))
            throw c.Refuse("running statistics are not supported in the functional form; use the module");
        var channels = c.FixedSize(c.Tensor(), 1) ?? throw c.RefuseFree("the channel axis");
        c.Result(
            c.Like(
                "InstanceNormalization",
                [
                    c.Tensor(),
                    Filled(c, c.OptionalTensor("weight"), [channels], 1, "ones"),
                    Filled(c, c.OptionalTensor("bias"), [channels], 0, "zeros"),
                ],
                ("epsilon", (float)c.Number(1e-5, "eps"))
            )
        );
    }
}
