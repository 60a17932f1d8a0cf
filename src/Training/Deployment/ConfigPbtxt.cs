// What it does: writes a complete config.pbtxt, so that Triton accepts it with --disable-auto-complete-config: values
// that Triton would complete by itself differ from the model's (a batch limit of 4). Field names: model_config.proto of
// triton-inference-server/common.
using System.Globalization;
using System.Text;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Training.Deployment;

/// <summary>The configuration of a model in a Triton repository.</summary>
internal static class ConfigPbtxt
{
    /// <summary>Name of the labels file, beside the configuration.</summary>
    public const string Labels = "labels.txt";

    private const int MaxBatchSize = 32;
    private const int QueueSize = 128;

    /// <summary>Creates the configuration.</summary>
    /// <param name="name">Name of the model: the name of its folder.</param>
    /// <param name="graph">The model.</param>
    /// <exception cref="UserException">An input or output has a type that Triton does not support.</exception>
    public static string Of(string name, OnnxGraph graph)
    {
        ValueInfo[] inputs = [.. graph.Inputs.Where(input => !graph.Initializers.ContainsKey(input.Name))];
        // Triton accepts a batch limit only if axis 0 of every input and output is free.
        var isBatched = inputs.Concat(graph.Outputs).All(value => value.Dims is [string, ..]);
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"name: {Quoted(name)}\nbackend: \"onnxruntime\"\nmax_batch_size: {(isBatched ? MaxBatchSize : 0)}\n"
        );
        foreach (var input in inputs)
            Append(text, "input", input, isBatched, null);
        foreach (var output in graph.Outputs)
            Append(text, "output", output, isBatched, HasLabels(graph, output) ? Labels : null);
        text.Append("version_policy { latest { num_versions: 1 } }\n");
        text.Append("instance_group [ { count: 1 kind: KIND_CPU } ]\n");
        // Requests that wait while a batch runs form the next batch; if the queue is full, requests are rejected
        // immediately.
        if (isBatched)
            text.Append(
                CultureInfo.InvariantCulture,
                $"dynamic_batching {{ default_queue_policy {{ max_queue_size: {QueueSize} }} }}\n"
            );
        text.Append(
            CultureInfo.InvariantCulture,
            $"model_warmup [ {{ name: \"zeros\" batch_size: {(isBatched ? 1 : 0)}"
        );
        foreach (var input in inputs)
            text.Append(
                CultureInfo.InvariantCulture,
                $"\n  inputs {{ key: {Quoted(input.Name)} value {{ data_type: {TypeOf(input)} dims: [ "
                    + $"{string.Join(", ", DimsOf(input, isBatched, free: 1))} ] zero_data: true }} }}"
            );
        return text.Append(" } ]\n").ToString();
    }

    /// <summary>Writes an input or an output.</summary>
    /// <param name="text">Receives the text.</param>
    /// <param name="kind"><c>input</c> or <c>output</c>.</param>
    /// <param name="value">Its name, type and axes.</param>
    /// <param name="isBatched">Whether axis 0 is the batch, which the configuration then omits.</param>
    /// <param name="labels">The labels file of an output; null for none.</param>
    private static void Append(StringBuilder text, string kind, ValueInfo value, bool isBatched, string? labels)
    {
        var dims = DimsOf(value, isBatched, free: -1);
        text.Append(
            CultureInfo.InvariantCulture,
            $"{kind} [ {{ name: {Quoted(value.Name)} data_type: {TypeOf(value)} "
        );
        // A list of axes must not be empty, so one number per row is [1], reshaped to no axes.
        text.Append(dims.Length == 0 ? "dims: [ 1 ] reshape { shape: [ ] }" : $"dims: [ {string.Join(", ", dims)} ]");
        if (labels is not null)
            text.Append(CultureInfo.InvariantCulture, $" label_filename: {Quoted(labels)}");
        text.Append(" } ]\n");
    }

    /// <summary>Whether an output's columns are the model's classes.</summary>
    /// <param name="graph">The model, with its metadata.</param>
    /// <param name="output">One of its outputs.</param>
    private static bool HasLabels(OnnxGraph graph, ValueInfo output) =>
        graph.Metadata.ContainsKey(MetadataKeys.ClassNames)
        && output.Name is ModelNames.Logits or ModelNames.Probabilities;

    /// <summary>Sizes of the axes in Triton's format.</summary>
    /// <param name="value">An input or an output.</param>
    /// <param name="isBatched">Whether the first axis is omitted.</param>
    /// <param name="free">The value for free sizes.</param>
    private static long[] DimsOf(ValueInfo value, bool isBatched, long free) =>
        [.. value.Dims.Skip(isBatched ? 1 : 0).Select(axis => axis is long size ? size : free)];

    /// <summary>Triton's name of an element type.</summary>
    /// <param name="value">An input or an output.</param>
    /// <exception cref="UserException">Triton has no such type.</exception>
    private static string TypeOf(ValueInfo value) =>
        value.Type switch
        {
            ElementType.Float32 => "TYPE_FP32",
            ElementType.Float64 => "TYPE_FP64",
            ElementType.Float16 => "TYPE_FP16",
            ElementType.BFloat16 => "TYPE_BF16",
            ElementType.UInt8 => "TYPE_UINT8",
            ElementType.UInt16 => "TYPE_UINT16",
            ElementType.UInt32 => "TYPE_UINT32",
            ElementType.UInt64 => "TYPE_UINT64",
            ElementType.Int8 => "TYPE_INT8",
            ElementType.Int16 => "TYPE_INT16",
            ElementType.Int32 => "TYPE_INT32",
            ElementType.Int64 => "TYPE_INT64",
            ElementType.Bool => "TYPE_BOOL",
            ElementType.Text => "TYPE_STRING",
            _ => throw new UserException($"'{value.Name}' has type {value.Type}, which Triton does not support."),
        };

    /// <summary>Quotes a string for protobuf's text format.</summary>
    /// <param name="text">Any text.</param>
    private static string Quoted(string text)
    {
        var escaped = text.Replace(@"\", @"\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", @"\n", StringComparison.Ordinal);
        return $"\"{escaped}\"";
    }
}
