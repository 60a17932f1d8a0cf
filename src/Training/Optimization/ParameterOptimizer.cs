// What it does: one step of AdamW, of SGD with Nesterov momentum, or of Muon, in float32, gradient clipping included.
//   clipping  g <- g min(1, max / (|all g| + 1e-6))              Pascanu et al. 2013; as clip_grad_norm_
//   AdamW     p <- p (1 - lr wd);  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
//             p <- p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//                                                                Loshchilov & Hutter 2019, algorithm 2; as torch.optim.AdamW
//   SGD       g <- g + wd p;  m <- mu m + g (m = g at first);  p <- p - lr (g + mu m)
//                                                                Sutskever et al. 2013; as torch.optim.SGD(nesterov=True)
//             decoupled: p <- p (1 - lr wd) instead of g <- g + wd p
//   Muon      m <- mu m + g;  p <- p sqrt(out) / |p|;  p <- p - lr O(g + mu m), O the orthogonalization of the matrix
//             [out, in x kernel]; SGD for what is no convolution's weight. A norm follows each convolution, so only the
//             direction of its weights counts: their length is set, and lr is the angle of a step.
//                                                                Jordan et al. 2024, "Muon"; airbench94_muon
// Why not TorchSharp's optimizers: they make some ten passes over the weights a step, one tensor and one native call at
// a time. Here a step is one pass, over the tensors' own memory; and the state can be stored and put back bit by bit.
// Layout: weights, gradients and state share strides (channels_last for convolutions), so that memory order is the same
// in all of them.
using System.Numerics;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Recipes;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Updates the parameters of a module by their gradients. State tensors have names, for
/// checkpoints.</summary>
internal sealed class ParameterOptimizer : IDisposable
{
    private const float Beta1 = 0.9f,
        Beta2 = 0.999f;
    private readonly Recipe recipe;
    private readonly double epsilon;
    private readonly ScalarType orthogonalization;
    private readonly List<Entry> entries = [];

    /// <summary>Creates the state of every parameter, initialized to zero.</summary>
    /// <param name="module">The module, in float32, on the CPU or another device.</param>
    /// <param name="recipe">Optimizer, momentum, weight decay, clipping.</param>
    /// <param name="epsilon">Epsilon of AdamW.</param>
    /// <param name="rateOf">Learning-rate factor of a parameter, by name; null for 1 everywhere.</param>
    /// <param name="orthogonalization">Precision of Muon's matrix products.</param>
    public ParameterOptimizer(
        nn.Module module,
        Recipe recipe,
        double epsilon = 1e-8,
        Func<string, double>? rateOf = null,
        ScalarType orthogonalization = ScalarType.Float32
    )
    {
        (this.recipe, this.epsilon, this.orthogonalization) = (recipe, epsilon, orthogonalization);
        var norms = NormParameters(module);
        var filters = recipe.Optimizer == OptimizerKind.Muon ? FilterParameters(module) : [];
        foreach (var (name, parameter) in module.named_parameters())
        {
            var isNorm = norms.Contains(name);
            var isWeight = !isNorm && parameter.dim() > 1;
            var decay = recipe.DecayNormsAndBiases || isWeight ? recipe.WeightDecay : 0;
            var rule =
                recipe.Optimizer != OptimizerKind.Muon ? recipe.Optimizer
                : filters.Contains(name) ? OptimizerKind.Muon
                : OptimizerKind.Sgd;
            var rate = rateOf?.Invoke(name) ?? 1;
            if (rule != recipe.Optimizer)
                rate *= recipe.RestLearningRate / recipe.LearningRate;
            Tensor State() => zeros_like(parameter).DetachFromDisposeScope();
            entries.Add(
                new Entry(
                    name,
                    parameter,
                    rule,
                    isNorm && name.EndsWith("bias", StringComparison.Ordinal) ? rate * recipe.NormBiasRate : rate,
                    rate,
                    (float)decay,
                    State(),
                    rule == OptimizerKind.AdamW ? State() : null
                )
            );
        }
    }

    /// <summary>Names of the weights that Muon updates: those of convolutions, except a whitening layer, whose scale
    /// matters.</summary>
    private static HashSet<string> FilterParameters(nn.Module module) =>
        module
            .named_modules()
            .Where(pair => pair.module is CastingConv2d { IsWhitening: false })
            .Select(pair => $"{pair.name}.weight")
            .ToHashSet(StringComparer.Ordinal);

    /// <summary>
    /// Names of the parameters of norms, found by module type, because the weights of a LayerNorm over channel,
    /// height and width have three axes.
    /// </summary>
    /// <param name="module">Any module.</param>
    /// <returns>State-dict keys.</returns>
    private static HashSet<string> NormParameters(nn.Module module) =>
        module
            .named_modules()
            .Where(pair =>
                pair.module is LayerNorm or GroupNorm or ScratchBatchNorm
                || pair.module is BatchNorm1d or BatchNorm2d or BatchNorm3d
                || pair.module is InstanceNorm1d or InstanceNorm2d or InstanceNorm3d
            )
            .SelectMany(pair =>
                pair.module.named_parameters(recurse: false)
                    .Select(parameter => pair.name.Length == 0 ? parameter.name : $"{pair.name}.{parameter.name}")
            )
            .ToHashSet(StringComparer.Ordinal);

    /// <summary>Number of steps so far.</summary>
    public long Steps { get; set; }

    /// <summary>The state, by name: <c>optimizer.m.conv1.weight</c>.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        entries.SelectMany(entry =>
            entry.Second is null
                ? [KeyValuePair.Create($"optimizer.m.{entry.Name}", entry.First)]
                : new[]
                {
                    KeyValuePair.Create($"optimizer.m.{entry.Name}", entry.First),
                    KeyValuePair.Create($"optimizer.v.{entry.Name}", entry.Second),
                }
        );

    /// <summary>Clears the gradients.</summary>
    public void ZeroGradients()
    {
        foreach (var entry in entries)
            entry.Parameter.grad = null;
    }

    /// <summary>Makes one step; returns the global norm of the gradients before clipping.</summary>
    /// <param name="learningRate">Learning rate of this step, before the parameters' own rates.</param>
    public double Step(double learningRate)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var gradients = entries.Select(Gradient).ToArray();
        double sum = 0;
        foreach (var gradient in gradients)
            sum += gradient is null ? 0 : SquaredNorm(gradient);
        var norm = Math.Sqrt(sum);
        var clip = recipe.GradientClipping > 0 ? (float)Math.Min(1, recipe.GradientClipping / (norm + 1e-6)) : 1;
        Steps++;
        for (var index = 0; index < entries.Count; index++)
        {
            if (gradients[index] is { } gradient)
                Update(entries[index], gradient, clip, learningRate);
        }

        return norm;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var entry in entries)
        {
            entry.First.Dispose();
            entry.Second?.Dispose();
        }
    }

    /// <summary>
    /// A parameter's gradient in the memory layout of its state, so that one pass can process both.
    /// </summary>
    /// <param name="entry">The parameter.</param>
    /// <returns>Null if it has no gradient.</returns>
    private static Tensor? Gradient(Entry entry)
    {
        var gradient = entry.Parameter.grad;
        if (gradient is null || gradient.stride().AsSpan().SequenceEqual(entry.First.stride()))
            return gradient;
        return empty_like(entry.First).copy_(gradient);
    }

    /// <summary>Sum of squares, in float64 over blocks of float32 sums.</summary>
    /// <param name="gradient">Gradient on any device.</param>
    private static double SquaredNorm(Tensor gradient)
    {
        if (gradient.device_type != DeviceType.CPU)
        {
            var norm = gradient.norm().ToDouble();
            return norm * norm;
        }

        // Short blocks are summed in float32 lanes and the blocks in float64, which is precise enough at any size.
        const int block = 4096;
        double sum = 0;
        var values = ChannelsLast.Memory(gradient);
        for (var start = 0; start < values.Length; start += block)
            sum += SumOfSquares(values.Slice(start, Math.Min(block, values.Length - start)));
        return sum;
    }

    /// <summary>Sum of squares of a block, vectorized.</summary>
    /// <param name="values">A block that is short enough for float32.</param>
    private static float SumOfSquares(ReadOnlySpan<float> values)
    {
        var lanes = Vector<float>.Zero;
        var index = 0;
        for (; index <= values.Length - Vector<float>.Count; index += Vector<float>.Count)
        {
            var lane = new Vector<float>(values[index..]);
            lanes += lane * lane;
        }

        var sum = Vector.Sum(lanes);
        for (; index < values.Length; index++)
            sum += values[index] * values[index];
        return sum;
    }

    /// <summary>Makes one step for one parameter.</summary>
    /// <param name="entry">The parameter with its state.</param>
    /// <param name="gradient">The gradient, in the layout of the state.</param>
    /// <param name="clip">Factor of the gradient, 1 without clipping.</param>
    /// <param name="learningRate">Learning rate of the parameter.</param>
    private void Update(Entry entry, Tensor gradient, float clip, double learningRate)
    {
        var rate = learningRate * entry.Rate;
        if (entry.Rule == OptimizerKind.Muon)
            UpdateMuon(entry, gradient, clip, rate);
        else if (entry.Parameter.device_type != DeviceType.CPU)
            UpdateOnDevice(entry, gradient, clip, rate, learningRate * entry.DecayRate);
        else if (entry.Rule == OptimizerKind.AdamW)
            UpdateAdamW(
                ChannelsLast.Memory(entry.Parameter),
                ChannelsLast.Memory(gradient),
                ChannelsLast.Memory(entry.First),
                ChannelsLast.Memory(entry.Second!),
                entry.Decay,
                clip,
                rate
            );
        else
            UpdateSgd(
                ChannelsLast.Memory(entry.Parameter),
                ChannelsLast.Memory(gradient),
                ChannelsLast.Memory(entry.First),
                recipe.DecoupledDecay ? 0 : entry.Decay,
                recipe.DecoupledDecay ? (float)(1 - (learningRate * entry.DecayRate * entry.Decay)) : 1,
                clip,
                rate
            );
    }

    private void UpdateMuon(Entry entry, Tensor gradient, float clip, double learningRate)
    {
        var (p, m) = (entry.Parameter, entry.First);
        var g = gradient * clip;
        m.mul_(recipe.Momentum).add_(g);
        g.add_(m, alpha: recipe.Momentum);
        // In memory order: permuting a matrix's columns only permutes the columns of the result.
        var rows = p.shape[0];
        var matrix = g.permute(0, 2, 3, 1).reshape(rows, -1);
        var update = Orthogonalization.Of(matrix, orthogonalization);
        var length = p.norm().ToDouble();
        if (length > 0)
            p.mul_(Math.Sqrt(rows) / length);
        p.add_(update.view(rows, p.shape[2], p.shape[3], p.shape[1]).permute(0, 3, 1, 2), alpha: -learningRate);
    }

    /// <summary>AdamW in one pass; the letters are those of the formulas above.</summary>
    /// <param name="p">The parameter, changed in place.</param>
    /// <param name="g">Its gradient.</param>
    /// <param name="m">First moment, changed in place.</param>
    /// <param name="v">Second moment, changed in place.</param>
    /// <param name="decay">Weight decay.</param>
    /// <param name="clip">Factor of the gradient.</param>
    /// <param name="learningRate">Learning rate of the parameter.</param>
    private void UpdateAdamW(
        Span<float> p,
        Span<float> g,
        Span<float> m,
        Span<float> v,
        float decay,
        float clip,
        double learningRate
    )
    {
        var (keep, step, root) = AdamWFactors(decay, learningRate);
        var eps = (float)epsilon;
        var width = Vector<float>.Count;
        var index = 0;
        for (; index <= p.Length - width; index += width)
        {
            var gi = new Vector<float>(g[index..]) * clip;
            var mi = (new Vector<float>(m[index..]) * Beta1) + (gi * (1 - Beta1));
            var vi = (new Vector<float>(v[index..]) * Beta2) + (gi * gi * (1 - Beta2));
            mi.CopyTo(m[index..]);
            vi.CopyTo(v[index..]);
            (
                (new Vector<float>(p[index..]) * keep)
                - (mi * step / ((Vector.SquareRoot(vi) * root) + new Vector<float>(eps)))
            ).CopyTo(p[index..]);
        }

        for (; index < p.Length; index++)
        {
            var gi = g[index] * clip;
            m[index] = (m[index] * Beta1) + (gi * (1 - Beta1));
            v[index] = (v[index] * Beta2) + (gi * gi * (1 - Beta2));
            p[index] = (p[index] * keep) - (m[index] * step / ((MathF.Sqrt(v[index]) * root) + eps));
        }
    }

    /// <summary>
    /// SGD with Nesterov momentum in one pass; the letters are those of the formulas above.
    /// </summary>
    /// <param name="p">The parameter, changed in place.</param>
    /// <param name="g">Its gradient.</param>
    /// <param name="m">The momentum, changed in place.</param>
    /// <param name="decay">Weight decay.</param>
    /// <param name="keep">Factor of the parameter, for decoupled decay.</param>
    /// <param name="clip">Factor of the gradient.</param>
    /// <param name="learningRate">Learning rate of the parameter.</param>
    private void UpdateSgd(
        Span<float> p,
        Span<float> g,
        Span<float> m,
        float decay,
        float keep,
        float clip,
        double learningRate
    )
    {
        var (mu, rate) = ((float)recipe.Momentum, (float)learningRate);
        var width = Vector<float>.Count;
        var index = 0;
        for (; index <= p.Length - width; index += width)
        {
            var pi = new Vector<float>(p[index..]);
            var gi = (new Vector<float>(g[index..]) * clip) + (pi * decay);
            // The momentum starts at zero, so that the first step has m = g, as in PyTorch.
            var mi = (new Vector<float>(m[index..]) * mu) + gi;
            mi.CopyTo(m[index..]);
            ((pi * keep) - ((gi + (mi * mu)) * rate)).CopyTo(p[index..]);
        }

        for (; index < p.Length; index++)
        {
            var gi = (g[index] * clip) + (p[index] * decay);
            m[index] = (m[index] * mu) + gi;
            p[index] = (p[index] * keep) - ((gi + (m[index] * mu)) * rate);
        }
    }

    /// <summary>The same with torch operations, for devices whose memory is not directly accessible.</summary>
    /// <param name="entry">The parameter with its state.</param>
    /// <param name="gradient">The gradient, on the same device.</param>
    /// <param name="clip">Factor of the gradient.</param>
    /// <param name="learningRate">Learning rate of the parameter.</param>
    /// <param name="decayRate">The learning rate of decoupled decay.</param>
    private void UpdateOnDevice(Entry entry, Tensor gradient, float clip, double learningRate, double decayRate)
    {
        var clipped = gradient * clip;
        if (entry.Rule == OptimizerKind.Sgd)
        {
            if (recipe.DecoupledDecay)
                entry.Parameter.mul_(1 - (decayRate * entry.Decay));
            else
                clipped = clipped.add(entry.Parameter, entry.Decay);
            entry.First.mul_(recipe.Momentum).add_(clipped);
            entry.Parameter.sub_(clipped.add(entry.First, recipe.Momentum) * learningRate);
            return;
        }

        var (keep, step, root) = AdamWFactors(entry.Decay, learningRate);
        entry.First.mul_(Beta1).add_(clipped * (1 - Beta1));
        entry.Second!.mul_(Beta2).add_(clipped * clipped * (1 - Beta2));
        entry.Parameter.mul_(keep).sub_(entry.First * step / ((entry.Second.sqrt() * root) + epsilon));
    }

    /// <summary>
    /// The factors of the formula that depend on the step: 1 - lr wd, lr / (1 - b1^t) and 1 / sqrt(1 - b2^t).
    /// </summary>
    /// <param name="decay">Weight decay.</param>
    /// <param name="learningRate">Learning rate of the parameter.</param>
    private (float Keep, float Step, float Root) AdamWFactors(float decay, double learningRate) =>
        (
            (float)(1 - (learningRate * decay)),
            (float)(learningRate / (1 - Math.Pow(Beta1, Steps))),
            (float)(1 / Math.Sqrt(1 - Math.Pow(Beta2, Steps)))
        );

    /// <summary>A parameter with its state.</summary>
    /// <param name="Name">Its name in the module.</param>
    /// <param name="Parameter">The parameter.</param>
    /// <param name="Rule">Its optimizer.</param>
    /// <param name="Rate">Learning-rate factor.</param>
    /// <param name="DecayRate">Learning-rate factor for decoupled decay: without the factor for the biases of
    /// norms.</param>
    /// <param name="Decay">Weight decay.</param>
    /// <param name="First">Momentum.</param>
    /// <param name="Second">AdamW's mean of squares.</param>
    private sealed record Entry(
        string Name,
        Parameter Parameter,
        OptimizerKind Rule,
        double Rate,
        double DecayRate,
        float Decay,
        Tensor First,
        Tensor? Second
    );
}
