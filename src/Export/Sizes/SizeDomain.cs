namespace TorchBridge.Export.Sizes;

/// <summary>The sizes of one symbol that forward takes, as far as runs have shown: <c>Start + n * Step</c> from
/// <c>Low</c> to <c>High</c>.</summary>
/// <param name="Start">A size that works: the example's.</param>
/// <param name="Step">1, or what sizes must be apart from each other (32 behind five halvings).</param>
/// <param name="Low">The smallest size that may work.</param>
/// <param name="High">The largest size that may work.</param>
internal sealed record SizeDomain(long Start, long Step, long Low, long High)
{
    /// <summary>Whether a size is in it.</summary>
    /// <param name="size">Any size.</param>
    public bool Contains(long size) => size >= Low && size <= High && (size - Start) % Step == 0;

    /// <summary>The size in it that is nearest to a wished one, with an even or odd number of steps.</summary>
    /// <param name="wished">Any number.</param>
    /// <param name="isOdd">Whether the size itself should be odd, or where the step is even, the number of
    /// steps.</param>
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
