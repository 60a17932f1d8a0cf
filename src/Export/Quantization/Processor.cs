using System.Runtime.Intrinsics.X86;

namespace TorchBridge.Export.Quantization;

/// <summary>What the processor at hand multiplies 8-bit integers with.</summary>
internal static class Processor
{
    private const int Avx512VnniBit = 1 << 11; // CPUID leaf 7, sub-leaf 0, ECX
    private const int AvxVnniBit = 1 << 4;     // CPUID leaf 7, sub-leaf 1, EAX

    /// <summary>Whether four products are added in 32 bits at once; without it x64 adds two in 16 bits, and uint8 x int8 may overflow.</summary>
    public static bool AddsWithoutOverflow { get; } = !X86Base.IsSupported || ((X86Base.CpuId(7, 0).Ecx & Avx512VnniBit) != 0) || ((X86Base.CpuId(7, 1).Eax & AvxVnniBit) != 0);

    /// <summary>uint8 values times int8 weights is what x64 has an instruction for; ARM multiplies equal signs.</summary>
    public static ActivationType Best => X86Base.IsSupported ? ActivationType.UInt8 : ActivationType.Int8;
}
