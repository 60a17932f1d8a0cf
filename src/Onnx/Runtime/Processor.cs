using System.Runtime.Intrinsics.X86;

namespace TorchBridge.Onnx.Runtime;

/// <summary>
/// Which instructions this machine's processor has for multiplying 8-bit integers. They determine the integer type of
/// activations, and whether weights need a spare bit.
/// </summary>
internal static class Processor
{
    private const int Avx512VnniBit = 1 << 11; // CPUID leaf 7, sub-leaf 0, ECX
    private const int AvxVnniBit = 1 << 4; // CPUID leaf 7, sub-leaf 1, EAX

    /// <summary>
    /// Whether the processor is x64, whose instruction multiplies uint8 by int8; ARM multiplies integers of equal
    /// signedness.
    /// </summary>
    public static bool IsX64 => X86Base.IsSupported;

    /// <summary>
    /// Whether multiplying uint8 by int8 adds two products in 16 bits, which may overflow. This is so on x64 without
    /// VNNI; other processors add four products in 32 bits.
    /// </summary>
    public static bool MayOverflow { get; } =
        IsX64 && (X86Base.CpuId(7, 0).Ecx & Avx512VnniBit) == 0 && (X86Base.CpuId(7, 1).Eax & AvxVnniBit) == 0;
}
