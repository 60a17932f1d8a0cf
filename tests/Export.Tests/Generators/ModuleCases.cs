// Cases of TorchSharp's modules, found by reflection: every factory of torch.nn whose module has a lowering, with
// each of its options at values other than the default. An option without values here is an error, so that a new one
// cannot be forgotten.
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchBridge.Export.Lowering;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>A factory of a module with one option that is not the default.</summary>
/// <param name="Factory">A method of torch.nn.</param>
/// <param name="Option">The option, empty for none.</param>
/// <param name="Value">Which of its values.</param>
internal sealed record ModuleOption(MethodInfo Factory, string Option, int Value)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Factory.Name}("
        + $"{string.Join(", ", Factory.GetParameters().Select(parameter => $"{Short(parameter.ParameterType)} {parameter.Name}"))}"
        + $") {Option} #{Value}";

    private static string Short(Type type) =>
        Nullable.GetUnderlyingType(type) is { } inner ? $"{Short(inner)}?"
        : type.IsGenericType ? $"{type.GetGenericArguments().Length}-tuple"
        : type.Name;
}

/// <summary>Makes cases of modules.</summary>
internal static class ModuleCases
{
    /// <summary>Modules whose options ModuleTests go through, because their inputs depend on each other.</summary>
    private static readonly HashSet<string> Elsewhere =
    [
        "Transformer",
        "TransformerEncoder",
        "TransformerEncoderLayer",
        "TransformerDecoder",
        "TransformerDecoderLayer",
        "MultiheadAttention",
    ];

    /// <summary>Options that have no meaning in a graph, or that the file's own precision decides.</summary>
    private static readonly HashSet<string> WithoutMeaning = ["device", "dtype"];

    /// <summary>Values of options by name, or by module and name; the first is what the other options are varied
    /// with.</summary>
    private static readonly Dictionary<string, object?[]> Values = new(StringComparer.Ordinal)
    {
        ["alpha"] = [1.0, 0.7],
        ["approximate"] = ["none", "tanh"],
        ["dim"] = [1, -1, 2],
        ["lambda"] = [0.5, 0.3],
        ["min_val"] = [-1.0, -0.4],
        ["max_val"] = [1.0, 0.3],
        ["negative_slope"] = [0.01, 0.3],
        ["num_parameters"] = [1, 6],
        ["init"] = [0.25, 0.6],
        ["lower"] = [0.1, 0.2],
        ["upper"] = [0.3, 0.5],
        ["beta"] = [1.0, 2.0],
        ["threshold"] = [20.0, 0.4],
        ["value"] = [0.0, -3.0],
        ["p"] = [0.5, 0.2],
        ["in1_features"] = [6],
        ["in2_features"] = [5],
        ["out_features"] = [3],
        ["hasBias"] = [true, false],
        ["in_channels"] = [4],
        ["out_channels"] = [6],
        ["kernel_size"] = [3, 2],
        ["stride"] = [1, 2],
        ["padding"] = [0, 1],
        ["dilation"] = [1, 2],
        ["padding_mode"] = ["Zeros", "Reflect", "Replicate", "Circular"],
        ["groups"] = [1, 2],
        ["bias"] = [true, false],
        ["output_padding"] = [0, 1],
        ["eps"] = [1e-5, 0.1],
        ["num_embeddings"] = [10],
        ["embedding_dims"] = [4],
        ["padding_idx"] = [null, 3],
        ["max_norm"] = [null, 0.7],
        ["norm_type"] = [2.0, 1.0, 3.0],
        ["scale_grad_by_freq"] = [false, true],
        ["sparse"] = [false, true],
        ["mode"] = ["Nearest", "Bilinear", "Bicubic"],
        ["EmbeddingBag.mode"] = ["Mean", "Sum", "Max"],
        ["include_last_offset"] = [false, true],
        ["padding_index"] = [-1, 3, 0],
        ["freeze"] = [true, false],
        ["start_dim"] = [1, 0, 2],
        ["end_dim"] = [-1, 1],
        ["Fold.output_size"] = [7, 8],
        ["output_size"] = [1, 3, 4],
        ["inputSize"] = [4],
        ["outputSize"] = [3],
        ["ignore_index"] = [-100, 1],
        ["reduction"] = ["Mean", "Sum", "None"],
        ["margin"] = [1.0, 0.3, 0.0],
        ["delta"] = [1.0, 0.5],
        ["MultiMarginLoss.p"] = [1, 2],
        ["TripletMarginLoss.p"] = [2, 1, 3],
        ["PairwiseDistance.p"] = [2.0, 1.0, 3.0],
        ["log_input"] = [true, false],
        ["full"] = [false, true],
        ["log_target"] = [true, false],
        ["swap"] = [false, true],
        ["num_features"] = [4],
        ["momentum"] = [0.1, 0.9],
        ["affine"] = [true, false],
        ["track_running_stats"] = [true, false],
        ["num_groups"] = [2, 4, 1],
        ["num_channels"] = [4],
        ["elementwise_affine"] = [true, false],
        ["size"] = [3, 4],
        ["LocalResponseNorm.alpha"] = [1e-4, 0.5],
        ["LocalResponseNorm.beta"] = [0.75, 0.4],
        ["k"] = [1.0, 2.0],
        ["keepdim"] = [false, true],
        ["upscale_factor"] = [2],
        ["downscale_factor"] = [2],
        ["ceil_mode"] = [false, true],
        ["count_include_pad"] = [true, false],
        ["divisor_override"] = [null, 3],
        ["hiddenSize"] = [6],
        ["numLayers"] = [1, 2],
        ["batchFirst"] = [false, true],
        ["dropout"] = [0.0, 0.5],
        ["bidirectional"] = [false, true],
        ["nonLinearity"] = ["Tanh", "ReLU"],
        ["inplace"] = [false, true],
        ["unflattened_size"] = [0],
        ["Unflatten.dim"] = [1],
        ["scale_factor"] = [null, 2.0, 1.5],
        ["Upsample.size"] = [7, 12],
        ["align_corners"] = [null, true, false],
        ["recompute_scale_factor"] = [null, true],
        ["weight"] = [null, 1.0],
        ["pos_weights"] = [null, 1.0],
        ["embeddings"] = [0],
        ["normalized_shape"] = [5],
        ["ZeroPad2d.padding"] = [1, 2],
        ["Softmax.dim"] = [1, -1, 0],
        ["GLU.dim"] = [-1, 1],
        ["CosineSimilarity.dim"] = [1, -1],
        ["ChannelShuffle.groups"] = [2],
        ["size.Upsample"] = [7],
    };

    /// <summary>What has to go with an option for it to matter.</summary>
    private static readonly Dictionary<string, (string Option, object? Value)[]> Together = new(StringComparer.Ordinal)
    {
        ["norm_type"] = [("max_norm", 0.7)],
        ["output_padding"] = [("stride", 2)],
        ["count_include_pad"] = [("padding", 1)],
        ["divisor_override"] = [("padding", 1)],
        ["ceil_mode"] = [("stride", 2)],
        ["padding_mode"] = [("padding", 1)],
        ["scale_factor"] = [("size", null)],
        ["recompute_scale_factor"] = [("size", null), ("scale_factor", 1.5), ("mode", "Bilinear")],
        ["align_corners"] = [("mode", "Bilinear")],
        ["dropout"] = [("numLayers", 2)],
    };

    /// <summary>Every factory with every value of every option.</summary>
    public static IReadOnlyList<ModuleOption> All { get; } = [.. Factories().SelectMany(Options).Where(IsTaken)];

    /// <summary>Whether TorchSharp itself takes an option of this value.</summary>
    private static bool IsTaken(ModuleOption option) =>
        !(
            option.Option == "padding_mode"
            && option.Factory.ReturnType.Name.StartsWith("ConvTranspose", StringComparison.Ordinal)
        );

    /// <summary>Makes a case.</summary>
    /// <param name="option">Which.</param>
    /// <param name="seed">For weights and inputs.</param>
    public static GeneratedCase Of(ModuleOption option, int seed)
    {
        random.manual_seed(seed);
        var chosen = Together
            .GetValueOrDefault(option.Option, [])
            .ToDictionary(pair => pair.Option, pair => pair.Value, StringComparer.Ordinal);
        if (option.Option.Length > 0)
            chosen[option.Option] = ValuesOf(option.Factory, option.Option)[option.Value];
        var arguments = option
            .Factory.GetParameters()
            .Select(parameter => Argument(option.Factory, parameter, chosen))
            .ToArray();
        var module = (nn.Module)option.Factory.Invoke(null, BindingFlags.DoNotWrapExceptions, null, arguments, null)!;
        using (no_grad())
        {
            // Running statistics and affine weights that are not 0 and 1.
            foreach (var (_, buffer) in module.named_buffers())
                if (is_floating_point(buffer))
                    buffer.copy_(rand_like(buffer) + 0.5f);
            if (module is not Embedding and not EmbeddingBag)
                foreach (var (_, parameter) in module.named_parameters())
                    parameter.copy_(randn_like(parameter) * 0.5f);
        }

        var named = option
            .Factory.GetParameters()
            .Zip(arguments)
            .ToDictionary(pair => pair.First.Name!, pair => pair.Second, StringComparer.Ordinal);
        var others = new long[] { 1, 5 }
            .Select(batch => ($"batch {batch}", Inputs(module, named, batch)))
            .ToArray();
        return new GeneratedCase($"{option}", module, Inputs(module, named, 2), others) { Slack = 5, Floor = 1e-6 };
    }

    private static IEnumerable<MethodInfo> Factories() =>
        typeof(nn)
            .GetMethods(BindingFlags.Public | BindingFlags.Static)
            .Where(method =>
                OperatorTable.Default.ModuleRows.ContainsKey(method.ReturnType)
                && !Elsewhere.Contains(method.ReturnType.Name)
            )
            .Where(method => !method.GetParameters().Any(parameter => parameter.ParameterType == typeof(Parameter)));

    private static IEnumerable<ModuleOption> Options(MethodInfo factory)
    {
        yield return new ModuleOption(factory, "", 0);
        foreach (var parameter in factory.GetParameters().Where(parameter => !WithoutMeaning.Contains(parameter.Name!)))
        {
            for (var i = 1; i < ValuesOf(factory, parameter.Name!).Length; i++)
                yield return new ModuleOption(factory, parameter.Name!, i);
        }
    }

    private static object?[] ValuesOf(MethodInfo factory, string option)
    {
        if (option == "padding" && factory.GetParameters().Any(parameter => parameter.ParameterType == typeof(Padding)))
            return ["Valid", "Same"];
        return Values.GetValueOrDefault($"{factory.ReturnType.Name}.{option}")
            ?? Values.GetValueOrDefault(option)
            ?? throw new InvalidOperationException(
                $"{factory.ReturnType.Name} has an option '{option}' that no value is given for in {nameof(ModuleCases)}"
            );
    }

    private static object? Argument(MethodInfo factory, ParameterInfo parameter, Dictionary<string, object?> chosen)
    {
        if (WithoutMeaning.Contains(parameter.Name!))
            return parameter.DefaultValue is DBNull ? null : parameter.DefaultValue;
        var value = chosen.TryGetValue(parameter.Name!, out var given) ? given : ValuesOf(factory, parameter.Name!)[0];
        return Convert(factory.ReturnType, parameter, value);
    }

    /// <summary>A value as the parameter takes it: one number for an axis is that of all axes, the last one a little
    /// less.</summary>
    private static object? Convert(Type module, ParameterInfo parameter, object? value)
    {
        if (value is null)
            return null;
        var type = Nullable.GetUnderlyingType(parameter.ParameterType) ?? parameter.ParameterType;
        var spatial = module.Name[^1] == 'd' && char.IsAsciiDigit(module.Name[^2]) ? module.Name[^2] - '0' : 2;
        if (parameter.Name == "unflattened_size")
            return new long[] { 2, 3 };
        if (type == typeof(Tensor))
            return parameter.Name == "embeddings"
                ? randn(10, 4)
                : rand(
                    module == typeof(BCELoss)
                    || module == typeof(BCEWithLogitsLoss)
                    || module == typeof(MultiLabelSoftMarginLoss)
                        ? 4
                        : 6
                ) + 0.5f;
        // Where padding is Same or Valid, the padding mode is seen with Same.
        if (type.IsEnum)
            return Enum.Parse(type, value as string ?? nameof(Padding.Same));
        if (type == typeof(bool))
            return value;
        if (type == typeof(long[]))
            return parameter.Name == "normalized_shape"
                ? [System.Convert.ToInt64(value, CultureInfo.InvariantCulture)]
                : Enumerable.Repeat(System.Convert.ToInt64(value, CultureInfo.InvariantCulture), spatial).ToArray();
        if (type == typeof(double[]))
            return Enumerable.Repeat(System.Convert.ToDouble(value, CultureInfo.InvariantCulture), spatial).ToArray();
        if (!typeof(ITuple).IsAssignableFrom(type))
            return System.Convert.ChangeType(value, type, CultureInfo.InvariantCulture);
        var parts = type.GetGenericArguments().Length;
        return Activator.CreateInstance(
            type,
            [
                .. Enumerable
                    .Range(0, parts)
                    .Select(i =>
                        (object)(
                            System.Convert.ToInt64(value, CultureInfo.InvariantCulture)
                            + (i == parts - 1 && parameter.Name is "kernel_size" or "output_size" ? 1 : 0)
                        )
                    ),
            ]
        );
    }

    // ---- inputs
    // --------------------------------------------------------------------------------------------------------------

    private static Tensor[] Inputs(nn.Module module, Dictionary<string, object?> arguments, long batch)
    {
        Tensor Classes(int count, params long[] shape) => randint(0, count, shape, ScalarType.Int64);
        var name = module.GetType().Name;
        switch (name)
        {
            case "Linear" or "GRUCell" or "RNNCell" or "LSTMCell":
                return [randn(batch, 4)];
            case "Bilinear":
                return [randn(batch, 6), randn(batch, 5)];
            case "GRU" or "LSTM" or "RNN":
                return [randn(batch, 3, 4)];
            case "Embedding":
                return [Classes(10, batch, 6)];
            case "EmbeddingBag":
                return arguments["include_last_offset"] is true
                    ? [Classes(10, 9), tensor(new long[] { 0, 2, 2, 6, 9 })]
                    : [Classes(10, batch, 6)];
            case "CrossEntropyLoss" or "NLLLoss" or "MultiMarginLoss":
                return [randn(batch, 6).log_softmax(1), Classes(6, batch)];
            case "BCELoss":
                return [rand(batch, 4), rand(batch, 4)];
            case "MultiLabelSoftMarginLoss":
                return [randn(batch, 4), (randn(batch, 4) > 0).to(ScalarType.Float32)];
            case "HingeEmbeddingLoss" or "SoftMarginLoss":
                return [randn(batch, 4), randn(batch, 4).sign()];
            case "CosineEmbeddingLoss":
                return [randn(batch, 4), randn(batch, 4), randn(batch).sign()];
            case "MarginRankingLoss" or "TripletMarginLoss":
                return [randn(batch, 4), randn(batch, 4), randn(batch, 4).sign()];
            case "GaussianNLLLoss":
                return [randn(batch, 4), randn(batch, 4), rand(batch, 4) * 0.3f];
            case "PoissonNLLLoss":
                return [rand(batch, 4), rand(batch, 4) * 4];
            case "CosineSimilarity" or "PairwiseDistance":
                return [randn(batch, 6, 4), randn(batch, 6, 4)];
            case "LayerNorm":
                return [randn(batch, 4, 5)];
            case "Unflatten":
                return [randn(batch, 6, 5)];
            case "PixelShuffle":
                return [randn(batch, 8, 3, 4)];
            case "PixelUnshuffle":
                return [randn(batch, 3, 4, 6)];
            case "Softmax2d" or "Unfold" or "Upsample" or "ChannelShuffle":
                return [randn(batch, 4, 7, 8)];
            case "GroupNorm" or "LocalResponseNorm":
                return [randn(batch, 4, 5, 6)];
            case "Fold":
                return [Blocks((Fold)module, batch)];
        }

        if (name.EndsWith("Loss", StringComparison.Ordinal))
            return [randn(batch, 4), rand(batch, 4)];
        if (name.StartsWith("MaxUnpool", StringComparison.Ordinal))
            return Pooled(name[^2] - '0', arguments, batch);
        if (name[^1] != 'd' || !char.IsAsciiDigit(name[^2]))
            return [randn(batch, 6, 4)];
        long[] sizes = [9, 8, 7];
        return [randn([batch, 4, .. sizes[..(name[^2] - '0')]])];
    }

    private static Tensor Blocks(Fold module, long batch)
    {
        // What unfolding a picture of the module's output size gives.
        using var picture = rand(batch, 3, module.output_size.Item1, module.output_size.Item2);
        return nn.functional.unfold(picture, module.kernel_size, module.dilation, module.padding, module.stride);
    }

    private static Tensor[] Pooled(int spatial, Dictionary<string, object?> arguments, long batch)
    {
        long[] Wide(object? value, long fallback) =>
            value switch
            {
                null => [.. Enumerable.Repeat(fallback, spatial)],
                long[] list => list,
                ITuple tuple => [.. Enumerable.Range(0, tuple.Length).Select(i => (long)tuple[i]!)],
                _ => [.. Enumerable.Repeat(System.Convert.ToInt64(value, CultureInfo.InvariantCulture), spatial)],
            };
        var kernel = Wide(arguments["kernel_size"], 1);
        var (stride, padding) = (Wide(arguments["stride"], kernel[0]), Wide(arguments["padding"], 0));
        // Sizes that pooling and unpooling together leave unchanged.
        long[] size = [.. Enumerable.Range(0, spatial).Select(i => (3 * stride[i]) - (2 * padding[i]) + kernel[i])];
        var x = randn([batch, 2, .. size]);
        var (values, indices) = spatial switch
        {
            1 => nn.functional.max_pool1d_with_indices(x, kernel[0], stride[0], padding[0]),
            2 => nn.functional.max_pool2d_with_indices(x, kernel, stride, padding),
            _ => nn.functional.max_pool3d_with_indices(x, kernel, stride, padding),
        };
        return [values, indices];
    }
}
