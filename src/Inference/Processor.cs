using System.Runtime.Intrinsics.X86;

namespace TorchBridge.Inference;

/// <summary>What the processor at hand can do.</summary>
internal static class Processor
{
    private const int Avx512VnniBit = 1 << 11; // CPUID leaf 7, sub-leaf 0, ECX
    private const int AvxVnniBit = 1 << 4;     // CPUID leaf 7, sub-leaf 1, EAX

    /// <summary>Whether it multiplies uint8 by int8 only by adding two products in 16 bits, which may overflow: x64 without VNNI.</summary>
    public static bool MayOverflow { get; } = X86Base.IsSupported && (X86Base.CpuId(7, 0).Ecx & Avx512VnniBit) == 0 && (X86Base.CpuId(7, 1).Eax & AvxVnniBit) == 0;
}
