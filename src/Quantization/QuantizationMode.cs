namespace TorchBridge.Quantization;

/// <summary>What becomes of the weights, and of the values between the layers.</summary>
public enum QuantizationMode
{
    /// <summary>Weights and values in 8 bits, computed in integers: a quarter of the bytes, and several times the
    /// speed where the processor has VNNI or dot-product instructions.</summary>
    Int8,

    /// <summary>Weights stored in int8, everything computed in float32: a quarter of the bytes, no speed.</summary>
    WeightsInt8,

    /// <summary>Weights stored in float16, everything computed in float32: half the bytes, no speed.</summary>
    WeightsFloat16,
}
