using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Puts modules into eval mode until it is disposed, then each back into the mode it had; keeps the global random
/// state, which running a model may use.
/// </summary>
internal sealed class EvalMode : IDisposable
{
    /// <summary>The mode that each module had, parents before their children.</summary>
    private readonly (nn.Module Module, bool Training)[] modes;

    /// <summary>State of torch's global generator before, put back with the modes.</summary>
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
        // Parents first: train() reaches the children, whose own mode is put back after it. A child of several parents
        // may stand before one of them, hence again until nothing changes; each pass is right one level further down.
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
