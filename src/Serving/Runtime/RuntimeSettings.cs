using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace TorchBridge.Serving.Runtime;

/// <summary>Settings of the server's sessions.</summary>
/// <param name="Threads">Threads of ONNX Runtime for one run; 0 for one per core.</param>
/// <param name="Configure">Sets further options, for example execution providers.</param>
/// <param name="Spins">Whether the threads of a run spin while they wait for its next layer, which is faster if
/// nothing else needs the cores. They never spin between two runs.</param>
internal sealed record RuntimeSettings(int Threads = 0, Action<SessionOptions>? Configure = null, bool Spins = false);
