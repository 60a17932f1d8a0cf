// What it does: a layer's weights in int8, a scale an output channel, and its bias in int32 at the scale of the products.
//   scale_c = max |w_c| / 127 (or / 63 for 7 bits),  q = saturate(round_half_even(w / scale_c)),  zero_point = 0
//   bias_q  = round_half_even(b / (scale_x scale_c))
// Rounding moves the mean of each output channel by the sum of (w - w') E[x]; the bias takes that up where it is asked to.
// Sources: ONNX DequantizeLinear-13; Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction", section 4.2.
using System.Runtime.InteropServices;
using TorchBridge.Onnx.Proto;
using DataType = TorchBridge.Onnx.Proto.TensorProto.Types.DataType;

namespace TorchBridge.Export.Quantization;

/// <summary>The weights of a Conv, Gemm or MatMul, seen as channels: w[c, k].</summary>
internal sealed class LayerWeights
{
    private readonly TensorProto tensor;
    private readonly float[] values;
    private readonly float[]? bias;

    /// <summary>Reads a layer's weights.</summary>
    public LayerWeights(OnnxModel model, NodeProto layer)
    {
        tensor = model.Initializer(layer.Input[1])!;
        values = OnnxModel.Floats(tensor);
        bias = layer.Input.Count > 2 && layer.Input[2].Length > 0 ? OnnxModel.Floats(model.Initializer(layer.Input[2])!) : null;
        Axis = layer.OpType == "Conv" || (layer.OpType == "Gemm" && OnnxModel.Int(layer, "transB", 0) != 0) ? 0 : 1;
        Channels = (int)tensor.Dims[Axis];
        Groups = layer.OpType == "Conv" ? (int)OnnxModel.Int(layer, "group", 1) : 1;
        Scales = new float[Channels];
    }

    /// <summary>Axis of the output channels.</summary>
    public int Axis { get; }

    /// <summary>Output channels.</summary>
    public int Channels { get; }

    /// <summary>One scale a channel, once <see cref="Quantize"/> has run.</summary>
    public float[] Scales { get; }

    private int Groups { get; }

    private int PerChannel => values.Length / Channels;

    /// <summary>Weights of one input channel within an output channel: the window of a convolution.</summary>
    private int Window => Axis == 0 && tensor.Dims.Count > 2 ? (int)(PerChannel / tensor.Dims[1]) : 1;

    /// <summary>Quantizes weights and bias.</summary>
    /// <param name="inputScale">Scale of the layer's input.</param>
    /// <param name="bits">7 or 8.</param>
    /// <param name="inputMeans">Mean of each input channel, to correct the bias by; null to leave it.</param>
    /// <param name="name">Begin of the new tensors' names.</param>
    /// <returns>Weights, and the bias where there is one.</returns>
    public (TensorProto Weights, TensorProto? Bias) Quantize(float inputScale, int bits, double[]? inputMeans, string name)
    {
        var largest = bits == 8 ? 127 : 63;
        var integers = new sbyte[values.Length];
        var shifted = bias is null && inputMeans is null ? null : new double[Channels];
        for (var c = 0; c < Channels; c++)
        {
            var scale = Scales[c] = ScaleOf(c, inputScale, largest);
            double change = 0;
            for (var k = 0; k < PerChannel; k++)
            {
                var at = Axis == 0 ? (c * PerChannel) + k : (k * Channels) + c;
                var q = Math.Clamp((int)MathF.Round(values[at] / scale, MidpointRounding.ToEven), -largest, largest);
                integers[at] = (sbyte)q;
                if (inputMeans is not null) change += (values[at] - (q * (double)scale)) * inputMeans[InputChannel(c, k)];
            }

            if (shifted is not null) shifted[c] = (bias?[c] ?? 0) + change;
        }

        var weights = OnnxModel.Tensor($"{name}:int8", DataType.Int8, MemoryMarshal.AsBytes(integers.AsSpan()), [.. tensor.Dims]);
        if (shifted is null) return (weights, null);
        var biases = new int[Channels];
        for (var c = 0; c < Channels; c++) biases[c] = (int)Math.Clamp(Math.Round(shifted[c] / ((double)inputScale * Scales[c]), MidpointRounding.ToEven), int.MinValue, int.MaxValue);
        return (weights, OnnxModel.Tensor($"{name}.bias:int32", DataType.Int32, MemoryMarshal.AsBytes(biases.AsSpan()), Channels));
    }

    private float ScaleOf(int channel, float inputScale, int largest)
    {
        float most = 0;
        for (var k = 0; k < PerChannel; k++) most = Math.Max(most, Math.Abs(values[Axis == 0 ? (channel * PerChannel) + k : (k * Channels) + channel]));
        var scale = most / largest;
        // A large bias on tiny weights must fit into 32 bits, with room for what is added to it.
        if (bias is not null) scale = Math.Max(scale, (float)(Math.Abs(bias[channel]) / ((double)inputScale * (1 << 30))));
        return float.IsNormal(scale) ? scale : 1;
    }

    private int InputChannel(int channel, int k) => (channel / (Channels / Groups) * (PerChannel / Window)) + (k / Window);
}
