using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference.Sessions;

/// <summary>A session of ONNX Runtime that may be disposed while others use it: see <see cref="Lifetime"/>.</summary>
internal sealed class ModelSession : IDisposable
{
    private readonly InferenceSession session;
    private readonly RunOptions options = new();
    private readonly HashSet<BoundRun> bound = [];
    private readonly Lifetime lifetime;

    /// <summary>Takes over a session.</summary>
    /// <param name="session">Is disposed with this.</param>
    /// <param name="owner">Name of the public type that owns it, for errors.</param>
    public ModelSession(InferenceSession session, string owner)
    {
        this.session = session;
        lifetime = new Lifetime(owner, Free);
        Inputs = session.InputMetadata;
        Outputs = session.OutputMetadata;
    }

    /// <summary>The inputs that a caller gives, by name.</summary>
    public IReadOnlyDictionary<string, NodeMetadata> Inputs { get; }

    /// <summary>The outputs, by name.</summary>
    public IReadOnlyDictionary<string, NodeMetadata> Outputs { get; }

    /// <summary>Runs, and reads what came out before it is freed.</summary>
    /// <typeparam name="T">What is read from the results.</typeparam>
    /// <param name="inputNames">Names of the inputs.</param>
    /// <param name="inputs">One tensor each; they stay the caller's.</param>
    /// <param name="outputNames">Names of the outputs.</param>
    /// <param name="read">Reads the outputs, in the order of their names; they are freed when it returns.</param>
    /// <returns>What <paramref name="read"/> gave.</returns>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    /// <exception cref="OnnxRuntimeException">The network cannot be run on these values.</exception>
    public T Run<T>(
        IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputs,
        IReadOnlyCollection<string> outputNames,
        Func<IReadOnlyList<OrtValue>, T> read
    )
    {
        using var visit = lifetime.Enter();
        using var results = session.Run(options, inputNames, inputs, outputNames);
        return read(results);
    }

    /// <summary>Runs into values that the caller has.</summary>
    /// <param name="inputNames">Names of the inputs.</param>
    /// <param name="inputs">One tensor each; they stay the caller's.</param>
    /// <param name="outputNames">Names of the outputs.</param>
    /// <param name="outputs">Receives one output each, in this order; they stay the caller's.</param>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    /// <exception cref="OnnxRuntimeException">The network cannot be run on these values.</exception>
    public void Run(
        IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputs,
        IReadOnlyCollection<string> outputNames,
        IReadOnlyCollection<OrtValue> outputs
    )
    {
        using var visit = lifetime.Enter();
        session.Run(options, inputNames, inputs, outputNames, outputs);
    }

    /// <summary>
    /// Binds arrays once, to be run again and again without garbage. They must stay where they are until it is
    /// disposed.
    /// </summary>
    /// <param name="inputs">Name, numbers and sizes of each input.</param>
    /// <param name="outputs">Name, room and sizes of each output.</param>
    /// <returns>The binding; dispose it, or let the session free it when it ends.</returns>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public BoundRun Bind(
        (string Name, Memory<float> Data, long[] Shape)[] inputs,
        (string Name, Memory<float> Data, long[] Shape)[] outputs
    )
    {
        using var visit = lifetime.Enter();
        var run = new BoundRun(this, session.CreateIoBinding(), inputs, outputs);
        lock (bound)
            bound.Add(run);
        return run;
    }

    /// <summary>Runs what is bound.</summary>
    /// <param name="binding">Binding of this session.</param>
    internal void Run(OrtIoBinding binding)
    {
        using var visit = lifetime.Enter();
        session.RunWithBinding(options, binding);
    }

    /// <summary>
    /// Frees a binding, unless the session has done so already: a binding must not outlive its session.
    /// </summary>
    /// <param name="run">A binding of this session.</param>
    internal void Release(BoundRun run)
    {
        lock (bound)
        {
            if (bound.Remove(run))
                run.Free();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => lifetime.Close();

    /// <summary>Frees bindings first, then the session: a binding must not outlive it.</summary>
    private void Free()
    {
        lock (bound)
        {
            foreach (var run in bound)
                run.Free();
            bound.Clear();
        }

        options.Dispose();
        session.Dispose();
    }
}
