using TorchBridge.Export.Capture;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>What is right: the module in eval mode.</summary>
/// <param name="tracer">Runs its instrumented forward.</param>
/// <param name="names">Names of the inputs.</param>
/// <param name="draws">Numbers of the values that forward draws at random.</param>
internal sealed class ReferenceModel(ModelTracer tracer, IReadOnlyList<string> names, IReadOnlyList<int> draws)
{
    /// <summary>Pairs of runs after which a module that never gives the same twice is held to be random.</summary>
    private const int Attempts = 5;

    /// <summary>
    /// The module's outputs, on the CPU. The instrumented forward runs first, because it throws where TorchSharp
    /// would end the process.
    /// </summary>
    /// <param name="inputs">Its inputs; they stay as they are.</param>
    /// <param name="isOnce">Whether the run is too expensive to be repeated by forward itself.</param>
    /// <returns>The outputs, and what forward drew, one tensor for each of <c>draws</c>; the caller disposes
    /// them.</returns>
    /// <exception cref="ParityException">The module does not give the same result twice.</exception>
    public (Tensor[] Outputs, Tensor[] Drawn) Run(IReadOnlyList<Tensor> inputs, bool isOnce)
    {
        // Twice, and the same to the last bit: TorchSharp frees a Scalar while native code reads it when the garbage
        // collector runs at the wrong moment, and an oracle that is wrong once in a million runs is none.
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var first = RunInstrumented(inputs);
            if (isOnce)
                return first;
            var second = RunItself(inputs);
            if (
                first.Outputs.Length == second.Length
                && first.Outputs.Zip(second).All(pair => pair.First.bytes.SequenceEqual(pair.Second.bytes))
            )
                return first;
            foreach (var tensor in first.Outputs.Concat(first.Drawn).Concat(second))
                tensor.Dispose();
        }

        throw new ParityException(
            "the module itself gives other results for the same input in eval mode: something in its "
                + "forward is random. Nothing can be proved of it."
        );
    }

    /// <summary>The outputs of the instrumented forward, and the random numbers that it drew.</summary>
    private (Tensor[] Outputs, Tensor[] Drawn) RunInstrumented(IReadOnlyList<Tensor> inputs)
    {
        using var scope = NewDisposeScope();
        var drawn = new Dictionary<int, Tensor>();
        // Clones: a model with in-place operations may change what it is given.
        var outputs = tracer.Run(
            [.. inputs.Select((input, i) => (names[i], input.detach().clone()))],
            draws.Count == 0
                ? null
                : (id, tensor) =>
                {
                    if (draws.Contains(id))
                        drawn[id] = TensorMemory.Keep(tensor.cpu());
                }
        );
        return (outputs, [.. draws.Select(id => drawn[id])]);
    }

    /// <summary>The outputs of forward itself.</summary>
    private Tensor[] RunItself(IReadOnlyList<Tensor> inputs)
    {
        using var scope = NewDisposeScope();
        return tracer.RunItself([.. inputs.Select(input => input.detach().clone())]);
    }
}
