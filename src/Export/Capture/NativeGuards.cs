// Why: most of TorchSharp's native functions turn a C++ exception into a managed one. Some do not (matmul, var and
// std of 0.107, sparse kernels), and an invalid shape terminates the process without any message. Forward is tried at
// sizes that it may reject, so the checks that these functions lack are made here first.
using System.Reflection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Throws a managed exception where TorchSharp's unguarded native functions would terminate the
/// process.</summary>
internal static class NativeGuards
{
    /// <summary>Checks a call that is about to be made.</summary>
    /// <param name="method">The called method.</param>
    /// <param name="arguments">Arguments, the receiver first.</param>
    /// <exception cref="ArgumentException">The shapes or dtypes are not valid.</exception>
    public static void Check(MethodBase method, object?[] arguments)
    {
        var tensors = arguments.OfType<Tensor>().ToArray();
        switch (method.Name)
        {
            case "einsum":
                // It divides by the sizes.
                var operands = arguments
                    .SelectMany(argument => ForwardResult.Flatten(argument))
                    .Select(pair => pair.Tensor);
                if (operands.Any(operand => operand.numel() == 0))
                    throw new ArgumentException("einsum: an operand is empty");
                break;
            case "matmul" when tensors.Length >= 2:
                CheckMatmul(tensors[0], tensors[1]);
                break;
            case "var" or "std" or "var_mean" or "std_mean" when tensors.Length > 0:
                CheckAxes(method, tensors[0], arguments);
                break;
            default:
                break;
        }
    }

    /// <summary>
    /// Checks a module that is about to run: oneDNN terminates the process if a transposed convolution's result or a
    /// recurrent layer's input is empty.
    /// </summary>
    /// <param name="module">Any module.</param>
    /// <param name="input">Its first input tensor.</param>
    /// <exception cref="ArgumentException">The input is too small.</exception>
    public static void Check(nn.Module module, Tensor? input)
    {
        if (input is null)
            return;
        if (module is LSTM or GRU or RNN && input.numel() == 0)
            throw new ArgumentException($"{module.GetType().Name}: the input is empty");
        if (!module.GetType().Name.StartsWith("ConvTranspose", StringComparison.Ordinal))
            return;
        var kernel = ModuleFields.Get(module, "weight") is Tensor weight ? weight.shape[2..] : [];
        if (input.dim() < kernel.Length)
            return;
        long[] Option(string name, long fallback) =>
            ModuleFields.OptionalLongs(module, name, $"_{name}") is { Length: > 0 } given ? given : [fallback];
        long[] stride = Option("stride", 1),
            padding = Option("padding", 0),
            dilation = Option("dilation", 1),
            more = Option("output_padding", 0);
        for (var index = 0; index < kernel.Length; index++)
        {
            long At(long[] values) => values[Math.Min(index, values.Length - 1)];
            var size = input.shape[input.dim() - kernel.Length + index];
            var result =
                ((size - 1) * At(stride)) - (2 * At(padding)) + (At(dilation) * (kernel[index] - 1)) + At(more) + 1;
            if (result <= 0)
                throw new ArgumentException(
                    $"{module.GetType().Name}: an input of size {size} gives a result of size {result}"
                );
        }
    }

    /// <summary>Checks that the inner sizes are equal and that the batch axes broadcast.</summary>
    /// <param name="left">The first factor.</param>
    /// <param name="right">The second one.</param>
    private static void CheckMatmul(Tensor left, Tensor right)
    {
        if (left.dtype != right.dtype)
            throw new ArgumentException($"matmul: the dtypes {left.dtype} and {right.dtype} differ");
        if (left.dim() == 0 || right.dim() == 0)
            throw new ArgumentException("matmul: both arguments need at least one axis");
        long[] a = left.shape,
            b = right.shape;
        var rows = b.Length == 1 ? b[0] : b[^2];
        if (a[^1] != rows)
            throw new ArgumentException(
                $"matmul: [{string.Join(", ", a)}] times [{string.Join(", ", b)}] have different inner sizes"
            );
        for (var index = 3; index <= Math.Min(a.Length, b.Length); index++)
        {
            if (a[^index] != b[^index] && a[^index] != 1 && b[^index] != 1)
                throw new ArgumentException(
                    $"matmul: [{string.Join(", ", a)}] times [{string.Join(", ", b)}] do not broadcast"
                );
        }
    }

    /// <summary>Checks that each axis exists and is given only once, and that the dtype is floating-point.</summary>
    /// <param name="method">The operation.</param>
    /// <param name="tensor">Its receiver.</param>
    /// <param name="arguments">All of its arguments.</param>
    private static void CheckAxes(MethodBase method, Tensor tensor, object?[] arguments)
    {
        if (!is_floating_point(tensor) && !is_complex(tensor))
            throw new ArgumentException($"{method.Name}: needs a floating-point tensor, not {tensor.dtype}");
        var rank = Math.Max(1, tensor.dim());
        var axes = arguments
            .SelectMany(argument =>
                argument switch
                {
                    long axis => [axis],
                    long[] list => list,
                    ValueTuple<long, long> pair => [pair.Item1, pair.Item2],
                    _ => Array.Empty<long>(),
                }
            )
            .ToArray();
        if (
            axes.FirstOrDefault(axis => axis < -rank || axis >= rank) is var wrong
            && axes.Any(axis => axis < -rank || axis >= rank)
        )
            throw new ArgumentException(
                $"{method.Name}: axis {wrong} is out of range for a tensor with {tensor.dim()} axes"
            );
        if (axes.Select(axis => axis < 0 ? axis + rank : axis).Distinct().Count() < axes.Length)
            throw new ArgumentException($"{method.Name}: an axis is given twice");
    }
}
