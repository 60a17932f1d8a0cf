using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Calibration;
using TorchBridge.Quantization.Plan;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests;

/// <summary>Compares scales, rounding, ranges and weights with independent computations.</summary>
public class ArithmeticTests
{
    [Theory]
    [InlineData(0.5f, 0)]
    [InlineData(1.5f, 2)]
    [InlineData(2.5f, 2)]
    [InlineData(-0.5f, 0)]
    [InlineData(-1.5f, -2)]
    [InlineData(126.5f, 126)]
    [InlineData(127.5f, 127)]
    [InlineData(1e9f, 127)]
    [InlineData(-128.5f, -128)]
    [InlineData(-1e9f, -128)]
    public void Halves_are_rounded_to_even_and_what_lies_outside_is_saturated(float x, int expected) =>
        Assert.Equal(expected, new AffineScale(1, 0, IsSigned: true).Quantize(x));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Quantizing_equals_the_runtimes_own_operators(bool isSigned)
    {
        var random = new Random(3);
        foreach (var (low, high) in ((double, double)[])[(0, 6), (-1, 1), (-0.003, 7.7), (-12, 0), (2, 5)])
        {
            var scale = AffineScale.Of(low, high, isSigned);
            // Spread over and beyond the range, with exact halves between two levels among them.
            var x = Enumerable
                .Range(0, 4000)
                .Select(i =>
                    i % 4 == 0
                        ? (random.Next(-300, 600) + 0.5f) * scale.Scale
                        : (float)(low - 1 + (random.NextDouble() * (high - low + 2)))
                )
                .ToArray();
            var (integers, back) = RunOperators(x, scale);
            for (var i = 0; i < x.Length; i++)
            {
                Assert.Equal(integers[i], scale.Quantize(x[i]));
                Assert.Equal(back[i], scale.Dequantize(integers[i]));
            }
        }
    }

    [Theory]
    [InlineData(-3.1, 2.2)]
    [InlineData(0.4, 0.9)]
    [InlineData(-5, -4)]
    [InlineData(0, 0)]
    public void Zero_is_exact_in_every_range_and_its_ends_are_within_a_step(double low, double high)
    {
        foreach (var isSigned in (bool[])[false, true])
        {
            var scale = AffineScale.Of(low, high, isSigned);
            Assert.Equal(0f, scale.Dequantize(scale.Quantize(0)));
            foreach (var end in (double[])[Math.Min(low, 0), Math.Max(high, 0)])
                Assert.InRange(
                    Math.Abs(scale.Dequantize(scale.Quantize((float)end)) - end),
                    0,
                    low == high ? 0 : scale.Scale
                );
        }
    }

    [Fact]
    public void A_histogram_that_grew_counts_what_one_that_was_made_at_once_counts()
    {
        var random = new Random(4);
        var values = Enumerable
            .Range(0, 20_000)
            .Select(i => i % 5 == 0 ? 0f : (float)((random.NextDouble() - 0.3) * Math.Pow(10, i / 4000.0)))
            .ToArray();
        var (grown, once) = (new ValueHistogram(), new ValueHistogram());
        foreach (var part in values.Chunk(777))
            Assert.True(grown.Add(part));
        Assert.True(once.Add(values));
        Assert.Equal(once.Filled(), grown.Filled());
        Assert.Equal((values.Min(), values.Max(), values.Length), (grown.Low, grown.High, grown.Count));
        Assert.Equal(values.Count(value => value != 0), grown.Filled().Sum(bin => bin.Count));
        foreach (var (middle, count) in grown.Filled())
            Assert.Equal(
                values.Count(value =>
                    value != 0 && value >= middle - (grown.BinWidth / 2) && value < middle + (grown.BinWidth / 2)
                ),
                count
            );
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void What_is_not_finite_is_told(float bad)
    {
        var histogram = new ValueHistogram();
        Assert.False(histogram.Add([1, bad, 2]));
        Assert.Equal(0, histogram.Count);
    }

    [Fact]
    public void MinMax_is_what_was_seen_and_percentile_leaves_out_its_share()
    {
        var values = Normal(100_000, 5);
        var seen = Seen(values);
        var sorted = values.Order().ToArray();
        Assert.Equal((sorted[0], sorted[^1]), RangeEstimation.Of(seen, CalibrationMethod.MinMax));
        var (low, high) = RangeEstimation.Of(seen, CalibrationMethod.Percentile);
        var out5 = (int)(values.Length * RangeEstimation.LeftOut / 2);
        // The histogram knows a number up to its bin.
        Assert.InRange(low, sorted[out5] - seen.BinWidth, sorted[out5] + seen.BinWidth);
        Assert.InRange(high, sorted[^(out5 + 1)] - seen.BinWidth, sorted[^(out5 + 1)] + seen.BinWidth);
    }

    [Theory]
    [InlineData("normal")]
    [InlineData("relu")]
    [InlineData("heavy tail")]
    [InlineData("uniform")]
    public void Least_square_error_is_the_least_of_a_search_through_real_quantization(string kind)
    {
        var values = Sample(kind);
        var (low, high) = RangeEstimation.Of(Seen(values), CalibrationMethod.MeanSquareError);
        double Error(double l, double h)
        {
            var scale = AffineScale.Of(l, h, isSigned: false);
            return values.Average(value => Math.Pow(value - scale.Dequantize(scale.Quantize(value)), 2));
        }

        var best = double.PositiveInfinity;
        for (var i = 1; i <= 50; i++)
        {
            for (var j = 1; j <= 50; j++)
                best = Math.Min(best, Error(Math.Min(0, values.Min()) * i / 50, values.Max() * j / 50));
        }

        // The estimate spreads numbers evenly between two levels: a few percent.
        Assert.InRange(Error(low, high), 0, best * 1.05);
    }

    [Fact]
    public void Entropy_cuts_a_far_tail_and_keeps_a_flat_distribution()
    {
        var flat = Sample("uniform");
        Assert.True(RangeEstimation.Of(Seen(flat), CalibrationMethod.Entropy).High > 0.95 * flat.Max());
        var tail = Sample("heavy tail");
        var (_, high) = RangeEstimation.Of(Seen(tail), CalibrationMethod.Entropy);
        Assert.InRange(high, 2, 0.5 * tail.Max());
    }

    [Theory]
    [InlineData(8)]
    [InlineData(7)]
    public void Weights_have_a_scale_a_channel_and_biases_the_scale_of_the_products(int bits)
    {
        var random = new Random(6);
        const int outputs = 5,
            inputs = 4,
            window = 9;
        // Channels of very different ranges, one of zeros.
        var w = Enumerable
            .Range(0, outputs * inputs * window)
            .Select(i =>
                (float)(
                    (random.NextDouble() - 0.5)
                    * Math.Pow(10, -(i / (inputs * window)))
                    * (i / (inputs * window) == 3 ? 0 : 1)
                )
            )
            .ToArray();
        var b = new[] { 0.3f, -0.2f, 1f, 0.7f, 0f };
        var model = Conv(w, b, outputs, inputs);
        var layer = new LayerWeights(model, model.Nodes[0]);
        const float inputScale = 0.02f;
        var means = new[] { 0.5, -1, 2, 0.1 };
        var (weights, bias) = layer.Quantize(inputScale, bits, means, "layer:int8", "layer.bias:int32");
        var q = MemoryMarshal.Cast<byte, sbyte>(weights.Data.Span).ToArray();
        var qBias = MemoryMarshal.Cast<byte, int>(bias!.Data.Span).ToArray();
        var most = bits == 8 ? 127 : 63;
        for (var c = 0; c < outputs; c++)
        {
            decimal change = 0;
            for (var k = 0; k < inputs * window; k++)
            {
                var at = (c * inputs * window) + k;
                Assert.InRange(q[at], -most, most);
                Assert.InRange(Math.Abs((q[at] * (double)layer.Scales[c]) - w[at]), 0, (0.5 + 1e-6) * layer.Scales[c]);
                change += ((decimal)w[at] - (q[at] * (decimal)layer.Scales[c])) * (decimal)means[k / window];
            }

            if (c != 3)
                Assert.Contains(
                    most,
                    Enumerable.Range(c * inputs * window, inputs * window).Select(at => Math.Abs((int)q[at]))
                );
            var expected = ((decimal)b[c] + change) / ((decimal)inputScale * (decimal)layer.Scales[c]);
            // float32 scales carry seven digits.
            Assert.InRange(Math.Abs(qBias[c] - expected), 0, 0.51m + (Math.Abs(expected) * 1e-6m));
        }
    }

    [Fact]
    public void A_large_bias_on_tiny_weights_fits_into_32_bits()
    {
        var model = Conv(Enumerable.Repeat(1e-12f, 36).ToArray(), [100f], 1, 4);
        var layer = new LayerWeights(model, model.Nodes[0]);
        var (_, bias) = layer.Quantize(0.01f, 8, null, "layer:int8", "layer.bias:int32");
        var stored = MemoryMarshal.Cast<byte, int>(bias!.Data.Span)[0] * (double)layer.Scales[0] * 0.01f;
        Assert.InRange(stored, 99.9, 100.1);
    }

    internal static float[] Normal(int count, int seed)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                    (float)(
                        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())
                    )
                ),
        ];
    }

    private static float[] Sample(string kind) =>
        kind switch
        {
            "normal" => Normal(20_000, 7),
            "relu" => [.. Normal(20_000, 8).Select(value => Math.Max(0, value))],
            "heavy tail" => [.. Normal(20_000, 9).Select((value, i) => Math.Abs(value) * (i % 4000 == 0 ? 20 : 1))],
            _ => [.. Enumerable.Range(0, 20_000).Select(i => i / 20_000f)],
        };

    private static ValueHistogram Seen(float[] values)
    {
        var histogram = new ValueHistogram();
        Assert.True(histogram.Add(values));
        return histogram;
    }

    private static OnnxGraph Conv(float[] weights, float[] bias, int outputs, int inputs)
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Add(Initializer.Of("w", weights, outputs, inputs, 3, 3));
        graph.Add(Initializer.Of("b", bias, outputs));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Conv",
                Name = "conv",
                Inputs = ["x", "w", "b"],
                Outputs = ["y"],
            }
        );
        return graph;
    }

    private static (int[] Integers, float[] Back) RunOperators(float[] x, AffineScale scale)
    {
        var type = scale.IsSigned ? ElementType.Int8 : ElementType.UInt8;
        var graph = new OnnxGraph { Opset = 17 };
        object[] shape = [(long)x.Length];
        graph.Inputs.Add(new ValueInfo("x", ElementType.Float32, shape));
        graph.Outputs.Add(new ValueInfo("q", type, shape));
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, shape));
        graph.Add(Initializer.Of("scale", [scale.Scale]));
        graph.Add(Initializer.Of<byte>("zero", type, [unchecked((byte)scale.ZeroPoint)]));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "QuantizeLinear",
                Name = "quantize",
                Inputs = ["x", "scale", "zero"],
                Outputs = ["q"],
            }
        );
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "DequantizeLinear",
                Name = "dequantize",
                Inputs = ["q", "scale", "zero"],
                Outputs = ["y"],
            }
        );
        using var session = new InferenceSession(OnnxWriter.ToBytes(graph));
        using var results = session.Run([NamedOnnxValue.CreateFromTensor("x", new DenseTensor<float>(x, [x.Length]))]);
        int[] integers = scale.IsSigned
            ? [.. results[0].AsEnumerable<sbyte>().Select(value => (int)value)]
            : [.. results[0].AsEnumerable<byte>().Select(value => (int)value)];
        return (integers, [.. results[1].AsEnumerable<float>()]);
    }
}
