using System.Runtime.InteropServices;
using System.Text;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Batching;

/// <summary>
/// Creates random inputs with which a model is tried out before its first request: to see whether it runs, and
/// whether the rows of a batch are independent.
/// </summary>
internal static class ProbeInputs
{
    /// <summary>
    /// Random inputs: floats from 0 to at most 1.1, and integers 0 and 1, which are valid indices into most tables.
    /// </summary>
    /// <param name="signature">The model's inputs and outputs.</param>
    /// <param name="random">The source of the numbers.</param>
    /// <param name="freeSize">Size to use for the dynamic axes other than axis 0.</param>
    /// <param name="rows">Size of axis 0 where it is dynamic.</param>
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

    /// <summary>A tensor of random elements that most models accept.</summary>
    /// <param name="input">The input's name and element type.</param>
    /// <param name="random">The source of the numbers.</param>
    /// <param name="shape">The shape, without dynamic axes.</param>
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
        // Each tensor has another magnitude, so that a scale computed over the whole batch is noticed.
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
    /// <param name="data">Receives the elements; its length is a multiple of their size.</param>
    /// <param name="next">Returns the next element.</param>
    private static void Each<T>(byte[] data, Func<T> next)
        where T : unmanaged
    {
        foreach (ref var item in MemoryMarshal.Cast<byte, T>(data.AsSpan()))
            item = next();
    }
}
