using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Preparation;

/// <summary>
/// Reads the model that is to be quantized, and brings it into the form that plans are made for. It computes the same
/// in that form.
/// </summary>
internal static class FloatModel
{
    /// <summary>Files of this version of the format and above tell tensors from inputs.</summary>
    private const int LeastIr = 4;

    /// <summary>Reads a model.</summary>
    /// <param name="path">The file; a data file that it names stands beside it.</param>
    /// <returns>A graph with at least one node, every tensor in memory.</returns>
    /// <exception cref="QuantizationException">It cannot be read, or is none that can be quantized.</exception>
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

    /// <summary>Refuses what is quantized already, and what is no legal model.</summary>
    /// <param name="model">The model that was read.</param>
    /// <param name="path">What to call it in an error.</param>
    /// <exception cref="QuantizationException">It is refused; the message says what to do.</exception>
    public static void Refuse(OnnxGraph model, string path)
    {
        OpsetConversion.Refuse(model, path);
        if (model.Nodes.FirstOrDefault(IsInteger) is { } integer)
            throw new QuantizationException(
                $"{path} is quantized already (node '{integer.Name}' is {integer.OpType}); start from the float32 model"
            );
        if (model.Metadata.ContainsKey(MetadataKeys.Quantization))
            throw new QuantizationException(
                $"{path} is quantized already: its weights are stored smaller. Start from the float32 model."
            );
        if (
            model.Nodes.GroupBy(node => node.Name, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is
            { } twice
        )
        {
            throw new QuantizationException(
                $"{path} is not a legal ONNX model: {twice.Count()} of its nodes are called "
                    + $"'{twice.Key}'. Give each a name of its own, or none."
            );
        }
    }

    /// <summary>A copy in the form that plans are made for; ONNX Runtime has loaded the model before.</summary>
    /// <param name="original">Is not changed.</param>
    /// <returns>Opset 13 or above, weights as tensors of the file, Gemm in one form, norms folded.</returns>
    public static OnnxGraph Prepare(OnnxGraph original)
    {
        var model = OpsetConversion.Apply(original);
        // Of files of version 3 every tensor is an input too, and stays constant nevertheless.
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
    /// Whether a node is one of a quantized model: QuantizeLinear, QLinearConv, MatMulInteger and their like.
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
