using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference;

/// <summary>
/// The stock ML.NET chain for a picture classifier: LoadImages, ResizeImages (IsoCrop), ExtractPixels, ApplyOnnxModel. A program with only
/// the ML.NET packages loads the saved zip; it needs none of our code.
/// </summary>
public static class StockPipeline
{
    /// <summary>Column with the path of a picture file.</summary>
    public const string PathColumn = "ImagePath";

    /// <summary>Builds the chain and saves it as a zip that holds everything, the ONNX file included.</summary>
    /// <param name="onnxPath">The variant of the model with outputs <c>Score</c> and <c>PredictedLabel</c>.</param>
    /// <param name="zipPath">Where to write.</param>
    /// <param name="width">Picture width that the model takes, in pixels.</param>
    /// <param name="height">Picture height that the model takes, in pixels.</param>
    public static void Save(string onnxPath, string zipPath, int width, int height)
    {
        var context = new MLContext(seed: 0);
        var rows = context.Data.LoadFromEnumerable(Array.Empty<PictureFile>());
        // imageFolder null: a folder would be saved into the zip as an absolute path of this machine.
        var chain = context.Transforms.LoadImages("Image", imageFolder: null, PathColumn)
            .Append(context.Transforms.ResizeImages("Image", width, height))
            .Append(context.Transforms.ExtractPixels("pixels", "Image"))
            .Append(context.Transforms.ApplyOnnxModel(["Score", "PredictedLabel"], ["pixels"], onnxPath));
        using var model = chain.Fit(rows);
        using var stream = new FileStream(zipPath, FileMode.Create, FileAccess.Write);
        context.Model.Save(model, rows.Schema, stream);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Scores picture files with a saved chain, in the order given.</summary>
    /// <param name="zipPath">The zip.</param>
    /// <param name="files">Picture files.</param>
    /// <returns>Label and scores of each.</returns>
    public static IEnumerable<(string Label, float[] Scores)> Score(string zipPath, IEnumerable<string> files)
    {
        var context = new MLContext(seed: 0);
        var model = context.Model.Load(zipPath, out _);
        using var disposable = model as IDisposable;
        var scored = model.Transform(context.Data.LoadFromEnumerable(files.Select(file => new PictureFile { ImagePath = file })));
        foreach (var row in context.Data.CreateEnumerable<ScoredPicture>(scored, reuseRowObject: false))
            yield return (row.PredictedLabel![0], row.Score!);
    }

    private sealed class PictureFile
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class ScoredPicture
    {
        public string[]? PredictedLabel { get; set; }

        public float[]? Score { get; set; }
    }
}
