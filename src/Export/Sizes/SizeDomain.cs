namespace TorchBridge.Export.Sizes;

/// <summary>The sizes of one symbol that forward accepts, as far as runs have shown: <c>Start + n * Step</c> from
/// <c>Low</c> to <c>High</c>.</summary>
/// <param name="Start">A size that works: the example's.</param>
/// <param name="Step">Distance between valid sizes: 1, or for example 32 after five halvings.</param>
/// <param name="Low">The smallest size that may work.</param>
/// <param name="High">The largest size that may work.</param>
internal sealed record SizeDomain(long Start, long Step, long Low, long High)
{
    /// <summary>Whether a size belongs to the domain.</summary>
    /// <param name="size">Any size.</param>
    public bool Contains(long size) => size >= Low && size <= High && (size - Start) % Step == 0;

    /// <summary>The size in the domain that is nearest to a requested one, with the requested parity.</summary>
    /// <param name="wished">The requested size.</param>
    /// <param name="isOdd">Whether the size should be odd; if the step is even, whether the number of steps should be
    /// odd.</param>
    public long Nearest(double wished, bool isOdd)
    {
        var steps = (long)Math.Round((wished - Start) / Step);
        var size = Start + (steps * Step);
        var measure = Step % 2 == 0 ? size / Step : size;
        if (measure % 2 == 0 == isOdd)
            size += Step;
        while (size > High)
            size -= Step;
        while (size < Low)
            size += Step;
        return size;
    }
}
