using System.Runtime.ExceptionServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Captures what a module's <c>forward</c> does, by running an instrumented copy of it three times at different sizes.</summary>
internal static class ForwardTracer
{
    /// <summary>Traces a model in eval mode. Its modes, gradients and the global random state are afterwards what they were.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="inputs">Examples with their names.</param>
    /// <param name="freeAxes">Free axes by input name; see <see cref="ExportOptions.FreeAxes"/>.</param>
    /// <param name="isLeaf">Whether a module has a lowering of its own.</param>
    /// <param name="seed">Seed of the random inputs.</param>
    public static TracedGraph Trace(nn.Module model, (string Name, Tensor Tensor)[] inputs, IReadOnlyDictionary<string, int[]> freeAxes, Func<nn.Module, bool> isLeaf, int seed)
    {
        return OnThreadOfItsOwn(() => OnThisThread(model, inputs, freeAxes, isLeaf, seed));
    }

    /// <summary>
    /// Runs the instrumented forward of a model in eval mode, and gives its outputs. It computes what forward computes, by the same calls, but
    /// frees what forward leaves behind while it runs: at a large batch the intermediate tensors would be many times the weights.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="inputs">Inputs with their names.</param>
    /// <param name="isLeaf">Whether a module has a lowering of its own.</param>
    /// <param name="onValue">Called with every value that an operation makes, by the number that a trace gives it.</param>
    /// <param name="onLeaf">Called with every module that has a lowering of its own, and its first tensor.</param>
    public static Tensor[] Run(nn.Module model, (string Name, Tensor Tensor)[] inputs, Func<nn.Module, bool> isLeaf, Action<int, Tensor>? onValue = null, Action<nn.Module, Tensor>? onLeaf = null) => OnThreadOfItsOwn(() =>
    {
        using var noGrad = no_grad();
        var recorder = new Recorder(new MethodInstrumenter(), new ModelMap(model), isLeaf) { OnValue = onValue, OnLeaf = onLeaf };
        recorder.Run(model, inputs);
        return recorder.OutputTensors.Select(tensor => tensor.detach().cpu().contiguous().clone()).ToArray();
    });

    /// <summary>No dispose scope of the caller holds the intermediate tensors there, and no_grad stays there.</summary>
    private static T OnThreadOfItsOwn<T>(Func<T> work)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    result = work();
                }
                catch (Exception error)
                {
                    failure = ExceptionDispatchInfo.Capture(error);
                }
            },
            maxStackSize: 64 << 20);
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    private static TracedGraph OnThisThread(nn.Module model, (string Name, Tensor Tensor)[] inputs, IReadOnlyDictionary<string, int[]> freeAxes, Func<nn.Module, bool> isLeaf, int seed)
    {
        var map = new ModelMap(model);
        using var mode = new EvalMode(map.Paths.Keys);
        using var noGrad = no_grad();
        var instrumenter = new MethodInstrumenter();
        Exception? firstFailure = null;
        // Each plan twice: TorchSharp can fail once by itself (a Scalar freed while native code reads it), a plan that does not fit fails again.
        foreach (var plan in SizePlans.For(inputs, freeAxes).SelectMany(plan => (SizePlan[])[plan, plan]))
        {
            var traces = new Trace[3];
            try
            {
                for (var i = 0; i < traces.Length; i++) traces[i] = TraceOnce(model, map, plan, i, instrumenter, isLeaf, seed);
            }
            catch (Exception error) when (error is not ExportException and not OutOfMemoryException)
            {
                // The model itself does not run at these sizes; another plan may suit it.
                firstFailure ??= error;
                continue;
            }

            return TraceMerger.Merge(traces, plan.Inputs);
        }

        throw new ExportException("", null, "forward does not run at other sizes of its free axes than the example's " +
            $"({string.Join(", ", inputs.Select(input => $"{input.Name}: [{string.Join(", ", input.Tensor.shape)}]"))}): {firstFailure!.Message.Split('\n')[0]} " +
            "Name the axes that are free with ExportOptions.FreeAxes; an empty list fixes all sizes of an input.", firstFailure);
    }

    private static Trace TraceOnce(nn.Module model, ModelMap map, SizePlan plan, int index, MethodInstrumenter instrumenter, Func<nn.Module, bool> isLeaf, int seed)
    {
        var random = new Random(seed + index);
        var examples = plan.Inputs.Select(input => (input.Name, Tensor: ExampleInputs.Like(input.Example, plan.ShapeOf(input, index), random).to(input.Example.device))).ToArray();
        return new Recorder(instrumenter, map, isLeaf).Run(model, examples);
    }
}
