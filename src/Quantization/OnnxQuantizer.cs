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
/// Quantizes an ONNX file: its convolutions and matrix products then compute in 8-bit integers. Any float32 model of
/// opset 11 or above; TorchSharp is not needed. The result is compared with the float model before it is written.
/// </summary>
public static class OnnxQuantizer
{
    /// <summary>Metadata key of what was done.</summary>
    public const string MetadataKey = MetadataKeys.Quantization;

    /// <summary>Rows that a layer's own cost is measured on.</summary>
    private const int SensitivityRows = 128;

    /// <summary>Layers that a refusal names, of a model where none can be quantized.</summary>
    private const int MostReasons = 10;

    /// <summary>Quantizes a file.</summary>
    /// <param name="modelPath">The float32 model, of opset 11 or above; a data file that it names stands beside it.
    /// It is not changed.</param>
    /// <param name="calibrationBatches">A few hundred typical inputs, prepared as in serving. They are read again for
    /// verification where nothing is held out, so a sequence that can be read only once will not do. Weight-only
    /// modes do not calibrate, and verify with them.</param>
    /// <param name="outputPath">Where to write; a file that is there is replaced, once the new one holds.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <returns>What was quantized, how, and how well it holds.</returns>
    /// <exception cref="QuantizationException">The model or the batches do not fit, or the result misses the budget.
    /// No file is written.</exception>
    /// <exception cref="ArgumentNullException">One of the first three is null.</exception>
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
                    $"WeightBits is {bits}; allowed are 7 and 8, or null for what the processor needs"
                )
            );
        CheckPlace(outputPath);
        var original = FloatModel.Load(modelPath);
        FloatModel.Refuse(original, modelPath);
        // The runtime judges the file before anything here reads its operators.
        using var reference = new ModelRunner(modelPath, original.OutputNames);
        return new Run(modelPath, original, reference, calibrationBatches, outputPath, options).Do();
    }

    /// <summary>Refuses a place that cannot be written to before the work is done, not after it.</summary>
    /// <param name="path">Where the result goes.</param>
    private static void CheckPlace(string path)
    {
        if (string.IsNullOrWhiteSpace(path))
            throw new QuantizationException("the path to write to is empty");
        if (Directory.Exists(path))
            throw new QuantizationException($"{path} cannot be written: it is a folder; name a file");
        try
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(path));
            if (!Directory.Exists(folder))
                throw new QuantizationException($"{path} cannot be written: there is no folder {folder}");
        }
        catch (Exception error) when (error is ArgumentException or IOException or NotSupportedException)
        {
            throw new QuantizationException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>
    /// One quantization: what was given, what was decided so far, and how long each phase took.
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
        /// Prepares the model: the form that plans are made for, and the layers that stay in float32 before anything
        /// is measured.
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
        /// What the result is compared on: held-out batches, or those of calibration.
        /// </summary>
        private IEnumerable<QuantizationBatch> Verification => options.HeldOut ?? calibration;

        /// <summary>Quantizes, compares, and writes.</summary>
        public QuantizationReport Do() => options.Mode == QuantizationMode.Int8 ? InIntegers() : StoredSmaller();

        /// <summary>
        /// Weight-only: no calibration, no fallback. What misses the budget is refused.
        /// </summary>
        private QuantizationReport StoredSmaller()
        {
            var smaller = model.Copy();
            var tensors = WeightStorage.Apply(smaller, options.Mode);
            if (tensors.Count == 0)
                throw new QuantizationException(
                    "no weight of the model can be stored smaller: outside of subgraphs and functions none is "
                        + "of float32, finite, and of 256 elements or more"
                );
            var fidelity = Timed("verification", () => Verify(smaller));
            if (FidelityCheck.Miss(fidelity, options.Budget) is { } missed)
                throw new QuantizationException($"{missed}. No file was written.");
            return Write(smaller, fidelity, tensors, [], [], [], 0);
        }

        /// <summary>
        /// Static int8: plans, calibrates, and verifies; where an output misses the budget, the costliest layer goes
        /// back to float32 and it is tried again.
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
                        $"{missed}. No file was written. Let layers fall back to float32, or allow more."
                    );
                if (sensitivity.Count == 0)
                    sensitivity = Timed("sensitivity", () => Sensitivity(plan, seen, ranges));
                // The layer that costs the output that misses the budget most: of several heads each has layers of
                // its own.
                var worst = sensitivity
                    .Where(layer => plan.Roles.ContainsKey(layer.Node))
                    .MinBy(layer => DecibelsOf(layer, missed.Output))!;
                keep[worst.Node] = FormattableString.Invariant(
                    $"fallback: {missed}; alone it leaves that output {DecibelsOf(worst, missed.Output):F1} dB"
                );
                plan = QuantizationPlan.Of(model, keep);
                if (!plan.Layers.Any())
                    throw new QuantizationException(
                        $"{missed}, and only with every layer in float32 the budget would hold. No file was written."
                    );
            }
        }

        /// <summary>What one layer alone does to one output.</summary>
        /// <param name="layer">What quantizing it alone cost.</param>
        /// <param name="output">Which output.</param>
        private static double DecibelsOf(LayerSensitivity layer, string output) =>
            layer.Outputs.First(fidelity => fidelity.Name == output).Decibels;

        /// <summary>A copy of the model with a plan written into it.</summary>
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

        /// <summary>The result against the float model, on the batches that decide.</summary>
        /// <param name="quantized">The model that would be written.</param>
        private Fidelity Verify(OnnxGraph quantized) => Compare(quantized, Verification, options.HeldOut is not null);

        /// <summary>Runs both models over batches, reporting each.</summary>
        private Fidelity Compare(OnnxGraph quantized, IEnumerable<QuantizationBatch> batches, bool heldOut)
        {
            using var runner = new ModelRunner(quantized);
            return check.Compare(runner, batches, heldOut, report: number =>
                options.Progress?.Report(new QuantizationProgress("verification", number, null))
            );
        }

        /// <summary>Quantizes each layer alone.</summary>
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

        /// <summary>Each value against the float model, over one batch.</summary>
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
        /// Writes report and metadata, then the file: under a temporary name, flushed, renamed.
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
        /// Keeps layers in float32 whose weights or biases hold NaN or infinity: no scale can be chosen for them.
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
                    keep[node.Name] = "its weight or bias holds NaN or infinity";
            }
        }

        /// <summary>Keeps the layers that the options name: by name, the first, the last.</summary>
        /// <param name="path">The model, for an error.</param>
        private void KeepWhatIsAsked(string path)
        {
            var layers = QuantizationPlan.Of(model, keep).Layers.Select(layer => layer.Name).ToArray();
            foreach (var name in options.NodesInFloat)
            {
                if (original.Nodes.All(node => node.Name != name))
                    throw new QuantizationException(
                        $"{path} has no node '{name}' to keep in float32; its layers are {string.Join(", ", layers)}"
                    );
                keep[name] = "asked for";
            }

            if (options.FirstLayerInFloat && layers.Length > 0)
                keep[layers[0]] = "the first layer, asked for";
            if (options.LastLayerInFloat && layers.Length > 0)
                keep[layers[^1]] = "the last layer, asked for";
        }

        /// <summary>Does some work, and adds its time to its phase.</summary>
        private T Timed<T>(string phase, Func<T> work)
        {
            var started = Stopwatch.GetTimestamp();
            var result = work();
            seconds[phase] = seconds.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(started).TotalSeconds;
            return result;
        }
    }
}
