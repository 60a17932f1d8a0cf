using Microsoft.ML;

namespace TorchBridge.Inference;

/// <summary>
/// TorchBridge in ML.NET's catalog of transforms: <c>mlContext.Transforms.ClassifyImages</c> and <c>ScoreOnnx</c>.
/// </summary>
public static class TransformsCatalogExtensions
{
    /// <summary>Classifies a column of pictures with an exported model, in batches.</summary>
    /// <param name="catalog">The catalog of a context.</param>
    /// <param name="modelPath">A classifier's ONNX file.</param>
    /// <param name="imageColumn">The column of pictures: paths, MLImage, encoded pictures, or pixels; null for what
    /// <paramref name="options"/> say.</param>
    /// <param name="options">More options.</param>
    /// <returns>An estimator; fitting it opens the model and learns nothing.</returns>
    /// <exception cref="ArgumentException"><paramref name="imageColumn"/> is one column, and that of <paramref
    /// name="options"/> another.</exception>
    /// <exception cref="InvalidDataException">The file is no classifier of ours.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The batch size is below 1, or TopK is not from 1 to the number
    /// of classes.</exception>
    public static ImageClassificationEstimator ClassifyImages(
        this TransformsCatalog catalog,
        string modelPath,
        string? imageColumn = null,
        ImageClassificationOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrWhiteSpace(modelPath);
        var given = options ?? new ImageClassificationOptions();
        if (imageColumn is not null && given.ImageColumn != imageColumn)
        {
            if (given.ImageColumn != ImageClassificationOptions.DefaultImageColumn)
                throw new ArgumentException(
                    $"the pictures' column is '{imageColumn}' here and '{given.ImageColumn}' in the options; name it once",
                    nameof(imageColumn)
                );
            given = given with { ImageColumn = imageColumn };
        }

        return new ImageClassificationEstimator(new MLContext(seed: 0), modelPath, given);
    }

    /// <summary>
    /// Scores any ONNX model in batches: what ApplyOnnxModel does one row at a time. A model whose rows cannot be put
    /// together is scored row by row.
    /// </summary>
    /// <param name="catalog">The catalog of a context.</param>
    /// <param name="modelPath">The ONNX file; a data file that it names stands beside it.</param>
    /// <param name="inputs">Columns that the model reads, named as its inputs.</param>
    /// <param name="outputs">Columns that it makes, named as its outputs.</param>
    /// <param name="batchSize">Rows scored at once, 1 and up; null to find out on the first ones.</param>
    /// <param name="session">Threads and execution providers; null for the defaults.</param>
    /// <returns>An estimator; fitting it opens the model and learns nothing.</returns>
    /// <exception cref="InvalidDataException">The file is no ONNX model.</exception>
    /// <exception cref="NotSupportedException">One of these inputs is a sequence or a map, or has a size of
    /// 0.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="batchSize"/> is below 1.</exception>
    /// <exception cref="ArgumentException">A column has no name.</exception>
    public static BatchedOnnxEstimator ScoreOnnx(
        this TransformsCatalog catalog,
        string modelPath,
        string[] inputs,
        string[] outputs,
        int? batchSize = null,
        SessionSettings? session = null
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrWhiteSpace(modelPath);
        CheckNames(inputs, nameof(inputs));
        CheckNames(outputs, nameof(outputs));
        if (batchSize is < 1)
            throw new ArgumentOutOfRangeException(nameof(batchSize), batchSize, "a batch has at least one row");
        return new BatchedOnnxEstimator(
            new MLContext(seed: 0),
            modelPath,
            [.. inputs],
            [.. outputs],
            batchSize,
            session ?? new SessionSettings()
        );
    }

    /// <summary>Refuses lists with a missing or empty name.</summary>
    private static void CheckNames(string[] names, string parameter)
    {
        ArgumentNullException.ThrowIfNull(names, parameter);
        if (names.Any(string.IsNullOrEmpty))
            throw new ArgumentException("a column without a name", parameter);
    }
}
