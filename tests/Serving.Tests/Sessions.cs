using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests;

/// <summary>Opens models from bytes.</summary>
internal static class Sessions
{
    public static RuntimeSession Open(byte[] onnx, int threads = 0) =>
        RuntimeSession.Open(
            new ModelSource("test.onnx", onnx, OnnxScan.Of(onnx, "test.onnx")),
            new RuntimeSettings(threads)
        );
}
