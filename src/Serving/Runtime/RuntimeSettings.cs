using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace TorchBridge.Serving.Runtime;

/// <summary>How sessions are opened.</summary>
/// <param name="Threads">Threads of ONNX Runtime for one run; 0 for one per core.</param>
/// <param name="Configure">More settings: execution providers, say.</param>
/// <param name="Spins">Whether the threads of a run wait for its next layer in a loop: sooner, where nobody else needs
/// their cores. Between two runs they never do.</param>
internal sealed record RuntimeSettings(int Threads = 0, Action<SessionOptions>? Configure = null, bool Spins = false);
