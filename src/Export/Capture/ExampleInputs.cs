using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Makes random inputs that are like an example: the same dtype and range of values, other sizes. TorchSharp's random state is not used.</summary>
internal static class ExampleInputs
{
    /// <summary>Random numbers in the example's range; integers and booleans are picked from the example's own values, because they index or mask.</summary>
    /// <param name="example">What the input looks like.</param>
    /// <param name="shape">Sizes to make.</param>
    /// <param name="random">Where the randomness comes from.</param>
    public static Tensor Like(Tensor example, long[] shape, Random random)
    {
        using var scope = NewDisposeScope();
        var count = shape.Aggregate(1L, (product, size) => product * size);
        var values = example.detach().cpu().to(ScalarType.Float64).flatten().data<double>().ToArray();
        if (values.Length == 0) return zeros(shape, example.dtype).MoveToOuterDisposeScope();
        var made = new double[count];
        if (is_floating_point(example))
        {
            var finite = values.Where(double.IsFinite).DefaultIfEmpty(0).ToArray();
            double low = finite.Min(), high = finite.Max();
            if (high - low < 1e-6) (low, high) = (low - 1, high + 1); // zeros or ones given as an example say nothing of the range
            for (var i = 0; i < count; i++) made[i] = low + (random.NextDouble() * (high - low));
        }
        else
        {
            for (var i = 0; i < count; i++) made[i] = values[random.Next(values.Length)];
        }

        return tensor(made, ScalarType.Float64).reshape(shape).to(example.dtype).MoveToOuterDisposeScope();
    }
}
