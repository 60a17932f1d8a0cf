// A classifier for photos of your own as a step of an ML.NET pipeline. Give a folder with one sub-folder a class:
//   dotnet run --project samples/TuneImages -c Release -- ./my-photos
// ML.NET's tutorial for the same task has Trainers.ImageClassification(…) in the place of TuneImages(…). That trainer
// needs TensorFlow's native library and downloads a network when it first runs; this one starts from the ResNet-18
// that came with `dotnet restore`.
using Microsoft.ML;
using TorchBridge.Training.Estimators;

var folder = args is [var given] ? given : throw new ArgumentException("Give a folder with one sub-folder a class.");
var context = new MLContext(seed: 1);
context.Log += (_, line) =>
{
    if (line.Source == "TuneImages")
        Console.WriteLine(line.Message);
};

var photos = Directory
    .EnumerateDirectories(folder)
    .SelectMany(of =>
        Directory
            .EnumerateFiles(of, "*.jpg")
            .Select(path => new Photo { ImagePath = path, Label = Path.GetFileName(of) })
    );
var parts = context.Data.TrainTestSplit(
    context.Data.ShuffleRows(context.Data.LoadFromEnumerable(photos)),
    testFraction: 0.2
);

var pipeline = context
    .Transforms.Conversion.MapValueToKey("Label")
    .Append(context.MulticlassClassification.Trainers.TuneImages(new TuneImagesOptions { Log = context }))
    .Append(context.Transforms.Conversion.MapKeyToValue("Class", "PredictedLabel"));
var model = pipeline.Fit(parts.TrainSet);

var metrics = context.MulticlassClassification.Evaluate(model.Transform(parts.TestSet));
Console.WriteLine(
    FormattableString.Invariant(
        $"accuracy {metrics.MicroAccuracy:P1}, by class {metrics.MacroAccuracy:P1}, log loss {metrics.LogLoss:F3}"
    )
);

/// <summary>A row of the data.</summary>
internal sealed class Photo
{
    public string ImagePath { get; set; } = "";

    public string Label { get; set; } = "";
}
