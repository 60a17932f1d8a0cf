using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace TorchBridge.Serving.Runtime;

/// <summary>How sessions are opened.</summary>
/// <param name="Threads">Threads of ONNX Runtime for one run; 0 for one per core.</param>
/// <param name="Configure">More settings: execution providers, say.</param>
internal sealed record RuntimeSettings(int Threads = 0, Action<SessionOptions>? Configure = null);
