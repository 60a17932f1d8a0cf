using Microsoft.ML;
using Microsoft.ML.Transforms.Onnx;

namespace TorchBridge.Inference;

/// <summary>Scores any ONNX model in ML.NET, in batches. Make it with <c>mlContext.Transforms.ScoreOnnx</c>.</summary>
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
    /// Reads and opens the model once, for a clear error; the stock estimator beside it gives the schema.
    /// </summary>
    /// <param name="context">Whose catalog made it.</param>
    /// <param name="modelPath">The ONNX file; a data file that it names stands beside it.</param>
    /// <param name="inputs">Names of the inputs, and of the columns they are read from.</param>
    /// <param name="outputs">Names of the outputs, and of the columns they are written to.</param>
    /// <param name="batchSize">Rows scored at once; null to find out on the first ones.</param>
    /// <param name="session">Threads and execution providers.</param>
    /// <exception cref="InvalidDataException">The file is no model that ONNX Runtime and ML.NET can read.</exception>
    /// <exception cref="NotSupportedException">One of the inputs is no tensor, or has a size of 0.</exception>
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
                        $"{modelPath}: the input '{name}' is {info.OnnxValueType}, no tensor; ML.NET has no column for it"
                    );
                if (info.Dimensions.Contains(0))
                    throw new NotSupportedException(
                        $"{modelPath}: the input '{name}' is [{string.Join(", ", info.Dimensions)}] and holds no value; "
                            + "ML.NET has no column for it"
                    );
            }
        }

        try
        {
            stock = context.Transforms.ApplyOnnxModel(outputs, inputs, modelPath);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // ML.NET reads the file with a protobuf of its own, and says of what it cannot read whatever its parser
            // or its maps throw.
            throw new InvalidDataException(
                $"{modelPath} is not an ONNX model that ML.NET can read: {error.Message}",
                error
            );
        }
    }

    /// <summary>Opens the model. Nothing is learned.</summary>
    /// <param name="input">Data with the columns that the model reads.</param>
    /// <returns>A transformer that owns a session; dispose it.</returns>
    /// <exception cref="InvalidOperationException">A column is not of the length that the model's input has; of a
    /// column of no fixed length, its first row that is not.</exception>
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

    /// <summary>Saves what was opened: the file may be another one by now, and a data file beside it would not get
    /// into a zip.</summary>
    private void Save(DataViewSchema schema, ModelSaveContext save)
    {
        using var stage = OnnxStage.Load(context, onnx, outputs, inputs);
        using var fitted = stage.Estimator.Fit(new Scoring.EmptyView(schema));
        ((ICanSaveModel)fitted).Save(save);
    }
}
