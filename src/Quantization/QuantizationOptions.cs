namespace TorchBridge.Quantization;

/// <summary>
/// How a model is quantized. The defaults suit convolutional networks on today's processors; every member says what
/// it costs.
/// </summary>
public sealed record QuantizationOptions
{
    /// <summary>What becomes of weights and values. Default: all in 8 bits.</summary>
    public QuantizationMode Mode { get; init; } = QuantizationMode.Int8;

    /// <summary>How ranges are chosen. Default: least mean square error.</summary>
    public CalibrationMethod Method { get; init; } = CalibrationMethod.MeanSquareError;

    /// <summary>Integer type of the values. Default: the processor decides.</summary>
    public ActivationType Activations { get; init; } = ActivationType.Auto;

    /// <summary>
    /// Bits of the weights, 7 or 8; null: 8 where this processor has VNNI or dot-product instructions, else 7. Older
    /// x64 processors add two uint8 x int8 products in 16 bits, which overflow with 8-bit weights.
    /// </summary>
    public int? WeightBits { get; init; }

    /// <summary>
    /// Whether the first layer stays in float32: it reads the raw input, whose range is the widest. Default: no.
    /// </summary>
    public bool FirstLayerInFloat { get; init; }

    /// <summary>
    /// Whether the last layer stays in float32: its errors reach the output undamped. Default: no.
    /// </summary>
    public bool LastLayerInFloat { get; init; }

    /// <summary>
    /// Names of nodes that stay in float32. A name that the model does not have is refused. Default: none.
    /// </summary>
    public IReadOnlyCollection<string> NodesInFloat { get; init; } = [];

    /// <summary>
    /// Whether each bias is corrected for the mean error that rounding its weights causes (Nagel et al. 2019). It
    /// costs nothing at run time. Default: yes.
    /// </summary>
    public bool CorrectBiases { get; init; } = true;

    /// <summary>
    /// Whether the weights of neighbouring convolutions are scaled against each other first, so that their channels
    /// have equal ranges (Nagel et al. 2019). The model computes the same. Default: no.
    /// </summary>
    public bool EqualizeRanges { get; init; }

    /// <summary>
    /// Whether each layer's own cost is measured and reported: one more model per layer. It is measured in any case
    /// where a layer must fall back. Default: no.
    /// </summary>
    public bool MeasureSensitivity { get; init; }

    /// <summary>
    /// Whether layers go back to float32, the costliest first, until the budget holds; else a miss is a refusal.
    /// Default: yes.
    /// </summary>
    public bool FallBack { get; init; } = true;

    /// <summary>
    /// Whether the columns of the first output are classes, and the largest of each row is compared. Null: they are
    /// where batches have labels, where the output is called logits or probabilities, or where a Softmax or ArgMax
    /// gives or reads it. Regressions, embeddings and landmarks are held to the signal-to-noise ratio alone.
    /// </summary>
    public bool? IsClassifier { get; init; }

    /// <summary>
    /// How much worse the result may be. Default: one point of accuracy, 95 % of equal classes, 10 dB.
    /// </summary>
    public AccuracyBudget Budget { get; init; } = new();

    /// <summary>
    /// Batches that calibration has not seen, with labels where there are some. They are read more than once. Null:
    /// the calibration batches are read again, and the report says so.
    /// </summary>
    public IEnumerable<QuantizationBatch>? HeldOut { get; init; }

    /// <summary>
    /// Batches with labels that are read once, when everything is decided, for an estimate that no decision has used;
    /// null for none.
    /// </summary>
    public IEnumerable<QuantizationBatch>? Test { get; init; }

    /// <summary>
    /// Makes metadata that replaces or joins the model's own, from the finished report; null for none.
    /// </summary>
    public Func<QuantizationReport, IEnumerable<KeyValuePair<string, string>>>? LateMetadata { get; init; }

    /// <summary>Receives progress, on the thread that works; null for nobody.</summary>
    public IProgress<QuantizationProgress>? Progress { get; init; }
}
