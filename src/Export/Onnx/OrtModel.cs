using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace TorchBridge.Export.Onnx;

/// <summary>Runs an ONNX file with ONNX Runtime on the CPU, with TorchSharp tensors as inputs and outputs.</summary>
internal sealed class OrtModel : IDisposable
{
    /// <summary>The loaded file; disposed with this.</summary>
    private readonly InferenceSession session;

    /// <summary>Default options for every run.</summary>
    private readonly RunOptions runOptions = new();

    /// <summary>Loads a file.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <param name="optimize">Whether ONNX Runtime may rewrite the graph.</param>
    /// <param name="oneLayout">Whether convolution weights keep their original layout; the blocked layout needs a
    /// second copy of all weights.</param>
    public OrtModel(string path, bool optimize, bool oneLayout = false) =>
        session = Settings(optimize, oneLayout).Open(path);

    /// <summary>Loads a model from memory, without graph optimizations.</summary>
    /// <param name="model">The file's bytes.</param>
    public OrtModel(byte[] model) => session = Settings(optimize: false, oneLayout: false).Open(model);

    /// <summary>
    /// Session settings without a memory arena.
    /// </summary>
    private static OrtSession Settings(bool optimize, bool oneLayout) =>
        OrtSession.Quiet with
        {
            Optimization = optimize ? GraphOptimizationLevel.ORT_ENABLE_ALL : GraphOptimizationLevel.ORT_DISABLE_ALL,
            // There are a few runs at different sizes, and an arena would keep the largest buffers of each.
            KeepsMemory = false,
            PlansMemory = false,
            KeepsLayout = oneLayout,
        };

    /// <summary>Names of the inputs in their order.</summary>
    public IReadOnlyList<string> InputNames => session.InputNames;

    /// <summary>Names of the outputs in their order.</summary>
    public IReadOnlyList<string> OutputNames => session.OutputNames;

    /// <summary>Runs the model; the caller disposes the results.</summary>
    /// <param name="inputs">One tensor per input.</param>
    /// <param name="outputs">Names of the outputs to compute; null for all.</param>
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
            foreach (var value in values)
                value.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        runOptions.Dispose();
        session.Dispose();
    }

    /// <summary>Converts a tensor to an ONNX Runtime value.</summary>
    private static OrtValue ToOrt(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var plain = tensor.detach().cpu().contiguous();
        var value = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance,
            (TensorElementType)(int)plain.dtype.ToOnnx(),
            plain.shape
        );
        if (plain.numel() > 0)
            plain.bytes.CopyTo(value.GetTensorMutableRawData());
        return value;
    }

    /// <summary>Copies a result to a tensor.</summary>
    private static Tensor FromOrt(OrtValue value)
    {
        var info = value.GetTensorTypeAndShape();
        var tensor = empty(info.Shape, ((ElementType)(int)info.ElementDataType).ToTorch());
        if (tensor.numel() > 0)
            value.GetTensorMutableRawData().CopyTo(tensor.bytes);
        return tensor;
    }
}
