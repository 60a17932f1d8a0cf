using TorchBridge.Inference;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Loads a model version: reads it, tries it out in a child process if necessary, opens, checks and warms it up. Only
/// then may it answer requests.
/// </summary>
internal sealed partial class ModelLoader(
    ModelServerOptions options,
    IModelProbe probe,
    ServingMetrics metrics,
    TimeProvider clock,
    ILogger<ModelLoader> log
)
{
    /// <summary>Seed of the random rows with which the independence of rows is tested.</summary>
    private const int IndependenceSeed = 1;

    /// <summary>Loads a version.</summary>
    /// <param name="entry">The files of the version.</param>
    /// <param name="version">The version number to give it.</param>
    /// <returns>A version that is ready to answer requests.</returns>
    /// <exception cref="ModelLoadException">The version cannot be served; the message says why.</exception>
    public ModelVersion Load(ModelFileEntry entry, long version)
    {
        var source = ModelSource.Read(entry.Path);
        var config = entry.ConfigPath is null ? new ModelConfig() : ModelConfig.Read(entry.ConfigPath);
        if (options.Probe == ProbeChoice.All || (options.Probe == ProbeChoice.Foreign && source.Card is null))
            probe.Try(source);
        var sessions = ModelSessions.Open(
            source,
            config.Sessions ?? options.Sessions,
            new RuntimeSettings(config.Threads ?? options.Threads, options.ConfigureSession)
        );
        try
        {
            return Start(entry, version, source, config, sessions);
        }
        catch
        {
            sessions.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Checks an opened model, determines whether its requests can run in batches, warms it up, and starts its
    /// workers.
    /// </summary>
    /// <param name="entry">The files of the version.</param>
    /// <param name="version">The version number.</param>
    /// <param name="source">The file that was read.</param>
    /// <param name="config">The model's configuration.</param>
    /// <param name="sessions">The opened sessions; the returned version disposes them.</param>
    /// <exception cref="ModelLoadException">The model contradicts its configuration, or computes different results
    /// than in training.</exception>
    private ModelVersion Start(
        ModelFileEntry entry,
        long version,
        ModelSource source,
        ModelConfig config,
        ModelSessions sessions
    )
    {
        if (entry.ConfigPath is not null)
            config.Check(sessions.Signature, entry.ConfigPath);
        var pictures = SelfCheckPictures.Read(source);
        if (source.Card is { } card)
            foreach (var session in sessions.All)
                CheckClassifier(session, card, pictures, source.Path);
        var whyAlone =
            config.MaxBatchSize == 0
                ? "its config.pbtxt says so"
                : RowIndependence.Check(sessions.All[^1], IndependenceSeed);
        if (whyAlone is not null && source.Card is null)
            LogAlone(entry.Model, version, whyAlone);
        var maxRows = whyAlone is null ? config.MaxBatchSize ?? options.MaxBatchSize : 1;
        var settings = new BatchSettings(
            maxRows,
            config.Delay ?? TimeSpan.FromMicroseconds(options.BatchDelayMicroseconds),
            config.QueueCapacity ?? options.QueueCapacity
        );
        foreach (var session in sessions.All)
            ModelWarmUp.Run(session, maxRows);
        var identity = new ModelIdentity(
            entry.Model,
            version,
            source.Digest,
            whyAlone is null,
            whyAlone,
            ModelLabels.Of(source, config, sessions.Signature, entry)
        )
        {
            Card = source.Card,
            Pictures = pictures,
            Timeout = config.Timeout,
        };
        return new ModelVersion(identity, sessions, settings, clock, loaded => metrics.ObserverOf(loaded));
    }

    /// <summary>
    /// Checks that a TorchBridge classifier has the expected inputs and outputs and computes the same results as in
    /// training.
    /// </summary>
    /// <param name="session">The opened model.</param>
    /// <param name="card">The description that training wrote into the file.</param>
    /// <param name="pictures">Pictures with the logits that training computed for them; null for none.</param>
    /// <param name="path">Path of the file, for error messages.</param>
    /// <exception cref="ModelLoadException">The inputs, outputs or results differ.</exception>
    private static void CheckClassifier(
        RuntimeSession session,
        ModelCard card,
        SelfCheckPictures? pictures,
        string path
    )
    {
        var signature = session.Signature;
        if (
            signature.Inputs is not [{ Type: TensorType.FP32, Shape: [TensorSpec.Free or 1, 3, var height, var width] }]
            || height != card.Height
            || width != card.Width
        )
            throw new ModelLoadException(
                $"{path} says it takes pictures of {card.Width} x {card.Height}, but its inputs are "
                    + $"{string.Join(", ", signature.Inputs.Select(input => input.ShapeText))}"
            );
        foreach (var output in (string[])["logits", "probabilities"])
        {
            if (
                signature.OutputIndex(output) is >= 0 and var at
                && signature.Outputs[at] is { Type: TensorType.FP32, Shape: [_, var classes] }
                && classes == card.ClassNames.Count
            )
                continue;
            throw new ModelLoadException(
                $"{path} has {card.ClassNames.Count} classes, but no output '{output}' with as many columns"
            );
        }

        if (pictures is null)
            return;
        using var memory = new RunMemory();
        var logits = new List<float>();
        for (var index = 0; index < pictures.Count; index++)
        {
            try
            {
                var result = session.Run(
                    memory,
                    [
                        [pictures.Pixels(index, signature.Inputs[0].Name, card)],
                    ],
                    [signature.OutputIndex("logits")]
                );
                logits.AddRange(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(result[0][0].Data.Span));
            }
            catch (ModelRunException error)
            {
                throw new ModelLoadException($"{path} does not run: {error.Message}", error);
            }
        }

        if (pictures.Compare([.. logits]) is { } difference)
            throw new ModelLoadException($"{path} does not compute here what it computed in training: {difference}");
    }

    /// <summary>Logs that the requests of a model run one by one, and why.</summary>
    /// <param name="model">Name of the model.</param>
    /// <param name="version">The version number.</param>
    /// <param name="reason">Why they cannot run in batches.</param>
    [LoggerMessage(LogLevel.Warning, "{Model} version {Version}: requests run one by one, because {Reason}")]
    private partial void LogAlone(string model, long version, string reason);
}
