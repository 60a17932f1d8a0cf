using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>Runs a model before its first request, because the first run of each batch size is slower.</summary>
internal static class ModelWarmUp
{
    /// <summary>Seed of the random inputs, so that they are the same at each load.</summary>
    private const int Seed = 2;

    /// <summary>Sizes tried for dynamic axes, one after another, until the model runs.</summary>
    private static readonly int[] FreeSizes = [8, 32, 224, 1];

    /// <summary>
    /// Runs batches of 1, 2, 4 … rows up to the largest. A model that does not run on random inputs is not warmed up.
    /// </summary>
    /// <param name="session">The opened model.</param>
    /// <param name="maxRows">Number of rows of the largest batch.</param>
    public static void Run(RuntimeSession session, int maxRows)
    {
        using var memory = new RunMemory();
        var random = new Random(Seed);
        int[] outputs = [.. Enumerable.Range(0, session.Signature.Outputs.Count)];
        foreach (var size in session.Signature.HasFreeAxes ? FreeSizes : [1])
        {
            try
            {
                for (var rows = 1; rows < 2 * maxRows; rows *= 2)
                    session.Run(
                        memory,
                        [ProbeInputs.Random(session.Signature, random, size, Math.Min(rows, maxRows))],
                        outputs
                    );
                return;
            }
            catch (ModelRunException)
            {
                // The model may run with the next size.
            }
        }
    }
}
