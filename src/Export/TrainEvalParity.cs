// Why: in training a BatchNorm normalizes by the statistics of the batch, in eval mode by the running ones. Both
// describe the same activations only as far as the running statistics have caught up, and as far as a batch is large
// enough to be typical.
//   mean shift      (mean of the pictures - running_mean) / sqrt(running_var + eps), in units of sigma
//   variance ratio  variance of the pictures / running_var
// Source: Ioffe & Szegedy 2015, section 3.1; Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm".
using TorchBridge.Export.Capture;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>How far the statistics of some data differ from the running statistics of one normalization
/// layer.</summary>
/// <param name="ModulePath">Path of the layer.</param>
/// <param name="Channels">Number of channels.</param>
/// <param name="MeanShift">Per channel: distance of the mean from running_mean, in units of sigma.</param>
/// <param name="VarianceRatio">Per channel: variance divided by running_var.</param>
public sealed record NormalizationDrift(
    string ModulePath,
    int Channels,
    IReadOnlyList<double> MeanShift,
    IReadOnlyList<double> VarianceRatio
)
{
    /// <summary>Largest absolute mean shift over the channels.</summary>
    public double LargestShift => MeanShift.Max(Math.Abs);

    /// <summary>Largest variance ratio in either direction: a ratio r below 1 counts as 1 / r.</summary>
    public double LargestRatio => VarianceRatio.Max(ratio => Math.Max(ratio, 1 / ratio));

    /// <summary>One number to rank layers by: the root mean square, over the channels, of the shift and of the
    /// logarithm of the ratio.</summary>
    public double Score =>
        Math.Sqrt(
            MeanShift
                .Zip(VarianceRatio)
                .Average(pair => (pair.First * pair.First) + (Math.Log(pair.Second) * Math.Log(pair.Second)))
        );
}

/// <summary>Compares a network in train mode with the same network in eval mode, and recalibrates running statistics
/// so that the two agree.</summary>
public static class TrainEvalParity
{
    /// <summary>The normalization layers with running statistics, by path.</summary>
    /// <param name="model">Any module.</param>
    /// <returns>Layers by path; layers without running statistics are not included.</returns>
    public static IReadOnlyDictionary<string, NormBase> Layers(nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new ModelMap(model)
            .Paths.Where(pair => pair.Key is NormBase { running_mean: not null, running_var: not null })
            .ToDictionary(pair => pair.Value, pair => (NormBase)pair.Key, StringComparer.Ordinal);
    }

    /// <summary>
    /// Measures, in eval mode, the statistics of each layer's input over a data set, and compares them with the
    /// running statistics.
    /// </summary>
    /// <param name="model">The network, with one input; its modes are restored and nothing else is changed.</param>
    /// <param name="batches">The input batches; each is read once, and the caller keeps ownership.</param>
    /// <returns>One entry per layer that the data reached, in the model's order.</returns>
    public static IReadOnlyList<NormalizationDrift> Drift(nn.Module model, IEnumerable<Tensor> batches)
    {
        ArgumentNullException.ThrowIfNull(batches);
        var layers = Layers(model);
        var sums = layers.Values.ToDictionary(layer => (nn.Module)layer, _ => new ChannelSums());
        using var mode = new EvalMode(new ModelMap(model).Paths.Keys);
        using var tracer = new ModelTracer(model, ForwardPlan.Find(model, 1), module =>
            Lowering.OperatorTable.Default.Find(module) is not null
        );
        foreach (var batch in batches)
        {
            // The instrumented forward: TorchSharp does not call hooks where a forward calls its layers' forward
            // methods directly.
            var outputs = tracer.Run([("input", batch.alias())], onLeaf: (module, input) =>
            {
                if (sums.TryGetValue(module, out var sum))
                    sum.Add(input);
            });
            foreach (var output in outputs)
                output.Dispose();
        }

        return
        [
            .. layers
                .Where(pair => sums[pair.Value].Count > 0)
                .Select(pair => sums[pair.Value].Against(pair.Key, pair.Value)),
        ];
    }

    /// <summary>
    /// Runs work with the normalization layers in train mode (batch statistics) and everything else in eval mode (no
    /// dropout). Modes, running statistics and <c>num_batches_tracked</c> are restored afterwards, bit for bit.
    /// </summary>
    /// <typeparam name="T">Type of the result.</typeparam>
    /// <param name="model">The network.</param>
    /// <param name="work">The work to run.</param>
    /// <returns>The result of <paramref name="work"/>.</returns>
    public static T WithBatchStatistics<T>(nn.Module model, Func<T> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        var buffers = Layers(model)
            .Values.SelectMany(layer => (Tensor?[])[layer.running_mean, layer.running_var, layer.num_batches_tracked])
            .OfType<Tensor>()
            .ToArray();
        var copies = buffers.Select(buffer => buffer.detach().clone().DetachFromDisposeScope()).ToArray();
        try
        {
            return InTraining(model, work);
        }
        finally
        {
            using var noGrad = no_grad();
            foreach (var (buffer, copy) in buffers.Zip(copies))
            {
                buffer.copy_(copy).DetachFromDisposeScope();
                copy.Dispose();
            }
        }
    }

    /// <summary>
    /// Recomputes the running statistics as the plain average over the batches that <paramref name="run"/> feeds to
    /// the network. Weights, modes and momentum are not changed.
    /// </summary>
    /// <param name="model">The network.</param>
    /// <param name="run">Runs the network over the training data, in batches of one size.</param>
    public static void Recalibrate(nn.Module model, Action run)
    {
        ArgumentNullException.ThrowIfNull(run);
        var layers = Layers(model).Values.ToArray();
        var momenta = layers.Select(layer => layer.momentum).ToArray();
        try
        {
            foreach (var layer in layers)
            {
                layer.reset_running_stats();
                layer.momentum = null; // cumulative average
            }

            InTraining(model, () =>
            {
                run();
                return true;
            });
        }
        finally
        {
            foreach (var (layer, momentum) in layers.Zip(momenta))
                layer.momentum = momentum;
        }
    }

    /// <summary>
    /// Runs work with the normalization layers in train mode and everything else in eval mode, without gradients;
    /// restores every module's own mode.
    /// </summary>
    private static T InTraining<T>(nn.Module model, Func<T> work)
    {
        using var mode = new EvalMode(new ModelMap(model).Paths.Keys);
        using var noGrad = no_grad();
        // EvalMode restores every module's own mode.
        foreach (var layer in Layers(model).Values)
            layer.train();
        return work();
    }

    /// <summary>Sums over everything but the channels, in float64.</summary>
    private sealed class ChannelSums
    {
        private double[] sum = [],
            squares = [];

        /// <summary>Numbers per channel so far.</summary>
        public double Count { get; private set; }

        /// <summary>Adds a batch [N, C, ...].</summary>
        public void Add(Tensor input)
        {
            using var scope = NewDisposeScope();
            var values = input.detach().to(ScalarType.Float64).transpose(0, 1).flatten(1);
            double[] s = values.sum(1).cpu().data<double>().ToArray(),
                q = values.square().sum(1).cpu().data<double>().ToArray();
            if (sum.Length == 0)
                (sum, squares) = (new double[s.Length], new double[s.Length]);
            for (var channel = 0; channel < s.Length; channel++)
                (sum[channel], squares[channel]) = (sum[channel] + s[channel], squares[channel] + q[channel]);
            Count += values.shape[1];
        }

        /// <summary>Compares the statistics of what was added with a layer's running statistics.</summary>
        public NormalizationDrift Against(string path, NormBase layer)
        {
            using var scope = NewDisposeScope();
            double[] mean = Values(layer.running_mean!),
                variance = Values(layer.running_var!);
            var (shift, ratio) = (new double[sum.Length], new double[sum.Length]);
            for (var channel = 0; channel < sum.Length; channel++)
            {
                var own = sum[channel] / Count;
                // Unbiased, as running_var is; a channel that is always the same has ratio eps / (running_var + eps),
                // not zero.
                var ownVariance = Math.Max(
                    0,
                    ((squares[channel] / Count) - (own * own)) * Count / Math.Max(1, Count - 1)
                );
                shift[channel] = (own - mean[channel]) / Math.Sqrt(variance[channel] + layer.eps);
                ratio[channel] = (ownVariance + layer.eps) / (variance[channel] + layer.eps);
            }

            return new NormalizationDrift(path, sum.Length, shift, ratio);
        }

        /// <summary>A tensor's numbers in float64, on the processor.</summary>
        private static double[] Values(Tensor tensor) =>
            tensor.detach().cpu().to(ScalarType.Float64).data<double>().ToArray();
    }
}
