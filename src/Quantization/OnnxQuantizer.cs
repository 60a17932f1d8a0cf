using System.Diagnostics;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;
using TorchBridge.Quantization.Calibration;
using TorchBridge.Quantization.Execution;
using TorchBridge.Quantization.Plan;
using TorchBridge.Quantization.Preparation;
using TorchBridge.Quantization.Rewriting;
using TorchBridge.Quantization.Verification;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization;

/// <summary>
/// Quantizes an ONNX file, so that its convolutions and matrix products compute in 8-bit integers. Accepts any
/// float32 model of opset 11 or later and does not need TorchSharp. The result is compared with the float model
/// before it is written.
/// </summary>
public static class OnnxQuantizer
{
    /// <summary>Metadata key under which the quantization is recorded.</summary>
    public const string MetadataKey = MetadataKeys.Quantization;

    /// <summary>Number of rows that the cost of a single layer is measured on.</summary>
    private const int SensitivityRows = 128;

    /// <summary>Number of layers that the exception lists if no layer can be quantized.</summary>
    private const int MostReasons = 10;

    /// <summary>Quantizes a file.</summary>
    /// <param name="modelPath">The float32 model, opset 11 or later; an external data file is expected next to it. It
    /// is not changed.</param>
    /// <param name="calibrationBatches">A few hundred typical inputs, preprocessed as in production. They are
    /// enumerated again for verification if there are no held-out batches, so the sequence must support repeated
    /// enumeration. Weight-only modes do not calibrate and use them for verification only.</param>
    /// <param name="outputPath">Path of the result. An existing file is replaced once the new model meets the
    /// budget.</param>
    /// <param name="options">Quantization options; null for the defaults.</param>
    /// <returns>A report of what was quantized, how, and with what fidelity.</returns>
    /// <exception cref="QuantizationException">The model or the batches cannot be used, or the result misses the
    /// budget. No file is written.</exception>
    /// <exception cref="ArgumentNullException">One of the first three arguments is null.</exception>
    public static QuantizationReport Quantize(
        string modelPath,
        IEnumerable<QuantizationBatch> calibrationBatches,
        string outputPath,
        QuantizationOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(modelPath);
        ArgumentNullException.ThrowIfNull(calibrationBatches);
        ArgumentNullException.ThrowIfNull(outputPath);
        options ??= new QuantizationOptions();
        if (options.WeightBits is { } bits and not (7 or 8))
            throw new QuantizationException(
                FormattableString.Invariant(
                    $"WeightBits is {bits}; allowed are 7 and 8, or null to choose by the processor"
                )
            );
        CheckPlace(outputPath);
        var original = FloatModel.Load(modelPath);
        FloatModel.Refuse(original, modelPath);
        // ONNX Runtime validates the file before any code here reads its operators.
        using var reference = new ModelRunner(modelPath, original.OutputNames);
        return new Run(modelPath, original, reference, calibrationBatches, outputPath, options).Do();
    }

    /// <summary>Refuses a path that cannot be written to before the work starts rather than after it.</summary>
    /// <param name="path">Path of the result.</param>
    private static void CheckPlace(string path)
    {
        if (string.IsNullOrWhiteSpace(path))
            throw new QuantizationException("the output path is empty; pass the path of the file to write");
        if (Directory.Exists(path))
            throw new QuantizationException($"{path} cannot be written: it is a folder. Pass the path of a file.");
        try
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(path));
            if (!Directory.Exists(folder))
                throw new QuantizationException($"{path} cannot be written: the folder {folder} does not exist");
        }
        catch (Exception error) when (error is ArgumentException or IOException or NotSupportedException)
        {
            throw new QuantizationException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>
    /// The state of one quantization: arguments, decisions so far, and the time of each phase.
    /// </summary>
    private sealed class Run
    {
        private readonly OnnxGraph original;
        private readonly OnnxGraph model;
        private readonly FidelityCheck check;
        private readonly IEnumerable<QuantizationBatch> calibration;
        private readonly string output;
        private readonly QuantizationOptions options;
        private readonly bool isSigned;
        private readonly int weightBits;
        private readonly Dictionary<string, double> seconds = new(StringComparer.Ordinal);
        private readonly Dictionary<string, string> keep = new(StringComparer.Ordinal);

        /// <summary>
        /// Prepares the model: brings it into the form that is planned, and determines the layers that stay in
        /// float32 before anything is measured.
        /// </summary>
        public Run(
            string path,
            OnnxGraph original,
            ModelRunner reference,
            IEnumerable<QuantizationBatch> calibration,
            string output,
            QuantizationOptions options
        )
        {
            this.original = original;
            this.calibration = calibration;
            this.output = output;
            this.options = options;
            check = new FidelityCheck(reference, options.IsClassifier ?? ClassRows.Of(original));
            weightBits = options.WeightBits ?? (Processor.MayOverflow ? 7 : 8);
            isSigned =
                options.Activations == ActivationType.Int8
                || (options.Activations == ActivationType.Auto && !Processor.IsX64);
            model = FloatModel.Prepare(original);
            KeepWhatIsNotFinite();
            if (options.EqualizeRanges)
                RangeEqualization.Apply(model);
            KeepWhatIsAsked(path);
        }

        /// <summary>
        /// The batches of the comparison: the held-out ones, or those of calibration.
        /// </summary>
        private IEnumerable<QuantizationBatch> Verification => options.HeldOut ?? calibration;

        /// <summary>Quantizes, compares and writes.</summary>
        public QuantizationReport Do() => options.Mode == QuantizationMode.Int8 ? InIntegers() : StoredSmaller();

        /// <summary>
        /// Weight-only: no calibration and no fallback. A result that misses the budget is refused.
        /// </summary>
        private QuantizationReport StoredSmaller()
        {
            var smaller = model.Copy();
            var tensors = WeightStorage.Apply(smaller, options.Mode);
            if (tensors.Count == 0)
                throw new QuantizationException(
                    "no weight of the model can be compressed: outside of subgraphs and functions there is no "
                        + "finite float32 weight of at least 256 elements"
                );
            var fidelity = Timed("verification", () => Verify(smaller));
            if (FidelityCheck.Miss(fidelity, options.Budget) is { } missed)
                throw new QuantizationException($"{missed}. No file was written.");
            return Write(smaller, fidelity, tensors, [], [], [], 0);
        }

        /// <summary>
        /// Static int8: plans, calibrates and verifies; if an output misses the budget, the layer that costs most
        /// goes back to float32 and the result is verified again.
        /// </summary>
        private QuantizationReport InIntegers()
        {
            var plan = QuantizationPlan.Of(model, keep);
            if (plan.Values.Count == 0)
            {
                var reasons = plan
                    .Left.Take(MostReasons)
                    .Select(left => $"{left.Node} ({left.OpType}): {left.Reason}")
                    .DefaultIfEmpty("it has none");
                var more = plan.Left.Count > MostReasons ? $"; and {plan.Left.Count - MostReasons} more" : "";
                throw new QuantizationException(
                    $"no layer of the model can be quantized: {string.Join("; ", reasons)}{more}"
                );
            }

            var seen = Timed("calibration", () => Calibrator.Watch(model, plan, calibration, options.Progress));
            var ranges = Timed("ranges", () =>
                seen
                    .Histograms.AsParallel()
                    .ToDictionary(
                        pair => pair.Key,
                        pair => RangeEstimation.Of(pair.Value, options.Method),
                        StringComparer.Ordinal
                    )
            );
            IReadOnlyList<LayerSensitivity> sensitivity = options.MeasureSensitivity
                ? Timed("sensitivity", () => Sensitivity(plan, seen, ranges))
                : [];
            var kept = new List<LeftInFloat>();
            while (true)
            {
                var quantized = Quantized(plan, seen, ranges);
                var fidelity = Timed("verification", () => Verify(quantized));
                if (FidelityCheck.Miss(fidelity, options.Budget) is not { } missed)
                    return Write(
                        quantized,
                        fidelity,
                        [.. plan.Roles.Keys],
                        [.. plan.Left],
                        Values(plan, ranges, quantized),
                        sensitivity,
                        seen.Rows
                    );
                if (!options.FallBack)
                    throw new QuantizationException(
                        $"{missed}. No file was written. Let layers fall back to float32, or allow a larger loss "
                            + $"in the budget."
                    );
                if (sensitivity.Count == 0)
                    sensitivity = Timed("sensitivity", () => Sensitivity(plan, seen, ranges));
                // The layer that costs most on the output that misses the budget: in a model with several heads, each
                // has its own layers.
                var worst = sensitivity
                    .Where(layer => plan.Roles.ContainsKey(layer.Node))
                    .MinBy(layer => DecibelsOf(layer, missed.Output))!;
                keep[worst.Node] = FormattableString.Invariant(
                    $"fallback: {missed}; alone it leaves that output {DecibelsOf(worst, missed.Output):F1} dB"
                );
                plan = QuantizationPlan.Of(model, keep);
                if (!plan.Layers.Any())
                    throw new QuantizationException(
                        $"{missed}, and the budget could only be met with every layer in float32. No file was "
                            + $"written."
                    );
            }
        }

        /// <summary>Signal-to-noise ratio of one output with a single layer quantized.</summary>
        /// <param name="layer">Cost of quantizing the layer alone.</param>
        /// <param name="output">Name of the output.</param>
        private static double DecibelsOf(LayerSensitivity layer, string output) =>
            layer.Outputs.First(fidelity => fidelity.Name == output).Decibels;

        /// <summary>A copy of the model, quantized according to the plan.</summary>
        private OnnxGraph Quantized(
            QuantizationPlan plan,
            CalibrationResult seen,
            IReadOnlyDictionary<string, (double Low, double High)> ranges
        )
        {
            var copy = model.Copy();
            var scales = plan.Shared(ranges)
                .ToDictionary(
                    pair => pair.Key,
                    pair => AffineScale.Of(pair.Value.Low, pair.Value.High, isSigned),
                    StringComparer.Ordinal
                );
            new QdqRewriter(
                copy,
                plan,
                new Calibrated(scales, options.CorrectBiases ? seen.Means : null, weightBits)
            ).Rewrite();
            return copy;
        }

        /// <summary>Compares the result with the float model on the batches that decide.</summary>
        /// <param name="quantized">The model that would be written.</param>
        private Fidelity Verify(OnnxGraph quantized) => Compare(quantized, Verification, options.HeldOut is not null);

        /// <summary>Runs both models over batches and reports progress after each.</summary>
        private Fidelity Compare(OnnxGraph quantized, IEnumerable<QuantizationBatch> batches, bool heldOut)
        {
            using var runner = new ModelRunner(quantized);
            return check.Compare(runner, batches, heldOut, report: number =>
                options.Progress?.Report(new QuantizationProgress("verification", number, null))
            );
        }

        /// <summary>Measures the cost of each layer, quantized alone.</summary>
        private LayerSensitivity[] Sensitivity(
            QuantizationPlan plan,
            CalibrationResult seen,
            IReadOnlyDictionary<string, (double Low, double High)> ranges
        )
        {
            var layers = plan.Layers.ToArray();
            return
            [
                .. layers
                    .Select(
                        (layer, number) =>
                        {
                            var others = layers
                                .Where(other => other != layer)
                                .Select(other => other.Name)
                                .Concat(keep.Keys)
                                .Distinct(StringComparer.Ordinal)
                                .ToDictionary(name => name, _ => "", StringComparer.Ordinal);
                            using var runner = new ModelRunner(
                                Quantized(QuantizationPlan.Of(model, others), seen, ranges)
                            );
                            var fidelity = check.Compare(
                                runner,
                                Verification,
                                options.HeldOut is not null,
                                SensitivityRows
                            );
                            options.Progress?.Report(
                                new QuantizationProgress("sensitivity", number + 1, layers.Length)
                            );
                            return new LayerSensitivity(
                                layer.Name,
                                layer.OpType,
                                fidelity.Outputs.Min(result => result.Decibels),
                                fidelity.Agreement
                            )
                            {
                                Outputs = fidelity.Outputs,
                            };
                        }
                    )
                    .OrderBy(layer => layer.Decibels),
            ];
        }

        /// <summary>Compares each value with the float model, over one batch.</summary>
        private QuantizedValue[] Values(
            QuantizationPlan plan,
            IReadOnlyDictionary<string, (double Low, double High)> ranges,
            OnnxGraph quantized
        ) => Timed("verification", () =>
            {
                var names = plan
                    .Values.Values.Where(value => value.IsMadeInIntegers)
                    .Select(value => value.Name)
                    .ToArray();
                var noise = names.ToDictionary(name => name, _ => new Noise(), StringComparer.Ordinal);
                using (var reference = new ModelRunner(model, names))
                using (var runner = new ModelRunner(quantized, names))
                {
                    var batch = Verification.First();
                    using var expected = reference.Run(batch);
                    using var actual = runner.Run(batch);
                    foreach (var (a, b) in expected.Values().Zip(actual.Values()))
                        noise[a.Name].Add(a, b);
                }

                var shared = plan.Shared(ranges);
                return names
                    .Select(name =>
                    {
                        var scale = AffineScale.Of(shared[name].Low, shared[name].High, isSigned);
                        return new QuantizedValue(
                            name,
                            shared[name].Low,
                            shared[name].High,
                            scale.Scale,
                            scale.ZeroPoint,
                            noise[name].Decibels
                        );
                    })
                    .ToArray();
            });

        /// <summary>
        /// Builds the report and the metadata, then writes the file: under a temporary name, flushed, then renamed.
        /// </summary>
        private QuantizationReport Write(
            OnnxGraph result,
            Fidelity fidelity,
            IReadOnlyList<string> quantized,
            IReadOnlyList<LeftInFloat> left,
            IReadOnlyList<QuantizedValue> values,
            IReadOnlyList<LayerSensitivity> sensitivity,
            long rows
        )
        {
            var report = new QuantizationReport
            {
                Path = output,
                Mode = options.Mode,
                Method = options.Method,
                Activations = isSigned ? ActivationType.Int8 : ActivationType.UInt8,
                WeightBits = weightBits,
                CalibrationRows = rows,
                Quantized = quantized,
                LeftInFloat = left,
                Values = values,
                Sensitivity = sensitivity,
                Fidelity = fidelity,
                Test = options.Test is { } test ? Timed("test", () => Compare(result, test, true)) : null,
                FloatBytes = OnnxWriter.FileBytes(original),
                QuantizedBytes = OnnxWriter.FileBytes(result),
                Seconds = seconds,
            };
            var metadata = new Dictionary<string, string>(result.Metadata, StringComparer.Ordinal);
            var how =
                options.Mode == QuantizationMode.Int8
                    ? FormattableString.Invariant(
                        $" {options.Method} {report.Activations} weights of {weightBits} bits, {rows} rows"
                    )
                    : "";
            metadata[MetadataKey] = $"{options.Mode}{how}; {QuantizationReport.Describe(fidelity)}";
            foreach (var (key, value) in options.LateMetadata?.Invoke(report) ?? [])
                metadata[key] = value;
            try
            {
                using var file = new StagedModel(output, result, ModelRunner.LargestInMemory);
                file.Write(metadata);
                file.Commit();
                return report with { QuantizedBytes = file.FileBytes };
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
            {
                throw new QuantizationException($"{output} cannot be written: {error.Message}", error);
            }
        }

        /// <summary>
        /// Keeps layers in float32 whose weights or biases contain NaN or infinity: no scale can be chosen for them.
        /// </summary>
        private void KeepWhatIsNotFinite()
        {
            foreach (var node in QuantizationPlan.Of(model, keep).Layers.ToArray())
            {
                var tensors = node
                    .Inputs.Skip(1)
                    .Where(input => input.Length > 0)
                    .Select(input => model.Initializers[input]);
                if (tensors.Any(tensor => tensor.Floats().Any(value => !float.IsFinite(value))))
                    keep[node.Name] = "its weight or bias contains NaN or infinity";
            }
        }

        /// <summary>Keeps the layers that the options select: by name, the first, the last.</summary>
        /// <param name="path">Path of the model, for error messages.</param>
        private void KeepWhatIsAsked(string path)
        {
            var layers = QuantizationPlan.Of(model, keep).Layers.Select(layer => layer.Name).ToArray();
            foreach (var name in options.NodesInFloat)
            {
                if (original.Nodes.All(node => node.Name != name))
                    throw new QuantizationException(
                        $"{path} has no node '{name}' to keep in float32; its layers are {string.Join(", ", layers)}"
                    );
                keep[name] = "requested";
            }

            if (options.FirstLayerInFloat && layers.Length > 0)
                keep[layers[0]] = "the first layer, asked for";
            if (options.LastLayerInFloat && layers.Length > 0)
                keep[layers[^1]] = "the last layer, asked for";
        }

        /// <summary>Runs some work and adds its time to its phase.</summary>
        private T Timed<T>(string phase, Func<T> work)
        {
            var started = Stopwatch.GetTimestamp();
            var result = work();
            seconds[phase] = seconds.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(started).TotalSeconds;
            return result;
        }
    }
}
