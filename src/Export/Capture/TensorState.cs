using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>What a tensor object represents at the current point of a trace.</summary>
internal sealed class TensorState
{
    /// <summary>The value in the graph; null for a part of chunk or split that nothing has read yet.</summary>
    public TracedValue? Value { get; set; }

    /// <summary>The memory of the tensor, shared with every other tensor over the same memory.</summary>
    public required SharedMemory Memory { get; init; }

    /// <summary>How it was derived from the tensor whose memory it shares; null if it owns its memory.</summary>
    public ViewLink? Link { get; init; }

    /// <summary>The number of writes to the memory that <see cref="Value"/> reflects.</summary>
    public int Version { get; set; }

    /// <summary>Whether it depends on the model's inputs, so that its elements are not known when the file is
    /// written.</summary>
    public bool IsFromInput { get; set; }

    /// <summary>The tensor, so that its elements can be read while it is alive.</summary>
    public required WeakReference<Tensor> Tensor { get; init; }
}

/// <summary>The memory under a tensor and its views.</summary>
internal sealed class SharedMemory
{
    /// <summary>Whether no recorded operation created it: a parameter, a buffer or a tensor from outside
    /// forward.</summary>
    public required bool IsExternal { get; init; }

    /// <summary>Number of writes so far.</summary>
    public int Version { get; set; }

    /// <summary>The number of writes that are reflected in the value of the memory's owner, and of each tensor
    /// between it and the one written last.</summary>
    public int Synchronized { get; set; }

    /// <summary>The tensor that was written last, if the values of the tensors that it is a view of do not reflect
    /// the change yet.</summary>
    public TensorState? LastWritten { get; set; }
}

/// <summary>The operation that created a view.</summary>
/// <param name="Source">The tensor that it is a view of.</param>
/// <param name="SourceValue">Value of the source that the operation read.</param>
/// <param name="Operation">The operation as it was recorded.</param>
/// <param name="Index">Index of the view among the operation's results.</param>
/// <param name="Results">Shape and dtype of each result.</param>
/// <param name="IsSame">Whether the view is identical to its source: one tensor under two names.</param>
internal sealed record ViewLink(
    TensorState Source,
    int SourceValue,
    TracedOp Operation,
    int Index,
    IReadOnlyList<(long[] Shape, ScalarType Type)> Results,
    bool IsSame
);
