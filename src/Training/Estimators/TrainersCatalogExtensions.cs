using Microsoft.ML;

namespace TorchBridge.Training.Estimators;

/// <summary>TorchBridge in ML.NET's catalog of trainers.</summary>
public static class TrainersCatalogExtensions
{
    /// <summary>
    /// Tunes a network that was trained on ImageNet to pictures of your own. Needs no TensorFlow and no download.
    /// </summary>
    /// <param name="trainers">The catalog of a context.</param>
    /// <param name="options">Columns, weights, what is trained; null for the defaults.</param>
    /// <returns>An estimator whose <c>Fit</c> trains; it adds <c>Score</c> and <c>PredictedLabel</c>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static TuneImagesEstimator TuneImages(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers trainers,
        TuneImagesOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(trainers);
        return new TuneImagesEstimator(options ?? new TuneImagesOptions());
    }
}
