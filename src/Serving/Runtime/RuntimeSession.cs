using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Runtime;
using TorchBridge.Serving.Protocol;
using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace TorchBridge.Serving.Runtime;

/// <summary>
/// An open model: the one place that knows ONNX Runtime. Tensors go in and come out; it may be run from several
/// threads, each with a memory of its own.
/// </summary>
internal sealed class RuntimeSession : IDisposable
{
    /// <summary>The opened model; disposed with this.</summary>
    private readonly InferenceSession session;

    /// <summary>Options of every run; none is set.</summary>
    private readonly RunOptions runOptions = new();

    /// <summary>The inputs in the model's order, as ONNX Runtime's bindings take them.</summary>
    private readonly string[] inputNames;

    /// <summary>The outputs in the model's order.</summary>
    private readonly string[] outputNames;

    /// <summary>Takes a session over.</summary>
    /// <param name="session">It is disposed with this.</param>
    /// <param name="signature">What it takes and gives.</param>
    private RuntimeSession(InferenceSession session, ModelSignature signature)
    {
        this.session = session;
        Signature = signature;
        inputNames = [.. signature.Inputs.Select(input => input.Name)];
        outputNames = [.. signature.Outputs.Select(output => output.Name)];
    }

    /// <summary>What the model takes and gives.</summary>
    public ModelSignature Signature { get; }

    /// <summary>Opens a model.</summary>
    /// <param name="source">The file as it was read; with data files it is opened by its path.</param>
    /// <param name="settings">Threads, and what the caller sets.</param>
    /// <returns>An open model; dispose it.</returns>
    /// <exception cref="ModelLoadException">ONNX Runtime does not load it, or it takes what the protocol cannot
    /// carry.</exception>
    public static RuntimeSession Open(ModelSource source, RuntimeSettings settings)
    {
        var opener = OrtSession.Quiet with
        {
            Threads = settings.Threads > 0 ? settings.Threads : null,
            ExactInt8 = true,
            Configure = Configure,
        };
        InferenceSession? session = null;
        try
        {
            session = source.Scan.ExternalFiles.Count == 0 ? opener.Open(source.Bytes) : opener.Open(source.Path);
            return new RuntimeSession(session, ReadSignature(session, source.Path));
        }
        catch (OnnxRuntimeException error)
        {
            session?.Dispose();
            throw new ModelLoadException(
                $"{source.Path} is not a model that ONNX Runtime loads: {error.Message}",
                error
            );
        }
        catch
        {
            session?.Dispose();
            throw;
        }

        void Configure(SessionOptions options)
        {
            // Threads that wait in a loop would take the cores from those that read requests.
            if (settings.Spins)
                options.AddSessionConfigEntry("session.force_spinning_stop", "1");
            else
                options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
            settings.Configure?.Invoke(options);
        }
    }

    /// <summary>Runs requests together: their inputs are joined along axis 0, the outputs split again.</summary>
    /// <param name="memory">The worker's own.</param>
    /// <param name="requests">The inputs of each request, in the signature's order. More than one: all have a batch
    /// axis.</param>
    /// <param name="outputs">Positions of the outputs to compute.</param>
    /// <returns>For each request its outputs, in the order of <paramref name="outputs"/>.</returns>
    /// <exception cref="ModelRunException">The model does not run over these inputs, or does not give one row a
    /// row.</exception>
    public Tensor[][] Run(RunMemory memory, IReadOnlyList<IReadOnlyList<Tensor>> requests, IReadOnlyList<int> outputs)
    {
        var inputs = new List<OrtValue>(inputNames.Length);
        try
        {
            for (var index = 0; index < inputNames.Length; index++)
                inputs.Add(memory.Join([.. requests.Select(request => request[index])]));
            using var values = session.Run(
                runOptions,
                inputNames,
                inputs,
                [.. outputs.Select(output => outputNames[output])]
            );
            long[] rows = requests.Count == 1 ? [] : [.. requests.Select(request => request[0].Shape[0])];
            var columns = outputs
                .Select((output, i) => OutputReader.Split(values[i], Signature.Outputs[output], rows))
                .ToArray();
            return
            [
                .. Enumerable
                    .Range(0, requests.Count)
                    .Select(request => Array.ConvertAll(columns, column => column[request])),
            ];
        }
        catch (OnnxRuntimeException error)
        {
            throw new ModelRunException(error.Message, error);
        }
        finally
        {
            foreach (var input in inputs)
                input.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        runOptions.Dispose();
        session.Dispose();
    }

    /// <summary>Inputs and outputs as the protocol names them; outputs that it cannot carry are left out.</summary>
    /// <param name="session">The loaded model.</param>
    /// <param name="path">For an error.</param>
    private static ModelSignature ReadSignature(InferenceSession session, string path)
    {
        var inputs = session
            .InputNames.Select(name =>
                Describe(name, session.InputMetadata[name])
                ?? throw new ModelLoadException(
                    $"{path}: input '{name}' is {Kind(session.InputMetadata[name])}, which the protocol cannot carry"
                )
            )
            .ToArray();
        var outputs = session
            .OutputNames.Select(name => (Name: name, Spec: Describe(name, session.OutputMetadata[name])))
            .ToArray();
        var left = outputs.Where(output => output.Spec is null).Select(output => output.Name).ToArray();
        return left.Length == outputs.Length
            ? throw new ModelLoadException(
                $"{path} has no output that the protocol can carry: "
                    + $"{string.Join(", ", left.Select(name => $"'{name}' is {Kind(session.OutputMetadata[name])}"))}"
            )
            : new ModelSignature(
                inputs,
                [.. outputs.Where(output => output.Spec is not null).Select(output => output.Spec!)],
                left
            );
    }

    /// <summary>An input or output; null where the protocol has no datatype for it.</summary>
    /// <param name="name">Of an input or output.</param>
    /// <param name="metadata">What the runtime says of it.</param>
    private static TensorSpec? Describe(string name, NodeMetadata metadata) =>
        metadata.IsTensor && OnnxTypes.Find(metadata.ElementDataType) is { } type
            ? new TensorSpec(name, type, [.. metadata.Dimensions.Select(axis => axis < 0 ? TensorSpec.Free : axis)])
            : null;

    /// <summary>What an input or output is, for an error.</summary>
    /// <param name="metadata">What the runtime says of it.</param>
    private static string Kind(NodeMetadata metadata) =>
        metadata.IsTensor ? $"a tensor of {metadata.ElementDataType}" : $"{metadata.OnnxValueType}";
}
