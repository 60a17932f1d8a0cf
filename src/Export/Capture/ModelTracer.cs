using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Runs the instrumented forward of one model in eval mode, on a thread of its own. The model's weights and modes and
/// the global random state are after each run what they were.
/// </summary>
internal sealed class ModelTracer : IDisposable
{
    /// <summary>The model; it stays the caller's.</summary>
    private readonly nn.Module model;

    /// <summary>Whether a module has a lowering of its own, and is recorded as one operation.</summary>
    private readonly Func<nn.Module, bool> isLeaf;

    /// <summary>Paths of its modules, names of its parameters.</summary>
    private readonly ModelMap map;

    /// <summary>Instrumented copies, made once for all runs.</summary>
    private readonly MethodInstrumenter instrumenter = new();

    /// <summary>Puts parameters and buffers back after each run.</summary>
    private readonly WeightGuard guard;

    /// <summary>Puts fields of the modules back after each run.</summary>
    private readonly FieldGuard fields;

    /// <summary>How forward is called.</summary>
    private readonly ForwardPlan plan;

    /// <summary>What becomes of random numbers that forward draws.</summary>
    private readonly RandomNumbers draws;

    /// <summary>Seed of these numbers, where they are allowed.</summary>
    private readonly int seed;

    /// <summary>What the thread is to run; completing it ends the thread.</summary>
    private readonly BlockingCollection<Action> work = [];

    /// <summary>Runs so far: the seed of the next one, where forward must not draw.</summary>
    private long runs;

    /// <summary>The one thread on which forward runs; it has a stack of 64 MiB.</summary>
    private readonly Thread thread;

    /// <summary>Starts the thread.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="plan">How its forward is called.</param>
    /// <param name="isLeaf">Whether a module has a lowering of its own.</param>
    /// <param name="draws">What becomes of random numbers that forward draws.</param>
    /// <param name="seed">Seed of these numbers, where they are allowed.</param>
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
        // One thread for all runs: no dispose scope of the caller holds the intermediate tensors there, no_grad stays
        // there, and what forward keeps by thread it finds again.
        thread = new Thread(Work, maxStackSize: 64 << 20) { IsBackground = true, Name = "TorchBridge export" };
        thread.Start();
    }

    /// <summary>Whole numbers that stand in the instrumented code and in the modules' fields, for sizes that are
    /// worth a look.</summary>
    public IReadOnlyList<long> CodeConstants =>
        [.. instrumenter.Constants.Concat(map.IntegerFields()).Distinct().Order()];

    /// <summary>Records one run.</summary>
    /// <param name="inputs">Inputs with their names; they may be changed by forward.</param>
    /// <returns>Values and operations of the run.</returns>
    /// <exception cref="ExportException">Forward does what a graph cannot.</exception>
    public Trace Trace(IReadOnlyList<(string Name, Tensor Tensor)> inputs) =>
        Guarded(() =>
            new Recorder(instrumenter, map, isLeaf)
            {
                OnExternalWrite = guard.Watch,
                OnFixedDraw = draws == RandomNumbers.Fixed ? () => HasFixedDraws = true : null,
            }.Run(model, plan, [.. inputs])
        );

    /// <summary>
    /// Gives the outputs of one run. It computes what forward computes, by the same calls, but frees what forward
    /// leaves behind while it runs: at a large batch the intermediate tensors would be many times the weights.
    /// </summary>
    /// <param name="inputs">Inputs with their names; they may be changed by forward.</param>
    /// <param name="onValue">Called with every value that an operation makes, by the number that a trace gives
    /// it.</param>
    /// <param name="onLeaf">Called with every module that has a lowering of its own, and its first tensor.</param>
    /// <returns>Copies on the processor; the caller disposes them.</returns>
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

    /// <summary>Gives the outputs of forward itself, not instrumented.</summary>
    /// <param name="inputs">Inputs; they may be changed by forward.</param>
    /// <returns>Copies on the processor; the caller disposes them.</returns>
    public Tensor[] RunItself(IReadOnlyList<Tensor> inputs) =>
        Guarded(() =>
        {
            // A scope for each run: what forward leaves behind is gone before the next.
            using var scope = NewDisposeScope();
            return Call(inputs);
        });

    /// <summary>Whether a run has changed anything that the next call finds: buffers, fields, tensors kept in
    /// them.</summary>
    public bool ChangesState => guard.HasRestored || fields.Changed.Count > 0;

    /// <summary>Whether forward drew random numbers that stand in the file as constants.</summary>
    public bool HasFixedDraws { get; private set; }

    /// <summary>Names of the fields that a run changed.</summary>
    public IReadOnlyCollection<string> ChangedFields => fields.Changed;

    /// <summary>Paths of modules that are not registered.</summary>
    public IReadOnlyList<string> Unregistered => map.Unregistered;

    /// <summary>
    /// Gives the outputs of several calls of forward itself, one after another, each finding what the one before
    /// left.
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

    /// <summary>One call of forward itself, with the numbers that it may draw.</summary>
    /// <param name="inputs">For forward.</param>
    private Tensor[] Call(IReadOnlyList<Tensor> inputs)
    {
        SeedDraws();
        return Copies(ForwardResult.Flatten(plan.Call(model, inputs)).Select(pair => pair.Tensor));
    }

    /// <summary>
    /// Other random numbers in each run (the global state is put back): what is random must not look like a constant.
    /// Where forward may draw, the same in each: the runs of one model are compared with each other.
    /// </summary>
    private void SeedDraws() => random.manual_seed(draws == RandomNumbers.Refused ? ++runs : seed);

    /// <summary>Copies on the processor, contiguous, that belong to no dispose scope.</summary>
    /// <param name="tensors">What forward may change in place.</param>
    private static Tensor[] Copies(IEnumerable<Tensor> tensors) =>
        [.. tensors.Select(tensor => tensor.detach().cpu().contiguous().clone().DetachFromDisposeScope())];

    /// <summary>
    /// Runs work in eval mode without gradients, with random numbers of its own; then puts weights and fields back.
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
    /// Runs work on the tracer's thread and waits; what it throws is thrown here.
    /// </summary>
    /// <param name="run">Not called from the thread itself, which would wait for ever.</param>
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

    /// <summary>What the thread does.</summary>
    private void Work()
    {
        foreach (var action in work.GetConsumingEnumerable())
            action();
    }
}
