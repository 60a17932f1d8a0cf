using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Precision of activations and convolutions in training.</summary>
internal enum Precision
{
    /// <summary>IEEE single precision.</summary>
    Float32,

    /// <summary>8 bits of mantissa; weights, norms, loss and optimizer stay float32.</summary>
    Bfloat16,
}

/// <summary>The precision, threads and device of a run; stored with the model, so that a resumed run uses the
/// same.</summary>
/// <param name="Precision">Precision of training; evaluation is always float32.</param>
/// <param name="Threads">Number of libtorch threads.</param>
/// <param name="Device"><c>cpu</c>, <c>cuda</c> or <c>mps</c>.</param>
internal sealed record ComputeOptions(Precision Precision, int Threads, string Device)
{
    /// <summary>Float32 on the CPU, with libtorch's default number of threads.</summary>
    public static ComputeOptions Default => new(Precision.Float32, get_num_threads(), "cpu");

    /// <summary>Whether the processor multiplies bfloat16 in hardware (AVX512_BF16 or AMX_BF16); otherwise it would
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
    /// <param name="threads">Number of libtorch threads; null for its default.</param>
    /// <param name="device"><c>cpu</c>, or a device that this build of libtorch supports.</param>
    /// <exception cref="UserException">The device is not available, or the precision is unknown.</exception>
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
                    "--device cuda: this build does not support CUDA. Build with "
                        + "-p:TorchPackage=TorchSharp-cuda-linux (or TorchSharp-cuda-windows) on a machine where "
                        + "that package and an NVIDIA driver are installed. CUDA has not been tested."
                );
            case "mps" when !mps_is_available():
                throw new UserException(
                    "--device mps: this build of libtorch does not support Metal, or this is not an Apple "
                        + "machine. Use --device cpu."
                );
            case "cuda" or "mps":
                break;
            default:
                throw new UserException($"--device is {device}; allowed is cpu, cuda or mps.");
        }

        return new ComputeOptions(chosen, threads ?? get_num_threads(), device);
    }

    /// <summary>Sets the number of libtorch threads.</summary>
    public void Apply()
    {
        if (Threads != get_num_threads())
            set_num_threads(Threads);
    }
}
