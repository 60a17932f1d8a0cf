using Microsoft.ML;

namespace TorchBridge.Inference;

/// <summary>TorchBridge in ML.NET's catalog of transforms.</summary>
public static class TransformsCatalogExtensions
{
    /// <summary>Classifies a column of pictures with an exported model, in batches.</summary>
    /// <param name="catalog">The catalog of a context.</param>
    /// <param name="modelPath">A classifier's ONNX file.</param>
    /// <param name="imageColumn">The column of pictures: paths, MLImage, encoded pictures, or pixels.</param>
    /// <param name="options">More options; <paramref name="imageColumn"/> goes before theirs.</param>
    /// <exception cref="InvalidDataException">The file is no classifier of ours.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static ImageClassificationEstimator ClassifyImages(this TransformsCatalog catalog, string modelPath, string imageColumn = "ImagePath", ImageClassificationOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new ImageClassificationEstimator(new MLContext(seed: 0), modelPath, (options ?? new ImageClassificationOptions()) with { ImageColumn = imageColumn });
    }

    /// <summary>Scores any ONNX model whose axis 0 is the batch, in batches: what ApplyOnnxModel does one row at a time.</summary>
    /// <param name="catalog">The catalog of a context.</param>
    /// <param name="modelPath">The ONNX file.</param>
    /// <param name="inputs">Columns that the model reads, named as its inputs.</param>
    /// <param name="outputs">Columns that it makes, named as its outputs.</param>
    /// <param name="batchSize">Rows scored at once; null to find out on the first ones.</param>
    /// <param name="session">Threads and execution providers; null for the defaults.</param>
    /// <exception cref="InvalidDataException">The file is no ONNX model.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static BatchedOnnxEstimator ScoreOnnx(this TransformsCatalog catalog, string modelPath, string[] inputs, string[] outputs, int? batchSize = null, SessionSettings? session = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new BatchedOnnxEstimator(new MLContext(seed: 0), modelPath, inputs, outputs, batchSize, session);
    }
}
