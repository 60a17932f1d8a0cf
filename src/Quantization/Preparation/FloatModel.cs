using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Preparation;

/// <summary>
/// Reads the model to be quantized and brings it into the form that is planned, which computes the same results.
/// </summary>
internal static class FloatModel
{
    /// <summary>First IR version in which initializers need not be inputs.</summary>
    private const int LeastIr = 4;

    /// <summary>Reads a model.</summary>
    /// <param name="path">The file; an external data file is expected next to it.</param>
    /// <returns>A graph with at least one node and every tensor in memory.</returns>
    /// <exception cref="QuantizationException">The file cannot be read, or the model cannot be quantized.</exception>
    public static OnnxGraph Load(string path)
    {
        try
        {
            var graph = OnnxReader.Read(path);
            return graph.Nodes.Count > 0
                ? graph
                : throw new QuantizationException($"{path} has no nodes: there is nothing to quantize");
        }
        catch (InvalidDataException error)
        {
            throw new QuantizationException(error.Message, error);
        }
        catch (Exception error)
            when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new QuantizationException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Refuses models that are already quantized and invalid models.</summary>
    /// <param name="model">The model that was read.</param>
    /// <param name="path">Path of the model, for error messages.</param>
    /// <exception cref="QuantizationException">The model is refused; the message says what to do.</exception>
    public static void Refuse(OnnxGraph model, string path)
    {
        OpsetConversion.Refuse(model, path);
        if (model.Nodes.FirstOrDefault(IsInteger) is { } integer)
            throw new QuantizationException(
                $"{path} is already quantized (node '{integer.Name}' is {integer.OpType}); start from the "
                    + $"float32 model"
            );
        if (model.Metadata.ContainsKey(MetadataKeys.Quantization))
            throw new QuantizationException(
                $"{path} is already quantized: its weights are compressed. Start from the float32 model."
            );
        if (
            model.Nodes.GroupBy(node => node.Name, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is
            { } twice
        )
        {
            throw new QuantizationException(
                $"{path} is not a valid ONNX model: {twice.Count()} of its nodes are called '{twice.Key}'. Give "
                    + $"each node a unique name, or none."
            );
        }
    }

    /// <summary>Copies the model into the form that is planned; ONNX Runtime has loaded the model before.</summary>
    /// <param name="original">The model, which is not changed.</param>
    /// <returns>A model of opset 13 or later with weights as initializers, Gemm nodes in one form and norms
    /// folded.</returns>
    public static OnnxGraph Prepare(OnnxGraph original)
    {
        var model = OpsetConversion.Apply(original);
        // In IR version 3 every initializer is an input too; it stays constant nevertheless.
        if (model.Rest is { IrVersion: < LeastIr })
        {
            model = model.Copy(model.Opset, LeastIr);
            model.Inputs.RemoveAll(input => model.Initializers.ContainsKey(input.Name));
        }

        ConstantWeights.Apply(model);
        GemmForm.Apply(model);
        BatchNormFolding.Apply(model);
        return model;
    }

    /// <summary>
    /// Whether a node belongs to a quantized model: QuantizeLinear, QLinearConv, MatMulInteger and the like.
    /// </summary>
    /// <param name="node">Any node.</param>
    private static bool IsInteger(OnnxNode node) =>
        !node.IsFunction
        && (
            node.OpType is "QuantizeLinear" or "DequantizeLinear" or "DynamicQuantizeLinear"
            || node.OpType.StartsWith("QLinear", StringComparison.Ordinal)
            || node.OpType.EndsWith("Integer", StringComparison.Ordinal)
        );
}
