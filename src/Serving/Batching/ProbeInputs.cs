using System.Runtime.InteropServices;
using System.Text;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Batching;

/// <summary>
/// Random inputs to try a model with before its first request: whether it runs, and whether its rows are independent.
/// </summary>
internal static class ProbeInputs
{
    /// <summary>
    /// Random inputs: floats from 0 to at most 1.1, whole numbers 0 and 1, which are valid indices of most tables.
    /// </summary>
    /// <param name="signature">What the model takes.</param>
    /// <param name="random">Where they come from.</param>
    /// <param name="freeSize">Size of the free axes beside axis 0.</param>
    /// <param name="rows">Size of axis 0, where it is free.</param>
    /// <returns>One tensor per input, in the signature's order.</returns>
    public static Tensor[] Random(ModelSignature signature, Random random, int freeSize, int rows) =>
        [
            .. signature.Inputs.Select(input =>
                Fill(
                    input,
                    random,
                    [
                        .. input.Shape.Select(
                            (axis, i) =>
                                axis != TensorSpec.Free ? axis
                                : i == 0 ? rows
                                : freeSize
                        ),
                    ]
                )
            ),
        ];

    /// <summary>A tensor of random elements that most models take.</summary>
    /// <param name="input">Name and element type.</param>
    /// <param name="random">Gives the numbers.</param>
    /// <param name="shape">Without free axes.</param>
    private static Tensor Fill(TensorSpec input, Random random, long[] shape)
    {
        var count = checked((int)shape.Aggregate(1L, (product, axis) => product * axis));
        if (input.Type == TensorType.Bytes)
            return Tensor.OfStrings(
                input.Name,
                shape,
                [
                    .. Enumerable
                        .Range(0, count)
                        .Select(_ => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(random.Next(2) == 0 ? "0" : "1")),
                ]
            );
        var data = new byte[count * input.Type.SizeOf()];
        // Every row of another size: a scale that is taken over the whole batch shows.
        var size = 0.1f + random.NextSingle();
        switch (input.Type)
        {
            case TensorType.FP32:
                Each<float>(data, () => size * random.NextSingle());
                break;
            case TensorType.FP64:
                Each<double>(data, () => size * random.NextDouble());
                break;
            case TensorType.FP16:
                Each<Half>(data, () => (Half)(size * random.NextSingle()));
                break;
            case TensorType.BF16:
                Each<BFloat16Bits>(data, () => BFloat16Bits.From(size * random.NextSingle()));
                break;
            // Little-endian: the lowest byte of each element.
            default:
                for (var index = 0; index < data.Length; index += input.Type.SizeOf())
                    data[index] = (byte)random.Next(2);
                break;
        }

        return new Tensor(input.Name, input.Type, shape) { Data = data };
    }

    /// <summary>Fills bytes with elements of one type.</summary>
    /// <param name="data">As many bytes as whole elements take.</param>
    /// <param name="next">Gives the next element.</param>
    private static void Each<T>(byte[] data, Func<T> next)
        where T : unmanaged
    {
        foreach (ref var item in MemoryMarshal.Cast<byte, T>(data.AsSpan()))
            item = next();
    }
}
