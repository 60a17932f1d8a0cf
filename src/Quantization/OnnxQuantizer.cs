using System.Diagnostics;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;
using TorchBridge.Quantization.Calibration;
using TorchBridge.Quantization.Execution;
using TorchBridge.Quantization.Plan;
using TorchBridge.Quantization.Verification;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization;

/// <summary>
/// Quantizes an ONNX file: its convolutions and matrix products then compute in 8-bit integers. Any float32 model of opset 13 or above;
/// TorchSharp is not needed. The result is compared with the float model before it is written.
/// </summary>
public static class OnnxQuantizer
{
    /// <summary>Metadata key of what was done.</summary>
    public const string MetadataKey = MetadataKeys.Quantization;

    /// <summary>Per-channel weights came with opset 13.</summary>
    private const int LeastOpset = 13;

    /// <summary>Bytes of tensors above which they are written into a data file: protobuf ends at 2 GB.</summary>
    private const long ExternalDataThreshold = 1_800_000_000;

    /// <summary>Rows that a layer's own cost is measured on.</summary>
    private const int SensitivityRows = 128;

    /// <summary>Quantizes a file.</summary>
    /// <param name="modelPath">The float32 model, BatchNorm folded.</param>
    /// <param name="calibrationBatches">A few hundred typical inputs. Weight-only modes do not calibrate, and verify with them.</param>
    /// <param name="outputPath">Where to write; a file that is there is replaced, once the new one holds.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <returns>What was quantized, how, and how well it holds.</returns>
    /// <exception cref="QuantizationException">The model or the batches do not fit, or the result misses the budget. No file is written.</exception>
    public static QuantizationReport Quantize(string modelPath, IEnumerable<QuantizationBatch> calibrationBatches, string outputPath, QuantizationOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(modelPath);
        ArgumentNullException.ThrowIfNull(calibrationBatches);
        ArgumentException.ThrowIfNullOrWhiteSpace(outputPath);
        return new Run(modelPath, calibrationBatches, outputPath, options ?? new QuantizationOptions()).Do();
    }

    /// <summary>One quantization.</summary>
    private sealed class Run
    {
        private readonly OnnxGraph original;
        private readonly OnnxGraph model;
        private readonly IEnumerable<QuantizationBatch> calibration;
        private readonly string output;
        private readonly QuantizationOptions options;
        private readonly bool isSigned;
        private readonly int weightBits;
        private readonly Dictionary<string, double> seconds = new(StringComparer.Ordinal);
        private readonly Dictionary<string, string> keep = new(StringComparer.Ordinal);

        public Run(string path, IEnumerable<QuantizationBatch> calibration, string output, QuantizationOptions options)
        {
            (this.calibration, this.output, this.options) = (calibration, output, options);
            original = Load(path);
            Refuse(original, path, options);
            if (options.WeightBits is { } bits and not (7 or 8)) throw new QuantizationException(FormattableString.Invariant($"WeightBits is {bits}; allowed are 7 and 8, or null for what the processor needs"));
            weightBits = options.WeightBits ?? (Processor.MayOverflow ? 7 : 8);
            isSigned = options.Activations == ActivationType.Int8 || (options.Activations == ActivationType.Auto && !Processor.IsX64);
            model = original.Copy();
            NanGuards.Remove(model);
            if (options.EqualizeRanges) RangeEqualization.Apply(model);
            KeepWhatIsAsked(path);
        }

        private IEnumerable<QuantizationBatch> Verification => options.HeldOut ?? calibration;

        public QuantizationReport Do()
        {
            using var reference = new ModelRunner(original);
            return options.Mode == QuantizationMode.Int8 ? InIntegers(reference) : StoredSmaller(reference);
        }

        private QuantizationReport StoredSmaller(ModelRunner reference)
        {
            var smaller = model.Copy();
            var tensors = WeightStorage.Apply(smaller, options.Mode);
            if (tensors.Count == 0) throw new QuantizationException("no weight of the model can be stored smaller");
            var fidelity = Timed("verification", () => Verify(reference, smaller));
            if (FidelityCheck.Miss(fidelity, options.Budget) is { } missed) throw new QuantizationException($"{missed}. No file was written.");
            return Write(reference, smaller, fidelity, tensors, [], [], [], 0);
        }

        private QuantizationReport InIntegers(ModelRunner reference)
        {
            var plan = QuantizationPlan.Of(model, keep);
            if (plan.Values.Count == 0) throw new QuantizationException($"no layer of the model can be quantized: {string.Join("; ", plan.Left.Select(left => $"{left.Node} ({left.OpType}): {left.Reason}").DefaultIfEmpty("it has none"))}");
            var seen = Timed("calibration", () => Calibrator.Watch(model, plan, calibration, options.Progress));
            var ranges = Timed("ranges", () => seen.Histograms.AsParallel().ToDictionary(pair => pair.Key, pair => RangeEstimation.Of(pair.Value, options.Method), StringComparer.Ordinal));
            IReadOnlyList<LayerSensitivity> sensitivity = options.MeasureSensitivity ? Timed("sensitivity", () => Sensitivity(reference, plan, seen, ranges)) : [];
            var kept = new List<LeftInFloat>();
            while (true)
            {
                var quantized = Quantized(plan, seen, ranges);
                var fidelity = Timed("verification", () => Verify(reference, quantized));
                if (FidelityCheck.Miss(fidelity, options.Budget) is not { } missed)
                    return Write(reference, quantized, fidelity, [.. plan.Roles.Keys], [.. plan.Left], Values(plan, ranges, quantized), sensitivity, seen.Rows);
                if (!options.FallBack) throw new QuantizationException($"{missed}. No file was written. Let layers fall back to float32, or allow more.");
                if (sensitivity.Count == 0) sensitivity = Timed("sensitivity", () => Sensitivity(reference, plan, seen, ranges));
                var worst = sensitivity.First(layer => plan.Roles.ContainsKey(layer.Node));
                keep[worst.Node] = FormattableString.Invariant($"fallback: {missed}; alone it costs {worst.Decibels:F1} dB");
                plan = QuantizationPlan.Of(model, keep);
                if (!plan.Layers.Any()) throw new QuantizationException($"{missed}, and only with every layer in float32 the budget would hold. No file was written.");
            }
        }

        private OnnxGraph Quantized(QuantizationPlan plan, CalibrationResult seen, IReadOnlyDictionary<string, (double Low, double High)> ranges)
        {
            var copy = model.Copy();
            var scales = plan.Shared(ranges).ToDictionary(pair => pair.Key, pair => AffineScale.Of(pair.Value.Low, pair.Value.High, isSigned), StringComparer.Ordinal);
            new QdqRewriter(copy, plan, new Calibrated(scales, options.CorrectBiases ? seen.Means : null, weightBits)).Rewrite();
            return copy;
        }

        private Fidelity Verify(ModelRunner reference, OnnxGraph quantized) => Compare(reference, quantized, Verification, options.HeldOut is not null);

        private Fidelity Compare(ModelRunner reference, OnnxGraph quantized, IEnumerable<QuantizationBatch> batches, bool heldOut)
        {
            using var runner = new ModelRunner(quantized);
            return FidelityCheck.Compare(reference, runner, batches, heldOut, report: number => options.Progress?.Report(new QuantizationProgress("verification", number, null)));
        }

        /// <summary>Quantizes each layer alone.</summary>
        private LayerSensitivity[] Sensitivity(ModelRunner reference, QuantizationPlan plan, CalibrationResult seen, IReadOnlyDictionary<string, (double Low, double High)> ranges)
        {
            var layers = plan.Layers.ToArray();
            return [.. layers.Select((layer, number) =>
            {
                var others = layers.Where(other => other != layer).Select(other => other.Name).Concat(keep.Keys).Distinct(StringComparer.Ordinal).ToDictionary(name => name, _ => "", StringComparer.Ordinal);
                using var runner = new ModelRunner(Quantized(QuantizationPlan.Of(model, others), seen, ranges));
                var fidelity = FidelityCheck.Compare(reference, runner, Verification, options.HeldOut is not null, SensitivityRows);
                options.Progress?.Report(new QuantizationProgress("sensitivity", number + 1, layers.Length));
                return new LayerSensitivity(layer.Name, layer.OpType, fidelity.Outputs[0].Decibels, fidelity.Agreement);
            }).OrderBy(layer => layer.Decibels)];
        }

        /// <summary>Each value against the float model, over one batch.</summary>
        private QuantizedValue[] Values(QuantizationPlan plan, IReadOnlyDictionary<string, (double Low, double High)> ranges, OnnxGraph quantized) => Timed("verification", () =>
        {
            var names = plan.Values.Values.Where(value => value.IsMadeInIntegers).Select(value => value.Name).ToArray();
            var noise = names.ToDictionary(name => name, _ => new Noise(), StringComparer.Ordinal);
            using (var reference = new ModelRunner(model, names))
            using (var runner = new ModelRunner(quantized, names))
            {
                var batch = Verification.First();
                using var expected = reference.Run(batch);
                using var actual = runner.Run(batch);
                foreach (var (a, b) in expected.Floats().Zip(actual.Floats())) noise[a.Name].Add<float>(a.Tensor.Buffer.Span, b.Tensor.Buffer.Span);
            }

            var shared = plan.Shared(ranges);
            return names.Select(name =>
            {
                var scale = AffineScale.Of(shared[name].Low, shared[name].High, isSigned);
                return new QuantizedValue(name, shared[name].Low, shared[name].High, scale.Scale, scale.ZeroPoint, noise[name].Decibels);
            }).ToArray();
        });

        private QuantizationReport Write(ModelRunner reference, OnnxGraph result, Fidelity fidelity, IReadOnlyList<string> quantized, IReadOnlyList<LeftInFloat> left, IReadOnlyList<QuantizedValue> values, IReadOnlyList<LayerSensitivity> sensitivity, long rows)
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
                Test = options.Test is { } test ? Timed("test", () => Compare(reference, result, test, true)) : null,
                FloatBytes = OnnxWriter.ToProto(original).CalculateSize(),
                QuantizedBytes = OnnxWriter.ToProto(result).CalculateSize(),
                Seconds = seconds,
            };
            var metadata = new Dictionary<string, string>(result.Metadata, StringComparer.Ordinal);
            var how = options.Mode == QuantizationMode.Int8 ? FormattableString.Invariant($" {options.Method} {report.Activations} weights of {weightBits} bits, {rows} rows") : "";
            metadata[MetadataKey] = $"{options.Mode}{how}; {QuantizationReport.Describe(fidelity)}";
            foreach (var (key, value) in options.LateMetadata?.Invoke(report) ?? []) metadata[key] = value;
            try
            {
                using var file = new StagedModel(output, result, ExternalDataThreshold);
                file.Write(metadata);
                file.Commit();
                return report with { QuantizedBytes = file.FileBytes };
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
            {
                throw new QuantizationException($"{output} cannot be written: {error.Message}", error);
            }
        }

        private void KeepWhatIsAsked(string path)
        {
            var layers = QuantizationPlan.Of(model, keep).Layers.Select(layer => layer.Name).ToArray();
            foreach (var name in options.NodesInFloat)
            {
                if (model.Nodes.All(node => node.Name != name)) throw new QuantizationException($"{path} has no node '{name}' to keep in float32; its layers are {string.Join(", ", layers)}");
                keep[name] = "asked for";
            }

            if (options.FirstLayerInFloat && layers.Length > 0) keep[layers[0]] = "the first layer, asked for";
            if (options.LastLayerInFloat && layers.Length > 0) keep[layers[^1]] = "the last layer, asked for";
        }

        private static OnnxGraph Load(string path)
        {
            try
            {
                var graph = OnnxReader.Read(path);
                return graph.Nodes.Count > 0 ? graph : throw new QuantizationException($"{path} is not an ONNX model: it holds no graph");
            }
            catch (InvalidDataException error)
            {
                throw new QuantizationException(error.Message, error);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new QuantizationException($"{path} cannot be read: {error.Message}", error);
            }
        }

        private static void Refuse(OnnxGraph model, string path, QuantizationOptions options)
        {
            if (model.Opset < LeastOpset) throw new QuantizationException(FormattableString.Invariant($"{path} has opset {model.Opset}; a scale for each channel needs {LeastOpset} or above. Export it anew: ours writes 17 to 21."));
            if (model.Nodes.FirstOrDefault(node => node.OpType is "QuantizeLinear" or "DequantizeLinear" or "DynamicQuantizeLinear" || node.OpType.StartsWith("QLinear", StringComparison.Ordinal) || node.OpType.EndsWith("Integer", StringComparison.Ordinal)) is { } integer)
                throw new QuantizationException($"{path} is quantized already (node '{integer.Name}' is {integer.OpType}); start from the float32 model");
            if (model.Metadata.ContainsKey(MetadataKey)) throw new QuantizationException($"{path} is quantized already: its weights are stored smaller. Start from the float32 model.");
            if (model.Nodes.GroupBy(node => node.Name, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
                throw new QuantizationException($"{path} is not a legal ONNX model: {twice.Count()} of its nodes are called '{twice.Key}'. Give each a name of its own, or none.");
            var index = model.Index();
            foreach (var norm in model.Nodes.Where(node => node.OpType == "BatchNormalization"))
            {
                if (index.Producer(norm.Inputs[0]) is { OpType: "Conv" or "ConvTranspose" or "Gemm" } layer && !options.NodesInFloat.Contains(layer.Name))
                    throw new QuantizationException($"{path}: BatchNormalization '{norm.Name}' stands unfolded behind {layer.OpType} '{layer.Name}'; between them values could not stay in integers. Export with FoldBatchNorm = true; or keep that layer in float32 (NodesInFloat).");
            }
        }

        private T Timed<T>(string phase, Func<T> work)
        {
            var started = Stopwatch.GetTimestamp();
            var result = work();
            seconds[phase] = seconds.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(started).TotalSeconds;
            return result;
        }
    }
}
