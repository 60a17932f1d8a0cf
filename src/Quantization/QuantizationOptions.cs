namespace TorchBridge.Quantization;

/// <summary>
/// Options of a quantization. The defaults suit convolutional networks on current processors; every member documents
/// its cost.
/// </summary>
public sealed record QuantizationOptions
{
    /// <summary>How weights are stored and how the model computes. Default: everything in 8 bits.</summary>
    public QuantizationMode Mode { get; init; } = QuantizationMode.Int8;

    /// <summary>How ranges are chosen. Default: smallest mean square error.</summary>
    public CalibrationMethod Method { get; init; } = CalibrationMethod.MeanSquareError;

    /// <summary>Integer type of the activations. Default: chosen by the processor.</summary>
    public ActivationType Activations { get; init; } = ActivationType.Auto;

    /// <summary>
    /// Bits of the weights, 7 or 8. Null selects 8 if this processor has VNNI or dot-product instructions, otherwise
    /// 7: older x64 processors add two uint8 x int8 products in 16 bits, which overflow with 8-bit weights.
    /// </summary>
    public int? WeightBits { get; init; }

    /// <summary>
    /// Whether the first layer stays in float32. It reads the raw input, whose range is the widest. Default: no.
    /// </summary>
    public bool FirstLayerInFloat { get; init; }

    /// <summary>
    /// Whether the last layer stays in float32. Its errors reach the output undamped. Default: no.
    /// </summary>
    public bool LastLayerInFloat { get; init; }

    /// <summary>
    /// Names of nodes that stay in float32. Unknown names are refused. Default: none.
    /// </summary>
    public IReadOnlyCollection<string> NodesInFloat { get; init; } = [];

    /// <summary>
    /// Whether each bias is corrected for the mean error that rounding the weights causes (Nagel et al. 2019). This
    /// costs nothing at run time. Default: yes.
    /// </summary>
    public bool CorrectBiases { get; init; } = true;

    /// <summary>
    /// Whether the weights of adjacent convolutions are first rescaled so that their channels have equal ranges
    /// (Nagel et al. 2019). The results of the model do not change. Default: no.
    /// </summary>
    public bool EqualizeRanges { get; init; }

    /// <summary>
    /// Whether the cost of each layer is measured and reported, which runs one more model per layer. It is always
    /// measured if a layer must fall back. Default: no.
    /// </summary>
    public bool MeasureSensitivity { get; init; }

    /// <summary>
    /// Whether layers go back to float32, the most costly first, until the budget is met. If false, a missed budget
    /// is refused. Default: yes.
    /// </summary>
    public bool FallBack { get; init; } = true;

    /// <summary>
    /// Whether the columns of the first output are classes, so that the largest of each row is compared. Null detects
    /// it: they are classes if batches have labels, if the output is called logits or probabilities, or if a Softmax
    /// or ArgMax produces or reads it. Regressions, embeddings and landmarks are judged by the signal-to-noise ratio
    /// alone.
    /// </summary>
    public bool? IsClassifier { get; init; }

    /// <summary>
    /// The accepted loss. Default: one percentage point of accuracy, the same class in 95 % of the rows, 10 dB.
    /// </summary>
    public AccuracyBudget Budget { get; init; } = new();

    /// <summary>
    /// Batches that are not used for calibration, with labels if available. They are enumerated more than once. Null
    /// reuses the calibration batches, and the report says so.
    /// </summary>
    public IEnumerable<QuantizationBatch>? HeldOut { get; init; }

    /// <summary>
    /// Batches with labels that are read once, after all decisions, for an unbiased estimate; null for none.
    /// </summary>
    public IEnumerable<QuantizationBatch>? Test { get; init; }

    /// <summary>
    /// Creates metadata from the finished report that is merged into the model's own; null for none.
    /// </summary>
    public Func<QuantizationReport, IEnumerable<KeyValuePair<string, string>>>? LateMetadata { get; init; }

    /// <summary>Receives progress on the working thread; may be null.</summary>
    public IProgress<QuantizationProgress>? Progress { get; init; }
}
