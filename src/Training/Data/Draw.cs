namespace TorchBridge.Training.Data;

/// <summary>
/// A small random number generator (SplitMix64) whose stream is determined by keys such as (seed, epoch, index). The
/// same keys give the same numbers on every machine, in whatever order the streams are used.
/// </summary>
internal struct Draw
{
    private ulong state;

    /// <summary>Starts the stream of the given keys.</summary>
    /// <param name="keys">The keys; each one is mixed into the state, so that similar keys give unrelated
    /// streams.</param>
    public Draw(params ReadOnlySpan<long> keys)
    {
        state = 0x9E37_79B9_7F4A_7C15;
        foreach (var key in keys)
        {
            state ^= (ulong)key;
            state = Next();
        }
    }

    /// <summary>64 random bits.</summary>
    public ulong Next()
    {
        var z = state += 0x9E37_79B9_7F4A_7C15;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }

    /// <summary>Uniform in [0, 1).</summary>
    public double Uniform() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform in [low, high).</summary>
    /// <param name="low">Lower bound, inclusive.</param>
    /// <param name="high">Upper bound, exclusive.</param>
    public double Uniform(double low, double high) => low + (Uniform() * (high - low));

    /// <summary>Uniform integer in [0, count).</summary>
    /// <param name="count">Upper bound, exclusive, at least 1; the bias is below 2^-32.</param>
    public int Below(int count) => (int)(((UInt128)Next() * (ulong)count) >> 64);

    /// <summary>True with probability 1/2.</summary>
    public bool Coin() => (Next() & 1) == 1;

    /// <summary>Standard normal (Box-Muller).</summary>
    public double Normal() => Math.Sqrt(-2 * Math.Log(1 - Uniform())) * Math.Cos(2 * Math.PI * Uniform());

    /// <summary>
    /// Gamma(shape, 1), shape above 0. Source: Marsaglia &amp; Tsang 2000; below 1 by Gamma(shape + 1) U^(1 / shape).
    /// </summary>
    /// <param name="shape">Above 0.</param>
    public double Gamma(double shape)
    {
        if (shape < 1)
            return Gamma(shape + 1) * Math.Pow(1 - Uniform(), 1 / shape);
        double d = shape - (1.0 / 3),
            c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            var x = Normal();
            var v = Math.Pow(1 + (c * x), 3);
            if (v > 0 && Math.Log(1 - Uniform()) < (0.5 * x * x) + d - (d * v) + (d * Math.Log(v)))
                return d * v;
        }
    }

    /// <summary>Beta(alpha, alpha), in [0, 1].</summary>
    /// <param name="alpha">Above 0; both parameters of the distribution.</param>
    public double Beta(double alpha)
    {
        double a = Gamma(alpha),
            b = Gamma(alpha);
        // Both can underflow to zero if alpha is tiny: the probability mass is then at the ends.
        return a + b > 0 ? a / (a + b)
            : Uniform() < 0.5 ? 0
            : 1;
    }

    /// <summary>A random order of 0 to count - 1 (Fisher-Yates).</summary>
    /// <param name="count">Number of elements.</param>
    /// <returns>Each number once.</returns>
    public int[] Permutation(int count)
    {
        var order = Enumerable.Range(0, count).ToArray();
        for (var index = count - 1; index > 0; index--)
        {
            var other = Below(index + 1);
            (order[index], order[other]) = (order[other], order[index]);
        }

        return order;
    }
}
