// The lesson's initialization:
//   convolutions  normal with std sqrt(2 / fan_out), fan_out = out x kernel height x kernel width (Kaiming normal, ReLU); biases 0
//   norms         weight 1, bias 0
//   linear        normal with std 0.01; bias 0
// Source: He et al. 2015, "Delving Deep into Rectifiers", equation 14.
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Initialization;

/// <summary>Sets the weights of a new network.</summary>
internal static class LessonInitialization
{
    /// <summary>Initializes every convolution, norm and linear layer of a module.</summary>
    public static void Apply(nn.Module module)
    {
        foreach (var layer in module.modules())
        {
            switch (layer)
            {
                case Conv2d conv:
                    nn.init.kaiming_normal_(conv.weight, mode: nn.init.FanInOut.FanOut, nonlinearity: nn.init.NonlinearityType.ReLU);
                    if (conv.bias is { } bias) nn.init.zeros_(bias);
                    break;
                case Linear linear:
                    nn.init.normal_(linear.weight, 0, 0.01);
                    if (linear.bias is { } linearBias) nn.init.zeros_(linearBias);
                    break;
                case BatchNorm2d norm:
                    nn.init.ones_(norm.weight);
                    nn.init.zeros_(norm.bias!);
                    break;
            }
        }
    }
}
