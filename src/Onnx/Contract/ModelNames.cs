namespace TorchBridge.Onnx.Contract;

/// <summary>
/// Names of a picture classifier's input and outputs. They are part of the file format: renaming one would make every
/// older model unreadable.
/// </summary>
internal static class ModelNames
{
    /// <summary>The input: float32 [N, 3, H, W], RGB, 0 to 255.</summary>
    public const string Pixels = "pixels";

    /// <summary>An output: float32 [N, classes], before softmax.</summary>
    public const string Logits = "logits";

    /// <summary>An output: float32 [N, classes]; each row adds up to one.</summary>
    public const string Probabilities = "probabilities";

    /// <summary>An output that a model may have: float32 [N, classes, h, w], whose sums over places are the logits
    /// less their biases.</summary>
    public const string ActivationMap = "activation_map";
}
