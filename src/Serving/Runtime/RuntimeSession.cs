using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Runtime;
using TorchBridge.Serving.Protocol;
using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace TorchBridge.Serving.Runtime;

/// <summary>An opened model. It may be run from several threads, each with its own <see cref="RunMemory"/>.</summary>
internal sealed class RuntimeSession : IDisposable
{
    /// <summary>The ONNX Runtime session; disposed with this object.</summary>
    private readonly InferenceSession session;

    /// <summary>Options of every run: the defaults.</summary>
    private readonly RunOptions runOptions = new();

    /// <summary>Names of the inputs in the model's order.</summary>
    private readonly string[] inputNames;

    /// <summary>Names of the outputs in the model's order.</summary>
    private readonly string[] outputNames;

    /// <summary>Wraps a session.</summary>
    /// <param name="session">The session; it is disposed with this object.</param>
    /// <param name="signature">The model's inputs and outputs.</param>
    private RuntimeSession(InferenceSession session, ModelSignature signature)
    {
        this.session = session;
        Signature = signature;
        inputNames = [.. signature.Inputs.Select(input => input.Name)];
        outputNames = [.. signature.Outputs.Select(output => output.Name)];
    }

    /// <summary>The model's inputs and outputs.</summary>
    public ModelSignature Signature { get; }

    /// <summary>Opens a model.</summary>
    /// <param name="source">The model's file; a model with external tensors is opened by its path.</param>
    /// <param name="settings">Threads and further options.</param>
    /// <returns>The opened model, which the caller disposes.</returns>
    /// <exception cref="ModelLoadException">ONNX Runtime cannot load the model, or the protocol cannot represent one
    /// of its inputs or any of its outputs.</exception>
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
                $"{source.Path} is not a model that ONNX Runtime can load: {error.Message}",
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
            // Threads that spin while waiting would take CPU time from the threads that read requests.
            if (settings.Spins)
                options.AddSessionConfigEntry("session.force_spinning_stop", "1");
            else
                options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
            settings.Configure?.Invoke(options);
        }
    }

    /// <summary>
    /// Runs requests together: their inputs are joined along axis 0, and the outputs are split again.
    /// </summary>
    /// <param name="memory">The memory of the calling worker.</param>
    /// <param name="requests">The inputs of each request, in the signature's order. If there is more than one
    /// request, axis 0 of all inputs is the batch axis.</param>
    /// <param name="outputs">Indices of the outputs to compute.</param>
    /// <returns>The outputs of each request, in the order of <paramref name="outputs"/>.</returns>
    /// <exception cref="ModelRunException">The model failed on these inputs, or an output does not have one row per
    /// input row.</exception>
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

    /// <summary>
    /// Describes inputs and outputs in terms of the protocol; outputs that it cannot represent are left out.
    /// </summary>
    /// <param name="session">The opened session.</param>
    /// <param name="path">Path of the model, for error messages.</param>
    private static ModelSignature ReadSignature(InferenceSession session, string path)
    {
        var inputs = session
            .InputNames.Select(name =>
                Describe(name, session.InputMetadata[name])
                ?? throw new ModelLoadException(
                    $"{path}: input '{name}' is {Kind(session.InputMetadata[name])}, which the protocol cannot represent"
                )
            )
            .ToArray();
        var outputs = session
            .OutputNames.Select(name => (Name: name, Spec: Describe(name, session.OutputMetadata[name])))
            .ToArray();
        var left = outputs.Where(output => output.Spec is null).Select(output => output.Name).ToArray();
        return left.Length == outputs.Length
            ? throw new ModelLoadException(
                $"{path} has no output that the protocol can represent: "
                    + $"{string.Join(", ", left.Select(name => $"'{name}' is {Kind(session.OutputMetadata[name])}"))}"
            )
            : new ModelSignature(
                inputs,
                [.. outputs.Where(output => output.Spec is not null).Select(output => output.Spec!)],
                left
            );
    }

    /// <summary>Describes an input or output; null if the protocol has no datatype for it.</summary>
    /// <param name="name">Name of the input or output.</param>
    /// <param name="metadata">ONNX Runtime's description of it.</param>
    private static TensorSpec? Describe(string name, NodeMetadata metadata) =>
        metadata.IsTensor && OnnxTypes.Find(metadata.ElementDataType) is { } type
            ? new TensorSpec(name, type, [.. metadata.Dimensions.Select(axis => axis < 0 ? TensorSpec.Free : axis)])
            : null;

    /// <summary>The type of an input or output, for error messages.</summary>
    /// <param name="metadata">ONNX Runtime's description of it.</param>
    private static string Kind(NodeMetadata metadata) =>
        metadata.IsTensor ? $"a tensor of {metadata.ElementDataType}" : $"{metadata.OnnxValueType}";
}
