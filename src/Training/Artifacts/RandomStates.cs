// The state of libtorch's CPU generator, as returned by get_rng_state: 5,056 bytes, a C struct.
//   0 seed uint64 | 8 left int32 | 12 seeded int32 | 16 next uint64 | 24 state 624 x uint64 | 5016 three doubles |
//   5040 int32 | 5048 float, bool
// Source: pytorch, aten/src/ATen/CPUGeneratorImpl.cpp (CPUGeneratorImplState) and core/MT19937RNGEngine.h (is_valid).
using System.Buffers.Binary;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Artifacts;

/// <summary>Checks states of libtorch's random generator: TorchSharp does not check them, and an invalid one
/// terminates the process.</summary>
internal static class RandomStates
{
    private const int Length = 5056,
        Left = 8,
        Seeded = 12,
        Next = 16,
        Words = 24,
        Count = 624;

    /// <summary>Whether a tensor is a valid state of the generator.</summary>
    /// <param name="state">The state from a checkpoint.</param>
    /// <returns>Whether type, length and all bounded fields agree with the layout above.</returns>
    public static bool IsValid(Tensor state)
    {
        if (state.dtype != ScalarType.Byte || state.dim() != 1 || state.numel() != Length)
            return false;
        Span<byte> bytes = stackalloc byte[Length];
        state.bytes.CopyTo(bytes);
        if (BinaryPrimitives.ReadInt32LittleEndian(bytes[Left..]) is < 1 or > Count)
            return false;
        if (BinaryPrimitives.ReadInt32LittleEndian(bytes[Seeded..]) != 1)
            return false;
        if (BinaryPrimitives.ReadUInt64LittleEndian(bytes[Next..]) > Count)
            return false;
        for (var index = 0; index < Count; index++)
        {
            if (BinaryPrimitives.ReadUInt64LittleEndian(bytes[(Words + (8 * index))..]) > uint.MaxValue)
                return false;
        }

        return true;
    }
}
