namespace TorchBridge.Quantization.Execution;

/// <summary>A tensor that a model gave, in one of four forms; the others are null.</summary>
/// <param name="Name">The output; of a sequence, each item has the sequence's.</param>
/// <param name="Shape">Its sizes.</param>
internal sealed record OutputValue(string Name, int[] Shape)
{
    /// <summary>The elements of float32; those of float16 and bfloat16, which float32 holds exactly.</summary>
    public ReadOnlyMemory<float>? Floats { get; init; }

    /// <summary>The elements of float64.</summary>
    public double[]? Doubles { get; init; }

    /// <summary>The elements of integers of any size, exactly; booleans are 0 and 1.</summary>
    public Int128[]? Integers { get; init; }

    /// <summary>The elements of text.</summary>
    public string[]? Texts { get; init; }

    /// <summary>Number of elements.</summary>
    public int Count => Floats?.Length ?? Doubles?.Length ?? Integers?.Length ?? Texts?.Length ?? 0;

    /// <summary>Whether elements are equal or not, and a ratio of signal to noise says nothing.</summary>
    public bool IsExact => Integers is not null || Texts is not null;
}
