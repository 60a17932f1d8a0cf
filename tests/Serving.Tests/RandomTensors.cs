using System.Runtime.InteropServices;

namespace TorchBridge.Serving.Tests;

/// <summary>Random tensors of every datatype; a seed gives the same ones again.</summary>
internal static class RandomTensors
{
    public static Tensor Make(Random random, string name, TensorType type, params long[] shape)
    {
        var count = (int)shape.Aggregate(1L, (product, axis) => product * axis);
        if (type == TensorType.Bytes)
            return Tensor.OfStrings(
                name,
                shape,
                [.. Enumerable.Range(0, count).Select(_ => (ReadOnlyMemory<byte>)Text(random))]
            );
        var data = new byte[count * type.SizeOf()];
        random.NextBytes(data);
        switch (type)
        {
            case TensorType.Bool:
                for (var i = 0; i < data.Length; i++)
                    data[i] &= 1;
                break;
            case TensorType.FP32:
                Fill(data, () => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-30, 30))));
                break;
            case TensorType.FP64:
                Fill(data, () => (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-300, 300)));
                break;
            case TensorType.FP16:
                Fill(data, () => (Half)((random.NextDouble() - 0.5) * 1000));
                break;
            case TensorType.BF16:
                Fill(data, () => BFloat16Bits.From((float)((random.NextDouble() - 0.5) * 1e20)));
                break;
        }

        return new Tensor(name, type, shape) { Data = data };
    }

    /// <summary>A shape of up to four axes, of up to 60 elements.</summary>
    public static long[] Shape(Random random)
    {
        var shape = new long[random.Next(0, 5)];
        for (var i = 0; i < shape.Length; i++)
            shape[i] = random.Next(random.Next(5) == 0 ? 0 : 1, 4);
        return shape;
    }

    private static byte[] Text(Random random) =>
        System.Text.Encoding.UTF8.GetBytes(
            string.Concat(
                Enumerable
                    .Range(0, random.Next(8))
                    .Select(_ => new[] { "a", "é", "\"", "\\", "\n", "雪", "🐱", "\0", "<" }[random.Next(9)])
            )
        );

    private static void Fill<T>(byte[] data, Func<T> next)
        where T : unmanaged
    {
        foreach (ref var item in MemoryMarshal.Cast<byte, T>(data.AsSpan()))
            item = next();
    }
}
