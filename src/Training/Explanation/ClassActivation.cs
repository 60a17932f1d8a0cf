// What it does: shows where in a picture the evidence for a class is. The logit of class c is b_c + sum_f w_cf mean
// over positions of maps_f(y, x), so it is b_c plus the sum over positions of
//   map_c(y, x) = sum_f w_cf maps_f(y, x) / (h w)
// For networks whose linear layer directly follows the global pool this is an identity, not an estimate.
// Source: Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", equations 1 and 2.
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Explanation;

/// <summary>Where in a picture the evidence for a class is.</summary>
/// <param name="Values">Rows x columns contributions to the logit; their sum is the logit minus its bias.</param>
/// <param name="Rows">Height of the last feature maps.</param>
/// <param name="Columns">Width of the last feature maps.</param>
internal sealed record ClassActivation(float[] Values, int Rows, int Columns)
{
    /// <summary>Computes the maps of several pictures.</summary>
    /// <param name="model">The model, in eval mode.</param>
    /// <param name="pixels">[N, 3, H, W], float32, 0 to 255.</param>
    /// <param name="classes">The class for each picture's map.</param>
    /// <exception cref="UserException">There is no exact map for this network.</exception>
    public static IReadOnlyList<ClassActivation> Of(TrainedModel model, Tensor pixels, IReadOnlyList<int> classes)
    {
        RequireExact(model.Network);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (_, _, maps_NCHW) = new ExplainingClassifier(model.Classifier).forward(pixels);
        return
        [
            .. classes.Select(
                (label, i) =>
                    new ClassActivation(
                        maps_NCHW[i][label].contiguous().data<float>().ToArray(),
                        (int)maps_NCHW.shape[2],
                        (int)maps_NCHW.shape[3]
                    )
            ),
        ];
    }

    /// <summary>Refuses a network whose classifier has a hidden layer.</summary>
    /// <param name="network">The network; its last layer must directly follow the pool.</param>
    /// <exception cref="UserException">It does not, so the map would only be an estimate.</exception>
    public static void RequireExact(ImageNetwork network)
    {
        if (!network.IsLinearAfterPool)
            throw new UserException(
                $"{network.GetName()} has a hidden layer between its pool and its last layer, so a "
                    + "class-activation map would not add up to the logit. The maps are available for modern_cnn "
                    + "and the resnets."
            );
    }
}
