using Microsoft.ML;

namespace TorchBridge.Training.Estimators;

/// <summary>Adds TorchBridge's trainer to ML.NET's catalog of multiclass trainers.</summary>
public static class TrainersCatalogExtensions
{
    /// <summary>
    /// Creates a trainer that fine-tunes a network pretrained on ImageNet to your own pictures. It needs neither
    /// TensorFlow nor a download.
    /// </summary>
    /// <param name="trainers">The catalog of a context.</param>
    /// <param name="options">Columns, weights and training options; null for the defaults.</param>
    /// <returns>An estimator that trains when <c>Fit</c> is called; the trained model adds the columns <c>Score</c>
    /// and <c>PredictedLabel</c>.</returns>
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
