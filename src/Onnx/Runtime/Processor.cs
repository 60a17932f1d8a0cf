using System.Runtime.Intrinsics.X86;

namespace TorchBridge.Onnx.Runtime;

/// <summary>
/// What the processor at hand multiplies 8-bit integers with. It decides the integer type of activations and whether
/// weights need a spare bit.
/// </summary>
internal static class Processor
{
    private const int Avx512VnniBit = 1 << 11; // CPUID leaf 7, sub-leaf 0, ECX
    private const int AvxVnniBit = 1 << 4; // CPUID leaf 7, sub-leaf 1, EAX

    /// <summary>Whether it is x64, which has an instruction for uint8 times int8; ARM multiplies equal signs.</summary>
    public static bool IsX64 => X86Base.IsSupported;

    /// <summary>Whether uint8 times int8 adds two products in 16 bits, which may overflow: x64 without VNNI. Others
    /// add four in 32 bits.</summary>
    public static bool MayOverflow { get; } =
        IsX64 && (X86Base.CpuId(7, 0).Ecx & Avx512VnniBit) == 0 && (X86Base.CpuId(7, 1).Eax & AvxVnniBit) == 0;
}
