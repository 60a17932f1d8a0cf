using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Inference;

/// <summary>
/// The stock ML.NET chain for a picture classifier: LoadImages, ResizeImages (IsoCrop), ExtractPixels,
/// ApplyOnnxModel. A program with only the ML.NET packages can load the saved zip; it needs no TorchBridge code.
/// </summary>
public static class StockPipeline
{
    /// <summary>Column with the path of a picture file.</summary>
    public const string PathColumn = "ImagePath";

    /// <summary>Name of the pixel column that the model reads.</summary>
    internal const string PixelsColumn = ModelNames.Pixels;

    /// <summary>Builds the chain and saves it as a self-contained zip, including the ONNX file.</summary>
    /// <param name="onnxPath">A classifier's ONNX file.</param>
    /// <param name="zipPath">Path of the zip, which is written atomically; an existing file is replaced.</param>
    /// <exception cref="InvalidDataException">The file is not a TorchBridge classifier.</exception>
    /// <exception cref="NotSupportedException">The model needs picture preprocessing that stock ML.NET does not
    /// support.</exception>
    /// <exception cref="FileNotFoundException">The ONNX file does not exist.</exception>
    /// <exception cref="IOException">The zip cannot be written.</exception>
    public static void Save(string onnxPath, string zipPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(onnxPath);
        ArgumentException.ThrowIfNullOrWhiteSpace(zipPath);
        using var scratch = new ScratchContext();
        var context = scratch.Context;
        var onnx = SessionSettings.ReadModel(onnxPath);
        var card = ModelCard.Read(onnx, onnxPath);
        if (card.Reading.WithoutStockTwin is { } reading)
            throw new NotSupportedException(
                $"{onnxPath} reads its pictures with {reading}, which stock ML.NET does not support, so a zip "
                    + $"would read other pixels. Serve the .onnx file with ClassifyImages or ImageClassifier"
            );
        var rows = context.Data.LoadFromEnumerable(Array.Empty<PictureFile>());
        using var scorer = OnnxStage.Load(
            context,
            MlNetModel.From(onnx, onnxPath, card.ClassNames),
            [MlNetModel.Score, MlNetModel.PredictedLabel],
            [PixelsColumn]
        );
        var chain = Reading(context, card, PathColumn, InputKind.Path)!.Append(scorer.Estimator);
        using var model = chain.Fit(rows);
        AtomicFile.Write(zipPath, stream => context.Model.Save(model, rows.Schema, stream));
    }

    /// <summary>Scores picture files with a saved chain, in order.</summary>
    /// <param name="zipPath">A zip written by <see cref="Save"/>.</param>
    /// <param name="files">Picture files, enumerated on demand.</param>
    /// <returns>Label and probabilities of each file, computed lazily. The model stays loaded during the
    /// enumeration.</returns>
    public static IEnumerable<(string Label, float[] Scores)> Score(string zipPath, IEnumerable<string> files)
    {
        using var scratch = new ScratchContext();
        var context = scratch.Context;
        var model = context.Model.Load(zipPath, out _);
        using var disposable = model as IDisposable;
        var scored = model.Transform(
            context.Data.LoadFromEnumerable(files.Select(file => new PictureFile { ImagePath = file }))
        );
        foreach (var row in context.Data.CreateEnumerable<ScoredPicture>(scored, reuseRowObject: false))
            yield return (row.PredictedLabel![0], row.Score!);
    }

    /// <summary>
    /// The stock stages that turn a column into pixels; null if the column already contains pixels.
    /// </summary>
    /// <param name="context">The context whose catalog creates the stages.</param>
    /// <param name="card">The model card, which determines the picture size.</param>
    /// <param name="column">Name of the picture column.</param>
    /// <param name="kind">Kind of the column.</param>
    internal static IEstimator<ITransformer>? Reading(MLContext context, ModelCard card, string column, InputKind kind)
    {
        const string image = "Image";
        IEstimator<ITransformer> From(string pictures) =>
            context
                .Transforms.ResizeImages(image, card.Width, card.Height, pictures)
                .Append(context.Transforms.ExtractPixels(PixelsColumn, image));
        return kind switch
        {
            // imageFolder is null because a folder would be saved in the zip as an absolute path of this machine.
            InputKind.Path => context.Transforms.LoadImages(image, imageFolder: null, column).Append(From(image)),
            InputKind.Image => From(column),
            _ => null,
        };
    }

    /// <summary>A row of the input: the path of a picture.</summary>
    private sealed class PictureFile
    {
        public string ImagePath { get; set; } = "";
    }

    /// <summary>A row of the result, as stock ML.NET types it.</summary>
    private sealed class ScoredPicture
    {
        public string[]? PredictedLabel { get; set; }

        public float[]? Score { get; set; }
    }
}
