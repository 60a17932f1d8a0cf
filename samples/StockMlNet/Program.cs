// Loads models/modern-cnn.zip with only the stock ML.NET packages, and classifies pictures with it.
// Usage: StockMlNet MODEL.zip PICTURE…
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

if (args.Length < 2)
{
    Console.Error.WriteLine("Usage: StockMlNet MODEL.zip PICTURE…");
    return 2;
}

var context = new MLContext(seed: 0);
var model = context.Model.Load(args[0], out _);
var scored = model.Transform(
    context.Data.LoadFromEnumerable(args[1..].Select(path => new Picture { ImagePath = path }))
);
VBuffer<ReadOnlyMemory<char>> names = default;
scored.Schema["Score"].GetSlotNames(ref names);
foreach (var row in context.Data.CreateEnumerable<Scored>(scored, reuseRowObject: false))
{
    // In stock ML.NET every ONNX output is a vector, so the label is a vector of one text.
    var best = Array.IndexOf(row.Score!, row.Score!.Max());
    Console.WriteLine(
        string.Create(
            CultureInfo.InvariantCulture,
            $"{row.ImagePath}: {row.PredictedLabel![0]} ({names.GetItemOrDefault(best)} {row.Score![best]:F4})"
        )
    );
}

return 0;

internal sealed class Picture
{
    public string ImagePath { get; set; } = "";
}

internal sealed class Scored
{
    public string ImagePath { get; set; } = "";

    public string[]? PredictedLabel { get; set; }

    public float[]? Score { get; set; }
}
