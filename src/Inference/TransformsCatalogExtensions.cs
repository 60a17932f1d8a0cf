using Microsoft.ML;

namespace TorchBridge.Inference;

/// <summary>
/// Adds TorchBridge to ML.NET's catalog of transforms: <c>mlContext.Transforms.ClassifyImages</c> and
/// <c>ScoreOnnx</c>.
/// </summary>
public static class TransformsCatalogExtensions
{
    /// <summary>Creates an estimator that classifies a column of pictures with an exported model, in
    /// batches.</summary>
    /// <param name="catalog">The catalog of a context.</param>
    /// <param name="modelPath">A classifier's ONNX file.</param>
    /// <param name="imageColumn">The picture column: paths, MLImage, encoded pictures, or pixels; null for the column
    /// in <paramref name="options"/>.</param>
    /// <param name="options">Further options; null for the defaults.</param>
    /// <returns>An estimator; fitting it opens the model without training.</returns>
    /// <exception cref="ArgumentException"><paramref name="imageColumn"/> and <paramref name="options"/> name
    /// different columns.</exception>
    /// <exception cref="InvalidDataException">The file is not a TorchBridge classifier.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
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
                    $"the picture column is '{imageColumn}' in the argument but '{given.ImageColumn}' in the "
                        + $"options; set it in one place",
                    nameof(imageColumn)
                );
            given = given with { ImageColumn = imageColumn };
        }

        return new ImageClassificationEstimator(new MLContext(seed: 0), modelPath, given);
    }

    /// <summary>
    /// Creates an estimator that scores any ONNX model in batches, unlike ApplyOnnxModel, which scores one row at a
    /// time. A model whose rows cannot be batched is scored row by row.
    /// </summary>
    /// <param name="catalog">The catalog of a context.</param>
    /// <param name="modelPath">The ONNX file; an external data file is expected next to it.</param>
    /// <param name="inputs">Input columns, named like the model's inputs.</param>
    /// <param name="outputs">Output columns, named like the model's outputs.</param>
    /// <param name="batchSize">Number of rows scored at once, at least 1; null to choose by timing the first
    /// batches.</param>
    /// <param name="session">Threads and execution providers; null for the defaults.</param>
    /// <returns>An estimator; fitting it opens the model without training.</returns>
    /// <exception cref="InvalidDataException">The file is not an ONNX model.</exception>
    /// <exception cref="NotSupportedException">An input is a sequence or a map, or has a size of 0.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="batchSize"/> is below 1.</exception>
    /// <exception cref="ArgumentException">A column name is null or empty.</exception>
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
            throw new ArgumentOutOfRangeException(nameof(batchSize), batchSize, "the batch size must be at least 1");
        return new BatchedOnnxEstimator(
            new MLContext(seed: 0),
            modelPath,
            [.. inputs],
            [.. outputs],
            batchSize,
            session ?? new SessionSettings()
        );
    }

    /// <summary>Refuses lists with a null or empty name.</summary>
    private static void CheckNames(string[] names, string parameter)
    {
        ArgumentNullException.ThrowIfNull(names, parameter);
        if (names.Any(string.IsNullOrEmpty))
            throw new ArgumentException("a column name is null or empty", parameter);
    }
}
