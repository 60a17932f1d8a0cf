// How weights are initialized. fan_in = in x kernel height x kernel width, fan_out = out x kernel height x kernel
// width.
//   Kaiming   keeps the variance of activations (fan_in) or gradients (fan_out) through ReLU layers: std sqrt(2 / fan)
//   Xavier    keeps both for symmetric activations: std sqrt(2 / (fan_in + fan_out))
//   orthogonal keeps norms: the matrix [out, in x kernel] has orthonormal rows or columns, times sqrt(2) for ReLU
//   LeCun     std sqrt(1 / fan_in), for SELU; PyTorch's nonlinearity='selu' (gain 3/4) is another
//   Dirac     output i passes channel i on, as far as there are input channels; the others are uniform within
//             sqrt(1 / fan_in), PyTorch's own start of convolutions
// Sources: He et al. 2015, "Delving Deep into Rectifiers", equations 10 and 14; Glorot & Bengio 2010, equations 12 and
// 16; Saxe et al. 2014, "Exact solutions"; Klambauer et al. 2017, "Self-Normalizing Neural Networks"; Zagoruyko &
// Komodakis 2017, "DiracNets", in the partial form of Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds", 3.3.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks;

/// <summary>Sets the weights of a new network.</summary>
internal static class WeightInitialization
{
    private const double ClassifierStd = 0.01;

    /// <summary>
    /// Initializes every convolution, norm and linear layer of a module from torch's random state.
    /// </summary>
    /// <param name="module">The module; changed in place.</param>
    /// <param name="kind">Initialization of the convolutions.</param>
    public static void Apply(nn.Module module, InitializationKind kind)
    {
        foreach (var layer in module.modules())
        {
            switch (layer)
            {
                case CastingConv2d conv:
                    Weight(conv.Weight, kind);
                    if (conv.Bias is { } bias)
                        nn.init.zeros_(bias);
                    break;
                case Linear linear:
                    nn.init.normal_(linear.weight, 0, ClassifierStd);
                    if (linear.bias is { } linearBias)
                        nn.init.zeros_(linearBias);
                    break;
                case BatchNorm2d norm:
                    nn.init.ones_(norm.weight);
                    nn.init.zeros_(norm.bias!);
                    break;
            }
        }
    }

    /// <summary>Initializes one weight [out, in, ...].</summary>
    /// <param name="weight">The weight; changed in place. Its fans follow from its shape.</param>
    /// <param name="kind">Kind of initialization.</param>
    public static void Weight(Tensor weight, InitializationKind kind)
    {
        switch (kind)
        {
            case InitializationKind.KaimingNormal:
                nn.init.kaiming_normal_(
                    weight,
                    mode: nn.init.FanInOut.FanOut,
                    nonlinearity: nn.init.NonlinearityType.ReLU
                );
                break;
            case InitializationKind.KaimingUniform:
                nn.init.kaiming_uniform_(
                    weight,
                    mode: nn.init.FanInOut.FanIn,
                    nonlinearity: nn.init.NonlinearityType.ReLU
                );
                break;
            case InitializationKind.XavierNormal:
                nn.init.xavier_normal_(weight);
                break;
            case InitializationKind.XavierUniform:
                nn.init.xavier_uniform_(weight);
                break;
            case InitializationKind.Orthogonal:
                nn.init.orthogonal_(weight, Math.Sqrt(2));
                break;
            case InitializationKind.LecunNormal:
                nn.init.normal_(weight, 0, 1 / Math.Sqrt(weight.numel() / weight.shape[0]));
                break;
            case InitializationKind.Dirac:
                var bound = 1 / Math.Sqrt(weight.numel() / weight.shape[0]);
                nn.init.uniform_(weight, -bound, bound);
                var passing = Math.Min(weight.shape[0], weight.shape[1]);
                nn.init.dirac_(weight.narrow(0, 0, passing));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown initialization");
        }
    }
}
