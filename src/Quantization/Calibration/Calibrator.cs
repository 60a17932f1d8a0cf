using System.Globalization;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Execution;
using TorchBridge.Quantization.Plan;

namespace TorchBridge.Quantization.Calibration;

/// <summary>The statistics that calibration collected about the float model's values.</summary>
/// <param name="Histograms">Histograms by name of the value.</param>
/// <param name="Means">The mean of each channel, by name of a layer's input and the axis that the layer uses as its
/// channel axis.</param>
/// <param name="Rows">Number of rows read.</param>
internal sealed record CalibrationResult(
    IReadOnlyDictionary<string, ValueHistogram> Histograms,
    IReadOnlyDictionary<(string Value, int Axis), double[]> Means,
    long Rows
);

/// <summary>Runs the float model over batches and collects statistics of its values: histograms and means only, so
/// memory does not grow with the number of batches.</summary>
internal static class Calibrator
{
    /// <summary>Runs the float model over batches and collects statistics of the planned values.</summary>
    /// <param name="model">The float model.</param>
    /// <param name="plan">The plan, which lists the values to observe.</param>
    /// <param name="batches">The batches to run.</param>
    /// <param name="progress">Called after each batch; may be null.</param>
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
        // A value may have two channel axes: axis 1 for a convolution, the last axis for a matrix product.
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
                        $"calibration batch {number}: the value '{values[bad].Item1}' contains NaN or infinity, "
                            + $"so no scale can be chosen for it. Check the inputs of this batch."
                    )
                );
            rows += batch.Rows;
            progress?.Report(new QuantizationProgress("calibration", number, null));
        }

        if (number == 0)
            throw new QuantizationException(
                "there are no calibration batches, and ranges cannot be chosen without them. Pass batches with a "
                    + "few hundred typical inputs."
            );
        return new CalibrationResult(seen, means.ToDictionary(pair => pair.Key, pair => pair.Value.Means()), rows);
    }

    /// <summary>
    /// Sums of one value per channel, along the channel axis of its layer.
    /// </summary>
    private sealed class ChannelMean(int axis)
    {
        private double[] sums = [];
        private long count;

        /// <summary>Adds a batch; an empty one changes nothing.</summary>
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

        /// <summary>The mean of each channel; empty if no batch had elements.</summary>
        public double[] Means() => Array.ConvertAll(sums, sum => sum / count); // empty if no batch had elements
    }
}
