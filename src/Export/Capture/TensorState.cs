using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>What a tensor object stands for at this moment of a trace.</summary>
internal sealed class TensorState
{
    /// <summary>The value in the graph; null for a part of chunk or split that nothing has read.</summary>
    public TracedValue? Value { get; set; }

    /// <summary>The memory that it sees, with every other tensor that sees it.</summary>
    public required SharedMemory Memory { get; init; }

    /// <summary>How it was made of the tensor whose memory it sees; null where it owns its memory.</summary>
    public ViewLink? Link { get; init; }

    /// <summary>The number of writes into the memory that <see cref="Value"/> knows of.</summary>
    public int Version { get; set; }

    /// <summary>Whether it follows the model's inputs, so that its numbers are not known when the file is
    /// written.</summary>
    public bool IsFromInput { get; set; }

    /// <summary>The tensor, for looking at its numbers while it lives.</summary>
    public required WeakReference<Tensor> Tensor { get; init; }
}

/// <summary>The memory under a tensor and its views.</summary>
internal sealed class SharedMemory
{
    /// <summary>Whether nothing recorded made it: a parameter, a buffer, a tensor from outside.</summary>
    public required bool IsExternal { get; init; }

    /// <summary>Writes so far.</summary>
    public int Version { get; set; }

    /// <summary>The writes that the owner of the memory knows of, and each tensor between it and the one written
    /// last.</summary>
    public int Synchronized { get; set; }

    /// <summary>The tensor that was written last, where what it changed is not yet in the values of the tensors that
    /// it is a view of.</summary>
    public TensorState? LastWritten { get; set; }
}

/// <summary>The operation that made a view.</summary>
/// <param name="Source">The tensor that it is a view of.</param>
/// <param name="SourceValue">Value of the source that the operation read.</param>
/// <param name="Operation">The operation as it was recorded.</param>
/// <param name="Index">Which of its results.</param>
/// <param name="Results">Shape and dtype of each result.</param>
/// <param name="IsSame">Whether it is the source's memory, seen the same way: one tensor under two names.</param>
internal sealed record ViewLink(
    TensorState Source,
    int SourceValue,
    TracedOp Operation,
    int Index,
    IReadOnlyList<(long[] Shape, ScalarType Type)> Results,
    bool IsSame
);
