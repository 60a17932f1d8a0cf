using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Switches modules to eval mode until it is disposed, and then restores each module's own mode and the global random
/// state, which running a model may have advanced.
/// </summary>
internal sealed class EvalMode : IDisposable
{
    /// <summary>The original mode of each module, parents before their children.</summary>
    private readonly (nn.Module Module, bool Training)[] modes;

    /// <summary>Original state of torch's global random generator, restored with the modes.</summary>
    private readonly Tensor randomState;

    /// <summary>Switches modules to eval mode.</summary>
    /// <param name="modules">The modules, parents before their children.</param>
    public EvalMode(IEnumerable<nn.Module> modules)
    {
        modes = [.. modules.Select(module => (module, module.training))];
        randomState = random.get_rng_state().DetachFromDisposeScope();
        foreach (var (module, _) in modes)
            module.eval();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Parents first: train() also sets the children, whose own mode is restored afterwards. A child of several
        // parents may come before one of them, so this repeats until nothing changes; each pass gets one more level
        // right.
        for (var (pass, isDone) = (0, false); !isDone && pass < modes.Length; pass++)
        {
            isDone = true;
            foreach (var (module, training) in modes.Where(mode => mode.Module.training != mode.Training))
            {
                module.train(training);
                isDone = false;
            }
        }

        random.set_rng_state(randomState);
        randomState.Dispose();
    }
}
