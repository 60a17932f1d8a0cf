using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Inference;

/// <summary>
/// The stock ML.NET chain for a picture classifier: LoadImages, ResizeImages (IsoCrop), ExtractPixels,
/// ApplyOnnxModel. A program with only the ML.NET packages loads the saved zip; it needs none of our code.
/// </summary>
public static class StockPipeline
{
    /// <summary>Column with the path of a picture file.</summary>
    public const string PathColumn = "ImagePath";

    /// <summary>Name of the column of pixels that the model reads.</summary>
    internal const string PixelsColumn = ModelNames.Pixels;

    /// <summary>Builds the chain and saves it as a zip that holds everything, the ONNX file included.</summary>
    /// <param name="onnxPath">A classifier's ONNX file.</param>
    /// <param name="zipPath">Where to write; a file that is there is replaced, whole or not at all.</param>
    /// <exception cref="InvalidDataException">The file is no classifier of ours.</exception>
    /// <exception cref="NotSupportedException">It reads its pictures otherwise than stock ML.NET can.</exception>
    /// <exception cref="FileNotFoundException">There is no ONNX file.</exception>
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
                $"{onnxPath} reads its pictures with {reading}, which stock ML.NET has not: a zip would "
                    + "see other pixels. Serve the .onnx file with ClassifyImages or ImageClassifier"
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

    /// <summary>Scores picture files with a saved chain, in the order given.</summary>
    /// <param name="zipPath">A zip that <see cref="Save"/> has written.</param>
    /// <param name="files">Picture files; read as they are needed.</param>
    /// <returns>Label and probabilities of each file, lazily. The model lives as long as it is enumerated.</returns>
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
    /// The stock stages that turn a column into pixels; null where the column holds pixels already.
    /// </summary>
    /// <param name="context">Whose catalog makes the stages.</param>
    /// <param name="card">Says how large pictures are.</param>
    /// <param name="column">The column of pictures.</param>
    /// <param name="kind">What it holds.</param>
    internal static IEstimator<ITransformer>? Reading(MLContext context, ModelCard card, string column, InputKind kind)
    {
        const string image = "Image";
        IEstimator<ITransformer> From(string pictures) =>
            context
                .Transforms.ResizeImages(image, card.Width, card.Height, pictures)
                .Append(context.Transforms.ExtractPixels(PixelsColumn, image));
        return kind switch
        {
            // imageFolder null: a folder would be saved into the zip as an absolute path of this machine.
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
