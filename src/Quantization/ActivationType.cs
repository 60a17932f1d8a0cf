namespace TorchBridge.Quantization;

/// <summary>The integer type of values between layers; weights are int8 in any case.</summary>
public enum ActivationType
{
    /// <summary>What the processor at hand multiplies best: uint8 on x64, int8 on ARM.</summary>
    Auto,

    /// <summary>0 to 255.</summary>
    UInt8,

    /// <summary>-128 to 127.</summary>
    Int8,
}
