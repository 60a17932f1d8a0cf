// Convolutions: Conv and ConvTranspose, with weights [out, in/groups, k...] and [in, out/groups, k...], the same in
// both frameworks. TorchSharp's padding `Same` puts the odd element at the end, per axis total = dilation (k - 1);
// other padding modes become Pad.
using System.Reflection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

/// <summary>Lowers convolutions and transposed convolutions with one to three spatial axes.</summary>
internal static class Convolutions
{
    /// <summary>Adds the rows of this family.</summary>
    /// <param name="table">The table to extend.</param>
    public static void Register(OperatorTable table)
    {
        const string options = "stride, padding (numbers, Same, Valid), padding_mode, dilation, groups, bias";
        table.Module<Conv1d>("Conv (Pad)", Module, options);
        table.Module<Conv2d>("Conv (Pad)", Module, options);
        table.Module<Conv3d>("Conv (Pad)", Module, options);
        const string transposed = "stride, padding, output_padding, dilation, groups, bias";
        table.Module<ConvTranspose1d>("ConvTranspose", Module, transposed);
        table.Module<ConvTranspose2d>("ConvTranspose", Module, transposed);
        table.Module<ConvTranspose3d>("ConvTranspose", Module, transposed);
        foreach (var spatial in (int[])[1, 2, 3])
        {
            table.Operation(
                $"conv{spatial}d",
                "Conv",
                c => Functional(c, spatial, transposed: false),
                "stride, padding, dilation, groups, bias"
            );
            table.Operation(
                $"conv_transpose{spatial}d",
                "ConvTranspose",
                c => Functional(c, spatial, transposed: true),
                "stride, padding, output_padding, dilation, groups, bias"
            );
        }
    }

    /// <summary>
    /// A convolution module, with its padding in the operator or as a Pad before it.
    /// </summary>
    private static void Module(LoweringContext c)
    {
        var module = (Convolution)c.Module!;
        var kernel = module.weight.shape[2..];
        var spatial = kernel.Length;
        var input = c.Tensor();
        if (input.Rank != spatial + 2)
            throw c.Refuse("the input has no batch axis; add one with unsqueeze(0)");
        var padding = Padding(c, module, kernel);
        if (module.padding_mode != PaddingModes.Zeros && padding.Any(size => size != 0))
        {
            input = Paddings.Pad(
                c,
                input,
                [
                    .. Enumerable.Repeat(0L, 2),
                    .. padding[..spatial],
                    .. Enumerable.Repeat(0L, 2),
                    .. padding[spatial..],
                ],
                module.padding_mode switch
                {
                    PaddingModes.Reflect => "reflect",
                    PaddingModes.Replicate => "edge",
                    PaddingModes.Circular => "wrap",
                    _ => throw c.Refuse(
                        $"padding_mode {module.padding_mode} is not supported; supported are Zeros, Reflect, "
                            + "Replicate and Circular"
                    ),
                },
                0
            );
            padding = new long[2 * spatial];
        }

        var attributes = new List<(string, object)>
        {
            ("kernel_shape", kernel),
            ("strides", Expand(module.stride, spatial)),
            ("dilations", Expand(module.dilation, spatial)),
            ("pads", padding),
            ("group", module.groups),
        };
        if (module.transposed)
            attributes.Add(("output_padding", Expand(module.output_padding, spatial)));
        GraphValue[] inputs = module.bias is { } bias
            ? [input, c.Parameter(module.weight, "weight"), c.Parameter(bias, "bias")]
            : [input, c.Parameter(module.weight, "weight")];
        if (module.transposed)
            c.Result(Transposed(c, inputs, attributes, spatial));
        else
            c.Result(c.Like("Conv", inputs, [.. attributes]));
    }

    /// <summary>conv1d to conv3d, conv_transpose1d to 3d as functions.</summary>
    private static void Functional(LoweringContext c, int spatial, bool transposed)
    {
        var (input, weight) = (c.Tensor(), c.Tensor(1));
        if (input.Rank != spatial + 2)
            throw c.Refuse("the input has no batch axis; add one with unsqueeze(0)");
        long[] Option(string name, long fallback) =>
            c.Integers(name, $"{name}s") is { Length: > 0 } given
                ? Expand(given, spatial)
                : [.. Enumerable.Repeat(fallback, spatial)];
        var kernel = Enumerable
            .Range(2, spatial)
            .Select(axis => c.FixedSize(weight, axis) ?? throw c.RefuseFree("an axis of the kernel"))
            .ToArray();
        var padding = Option("padding", 0);
        var attributes = new List<(string, object)>
        {
            ("kernel_shape", kernel),
            ("strides", Option("stride", 1)),
            ("dilations", Option("dilation", 1)),
            ("pads", (long[])[.. padding, .. padding]),
            ("group", c.Integer(1, "groups")),
        };
        GraphValue[] inputs = c.OptionalTensor("bias") is { } bias ? [input, weight, bias] : [input, weight];
        if (transposed)
            attributes.Add(("output_padding", Option("output_padding", 0)));
        c.Result(transposed ? Transposed(c, inputs, attributes, spatial) : c.Like("Conv", inputs, [.. attributes]));
    }

    /// <summary>ConvTranspose. ONNX Runtime accepts an output_padding below the stride; any more becomes padding that
    /// is not cropped at the end, or zeros.</summary>
    private static GraphValue Transposed(
        LoweringContext c,
        GraphValue[] inputs,
        List<(string Name, object Value)> attributes,
        int spatial
    )
    {
        long[] Of(string name) => (long[])attributes.First(attribute => attribute.Name == name).Value;
        var (stride, pads, extra) = (Of("strides"), Of("pads").ToArray(), Of("output_padding").ToArray());
        if (extra.Zip(stride).All(pair => pair.First < pair.Second))
            return c.Like("ConvTranspose", inputs, [.. attributes]);
        for (var axis = 0; axis < spatial; axis++)
        {
            var kept = Math.Min(extra[axis], pads[spatial + axis]);
            pads[spatial + axis] -= kept;
            extra[axis] -= kept;
        }

        attributes.RemoveAll(attribute => attribute.Name is "pads" or "output_padding");
        attributes.Add(("pads", pads));
        if (extra.All(size => size == 0))
            return c.Like("ConvTranspose", inputs, [.. attributes]);
        var result = Paddings.Pad(
            c,
            c.Like("ConvTranspose", inputs[..2], [.. attributes]),
            [.. new long[spatial + 2], 0, 0, .. extra],
            "constant",
            0
        );
        return inputs.Length < 3
            ? result
            : (new Formula(c, result) + new Formula(c, Layout.Behind(c, inputs[2], spatial))).Value;
    }

    /// <summary>
    /// Padding at the beginning and the end of every spatial axis; <c>Same</c> puts the odd element at the end.
    /// </summary>
    private static long[] Padding(LoweringContext c, Convolution module, long[] kernel)
    {
        var type = module.padding_type;
        if (type == TorchSharp.Padding.Same)
        {
            var total = kernel
                .Zip(Expand(module.dilation, kernel.Length), (size, dilation) => dilation * (size - 1))
                .ToArray();
            if (module.padding_mode != PaddingModes.Zeros && total.Any(size => size % 2 != 0))
                throw c.Refuse(
                    $"padding Same with padding_mode {module.padding_mode} and an even kernel: TorchSharp "
                        + "0.107 pads a wrong number of elements in this case. Pad with nn.functional.pad, "
                        + "and set the convolution's padding to 0"
                );
            return [.. total.Select(size => size / 2), .. total.Select(size => size - (size / 2))];
        }

        if (type == TorchSharp.Padding.Valid)
            return new long[2 * kernel.Length];
        var padding = Expand(module.padding ?? throw c.Refuse("the module has no padding"), kernel.Length);
        return [.. padding, .. padding];
    }

    /// <summary>One number for all spatial axes, or one for each.</summary>
    private static long[] Expand(long[] values, int count) =>
        values.Length == 1 ? [.. Enumerable.Repeat(values[0], count)] : values;
}
