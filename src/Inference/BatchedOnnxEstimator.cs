using Microsoft.ML;
using Microsoft.ML.Transforms.Onnx;

namespace TorchBridge.Inference;

/// <summary>Scores any ONNX model in ML.NET in batches. Create it with
/// <c>mlContext.Transforms.ScoreOnnx</c>.</summary>
public sealed class BatchedOnnxEstimator : IEstimator<BatchedOnnxTransformer>
{
    private readonly MLContext context;
    private readonly OnnxScoringEstimator stock;
    private readonly byte[] onnx;
    private readonly string modelPath;
    private readonly string[] inputs;
    private readonly string[] outputs;
    private readonly int? batchSize;
    private readonly SessionSettings session;

    /// <summary>
    /// Reads and opens the model once, for a clear error message; the schema comes from the stock estimator.
    /// </summary>
    /// <param name="context">The context whose catalog creates it.</param>
    /// <param name="modelPath">The ONNX file; an external data file is expected next to it.</param>
    /// <param name="inputs">Names of the inputs and of the columns they are read from.</param>
    /// <param name="outputs">Names of the outputs and of the columns they are written to.</param>
    /// <param name="batchSize">Number of rows scored at once; null to choose by timing the first batches.</param>
    /// <param name="session">Threads and execution providers.</param>
    /// <exception cref="InvalidDataException">The file is not a model that ONNX Runtime and ML.NET can
    /// read.</exception>
    /// <exception cref="NotSupportedException">An input is not a tensor or has a size of 0.</exception>
    internal BatchedOnnxEstimator(
        MLContext context,
        string modelPath,
        string[] inputs,
        string[] outputs,
        int? batchSize,
        SessionSettings session
    )
    {
        this.context = context;
        this.modelPath = modelPath;
        this.inputs = inputs;
        this.outputs = outputs;
        this.batchSize = batchSize;
        this.session = session;
        onnx = SessionSettings.ReadModel(modelPath);
        // a clear error first
        using (var opened = session.Open(onnx, modelPath, nameof(BatchedOnnxEstimator)))
        {
            foreach (var name in inputs)
            {
                if (!opened.Inputs.TryGetValue(name, out var info))
                    continue;
                if (!info.IsTensor)
                    throw new NotSupportedException(
                        $"{modelPath}: the input '{name}' is {info.OnnxValueType}, not a tensor; ML.NET has no "
                            + $"column type for it"
                    );
                if (info.Dimensions.Contains(0))
                    throw new NotSupportedException(
                        $"{modelPath}: the input '{name}' is [{string.Join(", ", info.Dimensions)}] and has no "
                            + $"elements; ML.NET has no column type for it"
                    );
            }
        }

        try
        {
            stock = context.Transforms.ApplyOnnxModel(outputs, inputs, modelPath);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // ML.NET reads the file with its own protobuf parser, which throws various exceptions for files that it
            // cannot read.
            throw new InvalidDataException(
                $"{modelPath} is not an ONNX model that ML.NET can read: {error.Message}",
                error
            );
        }
    }

    /// <summary>Opens the model. Nothing is trained.</summary>
    /// <param name="input">Data with the input columns of the model.</param>
    /// <returns>A transformer that owns an ONNX Runtime session; dispose it.</returns>
    /// <exception cref="InvalidOperationException">The length of a column, or of the first row of a variable-length
    /// column, does not match the model's input.</exception>
    public BatchedOnnxTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var fitted = stock.Fit(input);
        try
        {
            return new BatchedOnnxTransformer(fitted, onnx, modelPath, inputs, batchSize, session, save =>
                Save(input.Schema, save)
            );
        }
        catch
        {
            fitted.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema) => stock.GetOutputSchema(inputSchema);

    /// <summary>Saves the model that was opened: the file may have changed since, and an external data file would not
    /// be added to a zip.</summary>
    private void Save(DataViewSchema schema, ModelSaveContext save)
    {
        using var stage = OnnxStage.Load(context, onnx, outputs, inputs);
        using var fitted = stage.Estimator.Fit(new Scoring.EmptyView(schema));
        ((ICanSaveModel)fitted).Save(save);
    }
}
