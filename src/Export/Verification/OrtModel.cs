using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Runs an ONNX file on TorchSharp tensors, in ONNX Runtime on the CPU.</summary>
internal sealed class OrtModel : IDisposable
{
    private static readonly ScalarType[] Known =
    [
        ScalarType.Float32, ScalarType.Float64, ScalarType.Float16, ScalarType.BFloat16, ScalarType.Int64, ScalarType.Int32, ScalarType.Int16, ScalarType.Int8, ScalarType.Byte, ScalarType.Bool,
    ];

    private readonly InferenceSession session;
    private readonly RunOptions runOptions = new();

    /// <summary>Loads a file.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <param name="optimize">Whether ONNX Runtime may rewrite the graph.</param>
    /// <param name="oneLayout">Whether convolution weights keep their layout: the blocked one is a second copy of all of them.</param>
    public OrtModel(string path, bool optimize, bool oneLayout = false)
    {
        using var options = Options(optimize);
        // Weights outside an arena too, and one layout of each: the packed second copy serves speed, not the result.
        if (oneLayout) options.AddSessionConfigEntry("optimization.disable_specified_optimizers", "NchwcTransformer");
        session = new InferenceSession(path, options);
    }

    /// <summary>Loads a model from memory; ONNX Runtime leaves its graph as it is.</summary>
    public OrtModel(byte[] model)
    {
        using var options = Options(optimize: false);
        session = new InferenceSession(model, options);
    }

    private static SessionOptions Options(bool optimize) => new()
    {
        GraphOptimizationLevel = optimize ? GraphOptimizationLevel.ORT_ENABLE_ALL : GraphOptimizationLevel.ORT_DISABLE_ALL,
        LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
        // A few runs at different sizes: an arena would keep the largest of each.
        EnableCpuMemArena = false,
        EnableMemoryPattern = false,
    };

    /// <summary>Names of the inputs in their order.</summary>
    public IReadOnlyList<string> InputNames => session.InputNames;

    /// <summary>Names of the outputs in their order.</summary>
    public IReadOnlyList<string> OutputNames => session.OutputNames;

    /// <summary>Runs the model; the caller disposes the results.</summary>
    /// <param name="inputs">One an input.</param>
    /// <param name="outputs">Which outputs; all where it is null.</param>
    public Tensor[] Run(IReadOnlyList<Tensor> inputs, IReadOnlyCollection<string>? outputs = null)
    {
        var values = inputs.Select(ToOrt).ToArray();
        try
        {
            using var results = session.Run(runOptions, session.InputNames, values, outputs ?? session.OutputNames);
            return [.. results.Select(FromOrt)];
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        runOptions.Dispose();
        session.Dispose();
    }

    private static OrtValue ToOrt(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var plain = tensor.detach().cpu().contiguous();
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, ElementType(plain.dtype), plain.shape);
        if (plain.numel() > 0) plain.bytes.CopyTo(value.GetTensorMutableRawData());
        return value;
    }

    private static Tensor FromOrt(OrtValue value)
    {
        var info = value.GetTensorTypeAndShape();
        var tensor = empty(info.Shape, DataType(info.ElementDataType));
        if (tensor.numel() > 0) value.GetTensorMutableRawData().CopyTo(tensor.bytes);
        return tensor;
    }

    private static Microsoft.ML.OnnxRuntime.Tensors.TensorElementType ElementType(ScalarType type) => (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)(int)Onnx.OnnxFile.DataType(type);

    private static ScalarType DataType(Microsoft.ML.OnnxRuntime.Tensors.TensorElementType type) => Known.First(candidate => ElementType(candidate) == type);
}
