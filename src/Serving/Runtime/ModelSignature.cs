using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>What a model takes and gives.</summary>
/// <param name="Inputs">Its inputs, in the file's order.</param>
/// <param name="Outputs">Its outputs that are tensors, in the file's order.</param>
/// <param name="LeftOut">Outputs that the protocol cannot carry: sequences, maps, datatypes without a name.</param>
internal sealed record ModelSignature(
    IReadOnlyList<TensorSpec> Inputs,
    IReadOnlyList<TensorSpec> Outputs,
    IReadOnlyList<string> LeftOut
)
{
    /// <summary>Whether axis 0 of every input and output is free, so that it may be a batch.</summary>
    public bool MayBatch =>
        Inputs.Count > 0
        && Inputs.Concat(Outputs).All(tensor => tensor.Shape.Count > 0 && tensor.Shape[0] == TensorSpec.Free);

    /// <summary>Whether an axis other than the batch is free.</summary>
    public bool HasFreeAxes => Inputs.Any(input => input.Shape.Skip(1).Contains(TensorSpec.Free));

    /// <summary>Position of an input; -1 where there is none of the name.</summary>
    /// <param name="name">Of the input.</param>
    public int InputIndex(string name) => IndexOf(Inputs, name);

    /// <summary>Position of an output; -1 where there is none of the name.</summary>
    /// <param name="name">Of the output.</param>
    public int OutputIndex(string name) => IndexOf(Outputs, name);

    /// <summary>The place of a tensor.</summary>
    /// <param name="specs">Inputs or outputs.</param>
    /// <param name="name">The tensor.</param>
    /// <returns>-1 where there is none.</returns>
    private static int IndexOf(IReadOnlyList<TensorSpec> specs, string name)
    {
        for (var index = 0; index < specs.Count; index++)
        {
            if (specs[index].Name == name)
                return index;
        }

        return -1;
    }
}
