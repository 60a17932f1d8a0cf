using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>What activations and convolutions are computed in while training.</summary>
internal enum Precision
{
    /// <summary>IEEE single.</summary>
    Float32,

    /// <summary>8 bits of mantissa; weights, norms, loss and optimizer stay float32.</summary>
    Bfloat16,
}

/// <summary>Where and how a run computes; stored with the model, so that a resumed run repeats it.</summary>
/// <param name="Precision">Of training; evaluation is always float32.</param>
/// <param name="Threads">Of libtorch.</param>
/// <param name="Device"><c>cpu</c>, <c>cuda</c> or <c>mps</c>.</param>
internal sealed record ComputeOptions(Precision Precision, int Threads, string Device)
{
    /// <summary>Float32 on the CPU, with the threads that libtorch has.</summary>
    public static ComputeOptions Default => new(Precision.Float32, get_num_threads(), "cpu");

    /// <summary>Whether the processor multiplies bfloat16 in hardware (AVX512_BF16 or AMX_BF16); elsewhere it would
    /// be slower than float32.</summary>
    public static bool HasBfloat16
    {
        get
        {
            if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < 7)
                return false;
            var (_, _, _, features) = X86Base.CpuId(7, 0);
            var (more, _, _, _) = X86Base.CpuId(7, 1);
            const int amxBfloat16 = 1 << 22,
                avx512Bfloat16 = 1 << 5;
            return Avx512F.IsSupported && ((features & amxBfloat16) != 0 || (more & avx512Bfloat16) != 0);
        }
    }

    /// <summary>The dtype of activations.</summary>
    public ScalarType Dtype => Precision == Precision.Bfloat16 ? ScalarType.BFloat16 : ScalarType.Float32;

    /// <summary>Reads <c>--precision</c>, <c>--threads</c> and <c>--device</c>.</summary>
    /// <param name="precision"><c>auto</c>, <c>float32</c> or <c>bfloat16</c>.</param>
    /// <param name="threads">Of libtorch; null for as many as it has.</param>
    /// <param name="device"><c>cpu</c>, or a device that this build of libtorch has.</param>
    /// <exception cref="UserException">The device is not there, or the precision is unknown.</exception>
    public static ComputeOptions Parse(string precision, int? threads, string device)
    {
        var chosen = precision switch
        {
            "auto" => device == "cpu" && HasBfloat16 ? Precision.Bfloat16 : Precision.Float32,
            "float32" => Precision.Float32,
            "bfloat16" => Precision.Bfloat16,
            _ => throw new UserException($"--precision is {precision}; allowed is auto, float32 or bfloat16."),
        };
        switch (device)
        {
            case "cpu":
                break;
            case "cuda" when !cuda.is_available():
                throw new UserException(
                    "--device cuda: this build has no CUDA. Build with "
                        + "-p:TorchPackage=TorchSharp-cuda-linux (or TorchSharp-cuda-windows) where that "
                        + "package and an NVIDIA driver are installed; it is not tested here."
                );
            case "mps" when !mps_is_available():
                throw new UserException(
                    "--device mps: this build of libtorch has no Metal, or this is no Apple machine. Use --device cpu."
                );
            case "cuda" or "mps":
                break;
            default:
                throw new UserException($"--device is {device}; allowed is cpu, cuda or mps.");
        }

        return new ComputeOptions(chosen, threads ?? get_num_threads(), device);
    }

    /// <summary>Sets libtorch's threads.</summary>
    public void Apply()
    {
        if (Threads != get_num_threads())
            set_num_threads(Threads);
    }
}
