using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Runs the instrumented forward of one model in eval mode, on a dedicated thread. The model's weights and modes and
/// the global random state are restored after each run.
/// </summary>
internal sealed class ModelTracer : IDisposable
{
    /// <summary>The model; the caller keeps ownership.</summary>
    private readonly nn.Module model;

    /// <summary>Whether a module has its own lowering and is recorded as one operation.</summary>
    private readonly Func<nn.Module, bool> isLeaf;

    /// <summary>Paths of the model's modules and names of its parameters.</summary>
    private readonly ModelMap map;

    /// <summary>Creates the instrumented copies, once for all runs.</summary>
    private readonly MethodInstrumenter instrumenter = new();

    /// <summary>Restores parameters and buffers after each run.</summary>
    private readonly WeightGuard guard;

    /// <summary>Restores the modules' fields after each run.</summary>
    private readonly FieldGuard fields;

    /// <summary>How forward is called.</summary>
    private readonly ForwardPlan plan;

    /// <summary>How random numbers that forward draws are exported.</summary>
    private readonly RandomNumbers draws;

    /// <summary>Seed of these numbers if they are allowed.</summary>
    private readonly int seed;

    /// <summary>Work queue of the thread; completing it ends the thread.</summary>
    private readonly BlockingCollection<Action> work = [];

    /// <summary>Number of runs so far; it seeds the next run if forward must not draw random numbers.</summary>
    private long runs;

    /// <summary>The one thread on which forward runs; it has a stack of 64 MiB.</summary>
    private readonly Thread thread;

    /// <summary>Starts the thread.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="plan">How its forward is called.</param>
    /// <param name="isLeaf">Whether a module has a lowering of its own.</param>
    /// <param name="draws">How random numbers that forward draws are exported.</param>
    /// <param name="seed">Seed of these numbers if they are allowed.</param>
    public ModelTracer(
        nn.Module model,
        ForwardPlan plan,
        Func<nn.Module, bool> isLeaf,
        RandomNumbers draws = RandomNumbers.Refused,
        int seed = 0
    )
    {
        this.draws = draws;
        this.seed = seed;
        this.model = model;
        this.plan = plan;
        this.isLeaf = isLeaf;
        map = new ModelMap(model);
        guard = new WeightGuard(map.Parameters.Keys);
        fields = new FieldGuard(map.Paths.Keys);
        // One thread for all runs: no dispose scope of the caller keeps the intermediate tensors alive there, no_grad
        // does not leak out, and thread-local state of forward survives between runs.
        thread = new Thread(Work, maxStackSize: 64 << 20) { IsBackground = true, Name = "TorchBridge export" };
        thread.Start();
    }

    /// <summary>Integers in the instrumented code and in the modules' fields: sizes that are worth trying.</summary>
    public IReadOnlyList<long> CodeConstants =>
        [.. instrumenter.Constants.Concat(map.IntegerFields()).Distinct().Order()];

    /// <summary>Records one run.</summary>
    /// <param name="inputs">Inputs with their names; forward may change them.</param>
    /// <returns>Values and operations of the run.</returns>
    /// <exception cref="ExportException">Forward does something that a graph cannot express.</exception>
    public Trace Trace(IReadOnlyList<(string Name, Tensor Tensor)> inputs) =>
        Guarded(() =>
            new Recorder(instrumenter, map, isLeaf)
            {
                OnExternalWrite = guard.Watch,
                OnFixedDraw = draws == RandomNumbers.Fixed ? () => HasFixedDraws = true : null,
            }.Run(model, plan, [.. inputs])
        );

    /// <summary>
    /// Computes the outputs of one run by the same calls as forward, but frees intermediate tensors while it runs:
    /// for a large batch they would take many times the memory of the weights.
    /// </summary>
    /// <param name="inputs">Inputs with their names; forward may change them.</param>
    /// <param name="onValue">Called with every value that an operation computes, and with its number in the
    /// trace.</param>
    /// <param name="onLeaf">Called with every module that has its own lowering, and with its first input
    /// tensor.</param>
    /// <returns>Copies on the CPU; the caller disposes them.</returns>
    public Tensor[] Run(
        IReadOnlyList<(string Name, Tensor Tensor)> inputs,
        Action<int, Tensor>? onValue = null,
        Action<nn.Module, Tensor>? onLeaf = null
    ) =>
        Guarded(() =>
        {
            var recorder = new Recorder(instrumenter, map, isLeaf, onValue)
            {
                OnLeaf = onLeaf,
                OnExternalWrite = guard.Watch,
                OnFixedDraw = draws == RandomNumbers.Fixed ? () => HasFixedDraws = true : null,
            };
            recorder.Run(model, plan, [.. inputs]);
            return Copies(recorder.OutputTensors);
        });

    /// <summary>Computes the outputs of the original forward, without instrumentation.</summary>
    /// <param name="inputs">Inputs; forward may change them.</param>
    /// <returns>Copies on the CPU; the caller disposes them.</returns>
    public Tensor[] RunItself(IReadOnlyList<Tensor> inputs) =>
        Guarded(() =>
        {
            // One scope per run, so that tensors which forward does not dispose are freed before the next run.
            using var scope = NewDisposeScope();
            return Call(inputs);
        });

    /// <summary>Whether a run has changed any state that the next call reads: buffers, fields, and tensors in
    /// fields.</summary>
    public bool ChangesState => guard.HasRestored || fields.Changed.Count > 0;

    /// <summary>Whether forward drew random numbers that are constants in the file.</summary>
    public bool HasFixedDraws { get; private set; }

    /// <summary>Names of the fields that any run changed.</summary>
    public IReadOnlyCollection<string> ChangedFields => fields.Changed;

    /// <summary>Paths of modules that are not registered.</summary>
    public IReadOnlyList<string> Unregistered => map.Unregistered;

    /// <summary>
    /// Computes the outputs of several consecutive calls of the original forward, without restoring state between
    /// them.
    /// </summary>
    /// <param name="calls">Inputs of each call.</param>
    /// <returns>The outputs of each call; the caller disposes them.</returns>
    public Tensor[][] RunInTurn(IReadOnlyList<IReadOnlyList<Tensor>> calls) =>
        Guarded(() =>
        {
            using var scope = NewDisposeScope();
            return calls.Select(Call).ToArray();
        });

    /// <inheritdoc/>
    public void Dispose()
    {
        work.CompleteAdding();
        thread.Join();
        work.Dispose();
        guard.Dispose();
    }

    /// <summary>Calls the original forward once, with the seed for the random numbers that it may draw.</summary>
    /// <param name="inputs">Inputs of forward.</param>
    private Tensor[] Call(IReadOnlyList<Tensor> inputs)
    {
        SeedDraws();
        return Copies(ForwardResult.Flatten(plan.Call(model, inputs)).Select(pair => pair.Tensor));
    }

    /// <summary>
    /// Seeds each run differently if forward must not draw random numbers, so that a random value cannot look like a
    /// constant; seeds all runs alike if it may, because the runs of one model are compared with each other. The
    /// global random state is restored.
    /// </summary>
    private void SeedDraws() => random.manual_seed(draws == RandomNumbers.Refused ? ++runs : seed);

    /// <summary>Contiguous copies on the CPU that belong to no dispose scope.</summary>
    /// <param name="tensors">Tensors that forward may change in place.</param>
    private static Tensor[] Copies(IEnumerable<Tensor> tensors) =>
        [.. tensors.Select(tensor => tensor.detach().cpu().contiguous().clone().DetachFromDisposeScope())];

    /// <summary>
    /// Runs work in eval mode, without gradients and with its own random numbers, and then restores weights and
    /// fields.
    /// </summary>
    private T Guarded<T>(Func<T> run) =>
        OnThread(() =>
        {
            using var mode = new EvalMode(map.Paths.Keys);
            using var noGrad = no_grad();
            SeedDraws();
            try
            {
                return run();
            }
            finally
            {
                guard.Restore();
                fields.Restore();
            }
        });

    /// <summary>
    /// Runs work on the tracer's thread and waits for it; exceptions are rethrown here.
    /// </summary>
    /// <param name="run">The work. This must not be called from the tracer's thread, which would deadlock.</param>
    private T OnThread<T>(Func<T> run)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        using var done = new ManualResetEventSlim();
        work.Add(() =>
        {
            try
            {
                result = run();
            }
            catch (Exception error)
            {
                failure = ExceptionDispatchInfo.Capture(error);
            }
            finally
            {
                done.Set();
            }
        });
        done.Wait();
        failure?.Throw();
        return result!;
    }

    /// <summary>The thread's main loop.</summary>
    private void Work()
    {
        foreach (var action in work.GetConsumingEnumerable())
            action();
    }
}
