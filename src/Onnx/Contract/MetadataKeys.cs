namespace TorchBridge.Onnx.Contract;

/// <summary>
/// Keys of what TorchBridge writes into the metadata of its files: ONNX and, for settings and checkpoints,
/// safetensors. Each is spelled here once; who writes and who reads cannot drift apart.
/// </summary>
internal static class MetadataKeys
{
    /// <summary>Names of the classes, in the order of the logits: a JSON array.</summary>
    public const string ClassNames = "torchbridge.class_names";

    /// <summary>Picture width in pixels.</summary>
    public const string Width = "torchbridge.width";

    /// <summary>Picture height in pixels.</summary>
    public const string Height = "torchbridge.height";

    /// <summary><c>true</c> where pictures are resized with antialiasing.</summary>
    public const string Antialias = "torchbridge.antialias";

    /// <summary><c>true</c> where pictures are turned as their EXIF orientation says.</summary>
    public const string ApplyOrientation = "torchbridge.apply_orientation";

    /// <summary>
    /// Pictures with their logits, by which a model checks itself on another machine: JSON with base64 planes, logits
    /// and a relative tolerance.
    /// </summary>
    public const string SelfCheck = "torchbridge.self_check";

    /// <summary>What the export's verification measured: JSON.</summary>
    public const string Parity = "torchbridge.parity";

    /// <summary>
    /// How the network was made and trained (network, recipe, data, seed): JSON. <c>evaluate</c>, <c>export</c> and
    /// <c>parity</c> rebuild the network from it.
    /// </summary>
    public const string Settings = "torchbridge.settings";

    /// <summary>Versions and machine: JSON.</summary>
    public const string Versions = "torchbridge.versions";

    /// <summary>Accuracy on the test part, 0 to 1.</summary>
    public const string TestAccuracy = "torchbridge.test_accuracy";

    /// <summary>Mean cross entropy on the test part.</summary>
    public const string TestLoss = "torchbridge.test_loss";

    /// <summary>Which views of a picture the file's logits are the mean of; absent where it sees the picture as it
    /// is.</summary>
    public const string Views = "torchbridge.views";

    /// <summary>
    /// How a model was quantized (mode, calibration method, bits, rows) and how well it holds, as one line for
    /// people. Its presence says that the file is no float32 model any more.
    /// </summary>
    public const string Quantization = "torchbridge.quantization";

    /// <summary>The quantized model against the float model on the test part: JSON.</summary>
    public const string QuantizationFidelity = "torchbridge.quantization.fidelity";

    /// <summary>Settings, history and counters of an unfinished run: JSON.</summary>
    public const string Checkpoint = "torchbridge.checkpoint";
}
