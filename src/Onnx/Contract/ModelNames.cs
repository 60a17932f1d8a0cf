namespace TorchBridge.Onnx.Contract;

/// <summary>
/// Names of a picture classifier's input and outputs. They are part of the file format: renaming one would make every
/// existing model unreadable.
/// </summary>
internal static class ModelNames
{
    /// <summary>The input: float32 [N, 3, H, W], RGB, with values from 0 to 255.</summary>
    public const string Pixels = "pixels";

    /// <summary>Output: float32 [N, classes], before softmax.</summary>
    public const string Logits = "logits";

    /// <summary>Output: float32 [N, classes]; each row sums to 1.</summary>
    public const string Probabilities = "probabilities";

    /// <summary>
    /// Optional output: float32 [N, classes, h, w]; its sum over all positions gives the logits without their biases.
    /// </summary>
    public const string ActivationMap = "activation_map";
}
