using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Puts modules into eval mode until it is disposed, then each back into the mode it had; keeps the global
/// random state.</summary>
internal sealed class EvalMode : IDisposable
{
    private readonly (nn.Module Module, bool Training)[] modes;
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
        // Parents first: train() reaches the children, whose own mode is put back after it.
        foreach (var (module, training) in modes)
        {
            if (module.training != training)
                module.train(training);
        }

        random.set_rng_state(randomState);
        randomState.Dispose();
    }
}
