using Microsoft.ML;

namespace TorchBridge.Training.Estimators;

/// <summary>Options of <c>Trainers.TuneImages</c>.</summary>
public sealed record TuneImagesOptions
{
    /// <summary>Name of the picture column: file paths (text), encoded pictures (vectors of bytes), or MLImage.
    /// Default <c>ImagePath</c>.</summary>
    public string ImageColumn { get; init; } = "ImagePath";

    /// <summary>Name of the label column: text, or a key with names. With a key, <c>PredictedLabel</c> is a key of
    /// the same values, as ML.NET's evaluators require. Default <c>Label</c>.</summary>
    public string LabelColumn { get; init; } = "Label";

    /// <summary>The weights to start from: <c>imagenet</c>, the ResNet-18 that comes with the library, or the path of
    /// a safetensors file. Default <c>imagenet</c>.</summary>
    public string Weights { get; init; } = "imagenet";

    /// <summary>Whether the whole network is trained, which takes minutes, or only its classifier, which takes
    /// seconds. Default false.</summary>
    public bool TuneAll { get; init; }

    /// <summary>Number of passes over the training pictures, 1 to 100,000; null for the recipe's number.</summary>
    public int? Epochs { get; init; }

    /// <summary>Height and width to which pictures are resized, 32 to 512 pixels. Default 256.</summary>
    public int Size { get; init; } = 256;

    /// <summary>Whether pictures are downscaled with antialiasing. Such a model cannot be saved as a stock ML.NET
    /// zip. Default true.</summary>
    public bool Antialias { get; init; } = true;

    /// <summary>Share of the rows that is held out for validation if no validation data is given, above 0 and at most
    /// 0.5. Default 0.1.</summary>
    public double ValidationShare { get; init; } = 0.1;

    /// <summary>Seed for all random numbers. Default 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>The context whose <see cref="MLContext.Log"/> receives the progress of training; null for no
    /// log.</summary>
    public MLContext? Log { get; init; }

    /// <summary>Cancels training with an <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken Cancellation { get; init; }
}
