namespace TorchBridge.Quantization;

/// <summary>How weights are stored and how the model computes.</summary>
public enum QuantizationMode
{
    /// <summary>Weights and activations in 8 bits, computed in integers: a quarter of the size, and several times the
    /// speed on processors with VNNI or dot-product instructions.</summary>
    Int8,

    /// <summary>Weights stored in int8, everything computed in float32: a quarter of the size, the same
    /// speed.</summary>
    WeightsInt8,

    /// <summary>Weights stored in float16, everything computed in float32: half the size, the same speed.</summary>
    WeightsFloat16,
}
