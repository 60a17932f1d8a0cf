using Microsoft.ML;

namespace TorchBridge.Training.Estimators;

/// <summary>What <c>Trainers.TuneImages</c> trains, and on what.</summary>
public sealed record TuneImagesOptions
{
    /// <summary>The column of pictures: paths of files (text), encoded pictures (vectors of bytes), or MLImage.
    /// Default <c>ImagePath</c>.</summary>
    public string ImageColumn { get; init; } = "ImagePath";

    /// <summary>The column of classes: text, or a key with names. With a key, <c>PredictedLabel</c> is a key of the
    /// same values, as evaluators take it. Default <c>Label</c>.</summary>
    public string LabelColumn { get; init; } = "Label";

    /// <summary>What the network starts from: <c>imagenet</c>, the ResNet-18 that comes with the library, or a
    /// safetensors file. Default <c>imagenet</c>.</summary>
    public string Weights { get; init; } = "imagenet";

    /// <summary>Whether all of the network is trained, in minutes, or its classifier alone, in seconds. Default
    /// false.</summary>
    public bool TuneAll { get; init; }

    /// <summary>Passes over the training pictures, 1 to 100,000; null for the recipe's number.</summary>
    public int? Epochs { get; init; }

    /// <summary>Height and width that pictures are read at, 32 to 512 pixels. Default 256.</summary>
    public int Size { get; init; } = 256;

    /// <summary>Whether every pixel counts when pictures are made smaller. Such a model cannot be saved as a stock
    /// ML.NET zip. Default true.</summary>
    public bool Antialias { get; init; } = true;

    /// <summary>Share of the rows, above 0 to 0.5, that validation has where no data are given for it. Default
    /// 0.1.</summary>
    public double ValidationShare { get; init; } = 0.1;

    /// <summary>What all randomness comes from. Default 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>The context whose <see cref="MLContext.Log"/> hears how far training is; null for silence.</summary>
    public MLContext? Log { get; init; }

    /// <summary>Ends training before its time, with an <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken Cancellation { get; init; }
}
