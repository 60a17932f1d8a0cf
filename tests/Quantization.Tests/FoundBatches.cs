using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Quantization.Tests;

/// <summary>Random inputs for a model of which only the file is known, and a comparison of two models with
/// them.</summary>
internal static class FoundBatches
{
    private const int Rows = 4;

    /// <summary>Batches that fit a file; none where ONNX Runtime does not load it.</summary>
    public static QuantizationBatch[] Of(string path, int count, int first = 0)
    {
        try
        {
            using var session = Open(path);
            return
            [
                .. Enumerable
                    .Range(first, count)
                    .Select(seed => new QuantizationBatch([
                        .. session.InputMetadata.Select((input, i) => Value(input.Key, input.Value, (100 * seed) + i)),
                    ])),
            ];
        }
        catch (OnnxRuntimeException)
        {
            return [];
        }
    }

    /// <summary>The lowest signal-to-noise ratio of all outputs, over four batches that calibration did not use. It
    /// is 200 for equal outputs, and −200 for outputs with other names or sizes.</summary>
    public static double LeastDecibels(string expected, string actual)
    {
        using InferenceSession left = Open(expected),
            right = Open(actual);
        var least = 200.0;
        var sums = new Dictionary<string, (double Signal, double Error)>(StringComparer.Ordinal);
        foreach (var batch in Of(expected, 4, first: 50))
        {
            using var wanted = left.Run(batch.Inputs);
            using var got = right.Run(batch.Inputs);
            if (!wanted.Select(value => value.Name).SequenceEqual(got.Select(value => value.Name)))
                return -200;
            foreach (var (a, b) in wanted.Zip(got))
            {
                double[] x = Numbers(a),
                    y = Numbers(b);
                var (signal, error) = sums.GetValueOrDefault(a.Name);
                if (x.Length != y.Length)
                    return -200;
                for (var i = 0; i < x.Length; i++)
                {
                    if (x[i].Equals(y[i]))
                    {
                        signal += double.IsFinite(x[i]) ? x[i] * x[i] : 0;
                        continue;
                    }
                    signal += x[i] * x[i];
                    error += (x[i] - y[i]) * (x[i] - y[i]);
                }

                sums[a.Name] = (signal, error);
            }
        }

        foreach (var (signal, error) in sums.Values)
        {
            if (error != 0)
                least = Math.Min(least, 10 * Math.Log10(signal / error));
        }

        return least;
    }

    private static InferenceSession Open(string path)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        return new InferenceSession(path, options);
    }

    private static NamedOnnxValue Value(string name, NodeMetadata metadata, int seed)
    {
        var shape = metadata
            .Dimensions.Select(
                (size, axis) =>
                    size >= 0 ? size
                    : axis == 0 ? Rows
                    : 16
            )
            .ToArray();
        var count = shape.Aggregate(1, (product, size) => product * size);
        var random = new Random(seed);
        double[] values = [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextDouble()) - 1)];
        return metadata.ElementDataType switch
        {
            TensorElementType.Float => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<float>(Array.ConvertAll(values, value => (float)value), shape)
            ),
            TensorElementType.Double => NamedOnnxValue.CreateFromTensor(name, new DenseTensor<double>(values, shape)),
            TensorElementType.Float16 => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<Float16>(Array.ConvertAll(values, value => (Float16)(float)value), shape)
            ),
            TensorElementType.Int64 => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<long>(Array.ConvertAll(values, _ => (long)random.Next(4)), shape)
            ),
            TensorElementType.Int32 => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<int>(Array.ConvertAll(values, _ => random.Next(4)), shape)
            ),
            TensorElementType.UInt8 => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<byte>(Array.ConvertAll(values, _ => (byte)random.Next(256)), shape)
            ),
            TensorElementType.Bool => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<bool>(Array.ConvertAll(values, value => value > 0), shape)
            ),
            var other => throw new NotSupportedException($"{name}: {other}"),
        };
    }

    private static double[] Numbers(NamedOnnxValue value) =>
        value.Value switch
        {
            Tensor<float> tensor => [.. tensor.Select(item => (double)item)],
            Tensor<double> tensor => [.. tensor],
            Tensor<Float16> tensor => [.. tensor.Select(item => (double)(float)item)],
            Tensor<long> tensor => [.. tensor.Select(item => (double)item)],
            Tensor<int> tensor => [.. tensor.Select(item => (double)item)],
            Tensor<byte> tensor => [.. tensor.Select(item => (double)item)],
            Tensor<bool> tensor => [.. tensor.Select(item => item ? 1.0 : 0)],
            IEnumerable<NamedOnnxValue> sequence => [.. sequence.SelectMany(Numbers)],
            var other => throw new NotSupportedException($"{value.Name}: {other?.GetType()}"),
        };
}
