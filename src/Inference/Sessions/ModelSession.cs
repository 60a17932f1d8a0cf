using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference.Sessions;

/// <summary>An ONNX Runtime session that may be disposed while others use it: see <see cref="Lifetime"/>.</summary>
internal sealed class ModelSession : IDisposable
{
    private readonly InferenceSession session;
    private readonly RunOptions options = new();
    private readonly HashSet<BoundRun> bound = [];
    private readonly Lifetime lifetime;

    /// <summary>Takes ownership of a session.</summary>
    /// <param name="session">The session, disposed together with this object.</param>
    /// <param name="owner">Name of the public type that owns it, for errors.</param>
    public ModelSession(InferenceSession session, string owner)
    {
        this.session = session;
        lifetime = new Lifetime(owner, Free);
        Inputs = session.InputMetadata;
        Outputs = session.OutputMetadata;
    }

    /// <summary>The inputs of the model, by name.</summary>
    public IReadOnlyDictionary<string, NodeMetadata> Inputs { get; }

    /// <summary>The outputs, by name.</summary>
    public IReadOnlyDictionary<string, NodeMetadata> Outputs { get; }

    /// <summary>Runs the model and reads the results before they are freed.</summary>
    /// <typeparam name="T">Type of the value read from the results.</typeparam>
    /// <param name="inputNames">Names of the inputs.</param>
    /// <param name="inputs">One tensor per input, owned by the caller.</param>
    /// <param name="outputNames">Names of the outputs.</param>
    /// <param name="read">Reads the outputs, in the order of their names; they are freed when it returns.</param>
    /// <returns>The result of <paramref name="read"/>.</returns>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
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

    /// <summary>Runs the model and writes to values of the caller.</summary>
    /// <param name="inputNames">Names of the inputs.</param>
    /// <param name="inputs">One tensor per input, owned by the caller.</param>
    /// <param name="outputNames">Names of the outputs.</param>
    /// <param name="outputs">Values that receive the outputs, in this order; owned by the caller.</param>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
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
    /// Binds arrays once for repeated runs without allocations. They must stay pinned until the binding is disposed.
    /// </summary>
    /// <param name="inputs">Name, values and shape of each input.</param>
    /// <param name="outputs">Name, memory and shape of each output.</param>
    /// <returns>The binding; dispose it, or let the session free it on disposal.</returns>
    /// <exception cref="ObjectDisposedException">The session has been disposed.</exception>
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

    /// <summary>Runs a binding.</summary>
    /// <param name="binding">A binding of this session.</param>
    internal void Run(OrtIoBinding binding)
    {
        using var visit = lifetime.Enter();
        session.RunWithBinding(options, binding);
    }

    /// <summary>
    /// Frees a binding unless the session has already done so: a binding must not outlive its session.
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

    /// <summary>Frees the bindings, then the session: a binding must not outlive it.</summary>
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
