// What it does: chooses the sizes of the free axes for the three traces. Two points fit too many formulas; three with different
// primes for each axis fit one. A model may limit what it takes, so there are several plans, tried in turn:
//   1. the largest primes that are not larger than the example (a position table has an end), each axis its own;
//   2. small primes times the example's power of two (a U-Net halves its picture and doubles it again);
// and both again with equal example sizes of one input taken for one axis (an S x S attention mask).
namespace TorchBridge.Export.Capture;

/// <summary>Makes the size plans for a set of inputs.</summary>
internal static class SizePlans
{
    private static readonly long[] Primes = [.. Enumerable.Range(2, 4096).Where(n => Enumerable.Range(2, Math.Max(0, (int)Math.Sqrt(n) - 1)).All(d => n % d != 0)).Select(n => (long)n)];
    private static readonly long[][] SmallPrimes = [[5, 7, 3], [3, 2, 7], [7, 3, 2], [11, 5, 7], [2, 11, 5], [13, 7, 11]];

    /// <summary>The plans in the order in which they are to be tried.</summary>
    public static IEnumerable<SizePlan> For((string Name, TorchSharp.torch.Tensor Tensor)[] inputs, IReadOnlyDictionary<string, int[]> freeAxes)
    {
        foreach (var shareWithinInput in (bool[])[false, true])
        {
            var (named, order) = Name(inputs, freeAxes, shareWithinInput);
            yield return new SizePlan(named, order.Select((symbol, i) => (symbol.Name, Sizes: i == 0 && symbol.Axis == 0 ? [2, 3, 5] : PrimesBelow(symbol.Size, i))).ToDictionary(pair => pair.Name, pair => pair.Sizes));
            if (order.Count == 0) yield break; // Nothing is free: one plan says it all.
            if (order.Any(symbol => symbol.Axis != 0 || symbol != order[0]))
                yield return new SizePlan(named, order.Select((symbol, i) => (symbol.Name, Sizes: i == 0 && symbol.Axis == 0 ? [2, 3, 5] : PowerOfTwoTimes(symbol.Size, i))).ToDictionary(pair => pair.Name, pair => pair.Sizes));
        }
    }

    private sealed record Symbol(string Name, long Size, int Axis);

    private static (List<FreeInput> Inputs, List<Symbol> Order) Name((string Name, TorchSharp.torch.Tensor Tensor)[] inputs, IReadOnlyDictionary<string, int[]> freeAxes, bool shareWithinInput)
    {
        var order = new List<Symbol>();
        var named = new List<FreeInput>();
        foreach (var (name, tensor) in inputs)
        {
            var shape = tensor.shape;
            var symbols = new string?[shape.Length];
            foreach (var axis in Axes(name, shape, inputs[0].Tensor.shape, freeAxes))
            {
                // An axis of a later input is one with an earlier input's of the same size; axes of one input are independent.
                var known = order.FirstOrDefault(symbol => symbol.Size == shape[axis] && (shareWithinInput || !symbols.Contains(symbol.Name)) && (named.Count > 0 || shareWithinInput));
                if (known is null) order.Add(known = new Symbol(axis == 0 && order.Count == 0 ? "batch" : $"{name}_{axis}", shape[axis], axis));
                symbols[axis] = known.Name;
            }

            named.Add(new FreeInput(name, tensor, symbols));
        }

        return (named, order);
    }

    private static IEnumerable<int> Axes(string name, long[] shape, long[] first, IReadOnlyDictionary<string, int[]> freeAxes)
    {
        if (freeAxes.TryGetValue(name, out var chosen))
        {
            foreach (var axis in chosen)
            {
                if (axis < -shape.Length || axis >= shape.Length)
                    throw new ExportException($"FreeAxes[\"{name}\"] names axis {axis}, but the example has {shape.Length} axes (0 to {shape.Length - 1})");
            }

            return chosen.Select(axis => axis < 0 ? axis + shape.Length : axis).Distinct();
        }

        // By default the batch: axis 0 of every input that has as many rows as the first.
        return shape.Length > 0 && first.Length > 0 && shape[0] == first[0] ? [0] : [];
    }

    private static long[] PrimesBelow(long size, int index)
    {
        var below = Primes.Where(prime => prime <= size).Reverse().Skip(3 * Math.Max(0, index - 1)).Take(3).ToArray();
        return below.Length == 3 && below[^1] >= 5 ? below : SmallPrimes[index % SmallPrimes.Length];
    }

    private static long[] PowerOfTwoTimes(long size, int index)
    {
        var factor = Math.Min(16, size & -size);
        return [.. SmallPrimes[index % SmallPrimes.Length].Select(prime => prime * factor)];
    }
}
