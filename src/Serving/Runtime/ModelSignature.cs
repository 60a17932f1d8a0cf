using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>The inputs and outputs of a model.</summary>
/// <param name="Inputs">The inputs, in the file's order.</param>
/// <param name="Outputs">The outputs that the protocol can represent, in the file's order.</param>
/// <param name="LeftOut">Outputs that the protocol cannot represent: sequences, maps, and tensors of other
/// datatypes.</param>
internal sealed record ModelSignature(
    IReadOnlyList<TensorSpec> Inputs,
    IReadOnlyList<TensorSpec> Outputs,
    IReadOnlyList<string> LeftOut
)
{
    /// <summary>Whether axis 0 of every input and output is dynamic, so that it may be a batch axis.</summary>
    public bool MayBatch =>
        Inputs.Count > 0
        && Inputs.Concat(Outputs).All(tensor => tensor.Shape.Count > 0 && tensor.Shape[0] == TensorSpec.Free);

    /// <summary>Whether an input has a dynamic axis other than axis 0.</summary>
    public bool HasFreeAxes => Inputs.Any(input => input.Shape.Skip(1).Contains(TensorSpec.Free));

    /// <summary>Index of an input; -1 if there is none of that name.</summary>
    /// <param name="name">Name of the input.</param>
    public int InputIndex(string name) => IndexOf(Inputs, name);

    /// <summary>Index of an output; -1 if there is none of that name.</summary>
    /// <param name="name">Name of the output.</param>
    public int OutputIndex(string name) => IndexOf(Outputs, name);

    /// <summary>Index of an input or output.</summary>
    /// <param name="specs">Inputs or outputs.</param>
    /// <param name="name">Name of the input or output.</param>
    /// <returns>The index; -1 if there is none of that name.</returns>
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
