using TorchBridge.Export.Capture;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Computes the reference results with the module in eval mode.</summary>
/// <param name="tracer">Runs its instrumented forward.</param>
/// <param name="names">Names of the inputs.</param>
/// <param name="draws">Numbers of the values that forward draws at random.</param>
internal sealed class ReferenceModel(ModelTracer tracer, IReadOnlyList<string> names, IReadOnlyList<int> draws)
{
    /// <summary>Number of pairs of runs after which a module that never repeats a result is considered
    /// random.</summary>
    private const int Attempts = 5;

    /// <summary>
    /// The module's outputs, on the CPU. The instrumented forward runs first, because it throws where TorchSharp
    /// would terminate the process.
    /// </summary>
    /// <param name="inputs">Its inputs; they are not changed.</param>
    /// <param name="isOnce">Whether the run is too expensive to be repeated by the original forward.</param>
    /// <returns>The outputs, and the random numbers that forward drew, one tensor for each of <c>draws</c>; the
    /// caller disposes them.</returns>
    /// <exception cref="ParityException">The module does not return the same result twice.</exception>
    public (Tensor[] Outputs, Tensor[] Drawn) Run(IReadOnlyList<Tensor> inputs, bool isOnce)
    {
        // Run twice and compare bit for bit: TorchSharp can free a Scalar while native code reads it if the garbage
        // collector runs at the wrong moment, and a reference that is wrong once in a million runs is not a
        // reference.
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
            "the module itself returns different results for the same input in eval mode: something in its "
                + "forward is random, so the file cannot be verified. Remove the randomness in eval mode, or see "
                + "ExportOptions.RandomNumbers."
        );
    }

    /// <summary>The outputs of the instrumented forward, and the random numbers that it drew.</summary>
    private (Tensor[] Outputs, Tensor[] Drawn) RunInstrumented(IReadOnlyList<Tensor> inputs)
    {
        using var scope = NewDisposeScope();
        var drawn = new Dictionary<int, Tensor>();
        // Clones, because a model with in-place operations may change its inputs.
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

    /// <summary>The outputs of the original forward.</summary>
    private Tensor[] RunItself(IReadOnlyList<Tensor> inputs)
    {
        using var scope = NewDisposeScope();
        return tracer.RunItself([.. inputs.Select(input => input.detach().clone())]);
    }
}
