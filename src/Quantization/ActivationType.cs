namespace TorchBridge.Quantization;

/// <summary>The integer type of the activations between layers; weights are always int8.</summary>
public enum ActivationType
{
    /// <summary>The type that this machine's processor multiplies fastest: uint8 on x64, int8 on ARM.</summary>
    Auto,

    /// <summary>0 to 255.</summary>
    UInt8,

    /// <summary>-128 to 127.</summary>
    Int8,
}
