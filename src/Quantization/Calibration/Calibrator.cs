using System.Globalization;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Execution;
using TorchBridge.Quantization.Plan;

namespace TorchBridge.Quantization.Calibration;

/// <summary>What calibration saw of the float model's values.</summary>
/// <param name="Histograms">By name of the value.</param>
/// <param name="Means">By name of a layer's input and the axis that the layer takes for its channels: mean of each
/// channel.</param>
/// <param name="Rows">Rows read.</param>
internal sealed record CalibrationResult(
    IReadOnlyDictionary<string, ValueHistogram> Histograms,
    IReadOnlyDictionary<(string Value, int Axis), double[]> Means,
    long Rows
);

/// <summary>Runs the float model over batches and watches its values: histograms and means only, so memory does not
/// grow with the batches.</summary>
internal static class Calibrator
{
    /// <summary>Runs the float model over batches and watches the planned values.</summary>
    /// <param name="model">The float model.</param>
    /// <param name="plan">Which values.</param>
    /// <param name="batches">What to run.</param>
    /// <param name="progress">Called after each batch; null for nobody.</param>
    /// <returns>Histograms, channel means, and the number of rows.</returns>
    /// <exception cref="QuantizationException">There is no batch, or a value is not finite.</exception>
    public static CalibrationResult Watch(
        OnnxGraph model,
        QuantizationPlan plan,
        IEnumerable<QuantizationBatch> batches,
        IProgress<QuantizationProgress>? progress
    )
    {
        var seen = plan.Values.Keys.ToDictionary(name => name, _ => new ValueHistogram(), StringComparer.Ordinal);
        // One value may be read along two axes: by a convolution along axis 1, by a matrix product along the last.
        var means = plan
            .Layers.Select(QuantizationPlan.Channels)
            .Distinct()
            .ToDictionary(channels => channels, channels => new ChannelMean(channels.Axis));
        var ofValue = means.ToLookup(pair => pair.Key.Value, pair => pair.Value, StringComparer.Ordinal);
        using var runner = new ModelRunner(model, plan.Values.Keys.Except(model.InputNames, StringComparer.Ordinal));
        long rows = 0;
        var number = 0;
        foreach (var batch in batches)
        {
            using var results = runner.Run(batch);
            var given = batch
                .Inputs.Where(input => seen.ContainsKey(input.Name) && input.Value is DenseTensor<float>)
                .Select(input => (input.Name, (DenseTensor<float>)input.Value));
            number++;
            var values = given.Concat(results.Floats()).ToArray();
            var isFinite = new bool[values.Length];
            Parallel.For(0, values.Length, i =>
            {
                var (name, tensor) = values[i];
                isFinite[i] = seen[name].Add(tensor.Buffer.Span);
                if (!isFinite[i])
                    return;
                foreach (var mean in ofValue[name])
                    mean.Add(tensor);
            });
            if (Array.IndexOf(isFinite, false) is >= 0 and var bad)
                throw new QuantizationException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"calibration batch {number}: the value '{values[bad].Item1}' holds NaN or "
                            + $"infinity; scales cannot be chosen from it. Look at the inputs of this batch."
                    )
                );
            rows += batch.Rows;
            progress?.Report(new QuantizationProgress("calibration", number, null));
        }

        if (number == 0)
            throw new QuantizationException(
                "there are no calibration batches: ranges cannot be guessed. A few hundred typical inputs do."
            );
        return new CalibrationResult(seen, means.ToDictionary(pair => pair.Key, pair => pair.Value.Means()), rows);
    }

    /// <summary>
    /// Sums of one value by channel, along the axis that its layer takes for its channels.
    /// </summary>
    private sealed class ChannelMean(int axis)
    {
        private double[] sums = [];
        private long count;

        /// <summary>Adds a batch; an empty one counts nothing.</summary>
        /// <param name="tensor">Float32, with the channels along the axis.</param>
        public void Add(DenseTensor<float> tensor)
        {
            var dims = tensor.Dimensions;
            var at = axis < 0 ? dims.Length + axis : axis;
            if (tensor.Length == 0)
                return;
            var inner = 1;
            for (var index = at + 1; index < dims.Length; index++)
                inner *= dims[index];
            var channels = dims[at];
            if (sums.Length == 0)
                sums = new double[channels];
            var values = tensor.Buffer.Span;
            for (
                int position = 0, channel = 0;
                position < values.Length;
                position += inner, channel = channel + 1 == channels ? 0 : channel + 1
            )
            {
                double sum = 0;
                foreach (var value in values.Slice(position, inner))
                    sum += value;
                sums[channel] += sum;
            }

            count += values.Length / channels;
        }

        /// <summary>The mean of each channel; empty where nothing was seen.</summary>
        public double[] Means() => Array.ConvertAll(sums, sum => sum / count); // empty where nothing was seen
    }
}
