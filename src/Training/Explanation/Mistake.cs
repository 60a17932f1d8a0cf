using TorchBridge.Onnx.Compare;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Explanation;

/// <summary>A misclassified test picture.</summary>
/// <param name="Truth">The true class.</param>
/// <param name="Predicted">The predicted class.</param>
/// <param name="Confidence">Probability of the predicted class.</param>
/// <param name="Picture">The picture as the network sees it, as PNG.</param>
/// <param name="Overlay">The picture with the map of the predicted class, as PNG; null if the network has no exact
/// map.</param>
internal sealed record Mistake(string Truth, string Predicted, double Confidence, byte[] Picture, byte[]? Overlay)
{
    private const int Shown = 12;

    /// <summary>Finds the mistakes with the highest confidence.</summary>
    /// <param name="model">The model.</param>
    /// <param name="set">The test part.</param>
    /// <param name="evaluation">The evaluation of the test part.</param>
    /// <returns>A few mistakes, the highest confidence first, with the map of the predicted class if it is
    /// exact.</returns>
    public static IReadOnlyList<Mistake> Worst(TrainedModel model, PictureSet set, Evaluation evaluation)
    {
        var names = model.Settings.ClassNames;
        var probabilities = new double[names.Count];
        var wrong = new List<(int Index, int Predicted, double Confidence)>();
        for (var index = 0; index < set.Count; index++)
        {
            var logits = evaluation.Logits.AsSpan(index * names.Count, names.Count);
            var predicted = ArrayComparison.IndexOfLargest<float>(logits);
            if (predicted == set.Labels[index])
                continue;
            ArrayComparison.Softmax<float>(logits, probabilities);
            wrong.Add((index, predicted, probabilities[predicted]));
        }

        return
        [
            .. wrong
                .OrderByDescending(item => item.Confidence)
                .Take(Shown)
                .Select(item =>
                {
                    var planes = set.Picture(item.Index);
                    var map = model.Network.IsLinearAfterPool ? MapOf(model, planes, set, item.Predicted) : null;
                    return new Mistake(
                        names[set.Labels[item.Index]],
                        names[item.Predicted],
                        item.Confidence,
                        MapOverlay.Png(planes, set.Width, set.Height, null),
                        map is null ? null : MapOverlay.Png(planes, set.Width, set.Height, map)
                    );
                }),
        ];
    }

    /// <summary>The map of one class over one picture.</summary>
    /// <param name="model">The model, in eval mode.</param>
    /// <param name="planes">3 x height x width bytes.</param>
    /// <param name="set">The set, for height and width.</param>
    /// <param name="label">The class.</param>
    private static ClassActivation MapOf(TrainedModel model, ReadOnlySpan<byte> planes, PictureSet set, int label)
    {
        using var scope = NewDisposeScope();
        return ClassActivation.Of(
            model,
            tensor(planes.ToArray()).to(ScalarType.Float32).view(1, 3, set.Height, set.Width),
            [label]
        )[0];
    }
}
