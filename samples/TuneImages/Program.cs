// Trains a classifier for photos of your own as a step of an ML.NET pipeline.
// Usage: TuneImages FOLDER MODEL.onnx
//        dotnet run --project samples/TuneImages -c Release -- ./my-photos photos.onnx
// FOLDER contains one sub-folder per class. With few photos one test part says little, so the program first runs a
// five-fold cross-validation: each of five parts is judged once by a model that was trained on the other four. Then
// it trains the model that it saves on all photos. samples/ConsoleClassifier and ClassifyImages load that model;
// neither needs libtorch. ML.NET's tutorial for the same task uses Trainers.ImageClassification(…) instead of
// TuneImages(…). That trainer needs TensorFlow's native library and downloads a network when it first runs;
// TuneImages starts from the ResNet-18 that came with `dotnet restore`.
using Microsoft.ML;
using TorchBridge.Training.Estimators;

if (args is not [var folder, var path])
{
    Console.Error.WriteLine("Usage: TuneImages FOLDER MODEL.onnx");
    return 2;
}

var context = new MLContext(seed: 1);
string[] extensions = [".jpg", ".jpeg", ".png"];
var photos = context.Data.LoadFromEnumerable(
    Directory
        .EnumerateDirectories(folder)
        .SelectMany(of =>
            Directory
                .EnumerateFiles(of)
                .Where(file => extensions.Contains(Path.GetExtension(file).ToLowerInvariant()))
                .Select(file => new Photo { ImagePath = file, Label = Path.GetFileName(of) })
        )
        .OrderBy(photo => photo.ImagePath, StringComparer.Ordinal)
        .ToArray()
);

var trainer = context.MulticlassClassification.Trainers.TuneImages();
var pipeline = context
    .Transforms.Conversion.MapValueToKey("Label")
    .Append(trainer)
    .Append(context.Transforms.Conversion.MapKeyToValue("Class", "PredictedLabel"));
var folds = context.MulticlassClassification.CrossValidate(photos, pipeline, numberOfFolds: 5);
foreach (var fold in folds)
    Console.WriteLine(
        FormattableString.Invariant(
            $"fold {fold.Fold + 1}: accuracy {fold.Metrics.MicroAccuracy:P1}, log loss {fold.Metrics.LogLoss:F3}"
        )
    );
double[] accuracies = [.. folds.Select(fold => fold.Metrics.MicroAccuracy)];
Console.WriteLine(
    FormattableString.Invariant($"mean: accuracy {accuracies.Average():P1}, lowest {accuracies.Min():P1}")
);

using var model = trainer.Fit(photos);
model.SaveOnnx(path);
Console.WriteLine($"{path}: trained on all photos");
return 0;

/// <summary>A row of the data: a photo and its class.</summary>
internal sealed class Photo
{
    public string ImagePath { get; set; } = "";

    public string Label { get; set; } = "";
}
