// A batch job in ML.NET: classifies a folder of pictures and counts the classes. Pictures that cannot be read are
// reported and left out.
// Usage: BatchJob MODEL.onnx FOLDER
using Microsoft.ML;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;

if (args.Length != 2)
{
    Console.Error.WriteLine("Usage: BatchJob MODEL.onnx FOLDER");
    return 2;
}

var context = new MLContext(seed: 0);
var pictures = context.Data.LoadFromEnumerable(
    Directory
        .EnumerateFiles(args[1], "*", SearchOption.AllDirectories)
        .Where(PictureReader.IsPicture)
        .Select(path => new Picture { ImagePath = path })
);
var options = new ImageClassificationOptions
{
    OnInvalidImage = OnInvalidImage.Skip,
    InvalidImage = error => Console.Error.WriteLine(error.Message),
};
using var model = context.Transforms.ClassifyImages(args[0], options: options).Fit(pictures);
var scored = context.Data.CreateEnumerable<Scored>(model.Transform(pictures), reuseRowObject: true);
foreach (var (label, count) in scored.CountBy(row => row.PredictedLabel).OrderByDescending(pair => pair.Value))
    Console.WriteLine($"{label}: {count}");
Console.WriteLine($"left out: {model.InvalidImages}");
return 0;

internal sealed class Picture
{
    public string ImagePath { get; set; } = "";
}

internal sealed class Scored
{
    public string PredictedLabel { get; set; } = "";
}
