namespace TorchBridge.Quantization.Execution;

/// <summary>An output tensor in one of four forms; the other properties are null.</summary>
/// <param name="Name">Name of the output; items of a sequence have the name of the sequence.</param>
/// <param name="Shape">Shape of the tensor.</param>
internal sealed record OutputValue(string Name, int[] Shape)
{
    /// <summary>The elements of a float32 tensor, or of a float16 or bfloat16 tensor converted exactly to
    /// float32.</summary>
    public ReadOnlyMemory<float>? Floats { get; init; }

    /// <summary>The elements of a float64 tensor.</summary>
    public double[]? Doubles { get; init; }

    /// <summary>The exact elements of an integer tensor of any size; booleans are 0 and 1.</summary>
    public Int128[]? Integers { get; init; }

    /// <summary>The elements of a string tensor.</summary>
    public string[]? Texts { get; init; }

    /// <summary>Number of elements.</summary>
    public int Count => Floats?.Length ?? Doubles?.Length ?? Integers?.Length ?? Texts?.Length ?? 0;

    /// <summary>Whether elements are compared for equality because a signal-to-noise ratio has no meaning for
    /// them.</summary>
    public bool IsExact => Integers is not null || Texts is not null;
}
