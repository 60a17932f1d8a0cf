namespace TorchBridge.Export.Sizes;

/// <summary>One size for every symbol, in the order of <see cref="SizeSymbols.Names"/>: the sizes at which a trace or
/// a verification runs.</summary>
internal sealed class SizePoint(params long[] sizes) : IEquatable<SizePoint>
{
    /// <summary>The sizes, by symbol.</summary>
    public IReadOnlyList<long> Sizes => sizes;

    /// <summary>The size of a symbol.</summary>
    /// <param name="symbol">Number of the symbol.</param>
    public long this[int symbol] => sizes[symbol];

    /// <summary>This point with another size of one symbol.</summary>
    /// <param name="symbol">Number of the symbol.</param>
    /// <param name="size">The other size.</param>
    public SizePoint With(int symbol, long size)
    {
        var changed = sizes.ToArray();
        changed[symbol] = size;
        return new SizePoint(changed);
    }

    /// <inheritdoc/>
    public bool Equals(SizePoint? other) => other is not null && sizes.AsSpan().SequenceEqual(other.Sizes.ToArray());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SizePoint);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var size in sizes)
            hash.Add(size);
        return hash.ToHashCode();
    }
}
