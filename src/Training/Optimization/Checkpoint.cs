// Contents: one safetensors file. Tensors: `weights.*`, `best.*` (weights of the best epoch), `average.*` (if weights
// are averaged), `optimizer.*`, `random_state` (torch's generator, for dropout). Metadata in its header:
// `torchbridge.checkpoint`, JSON with the settings, the history and the counters. The learning rate and the loader's
// randomness are functions of the step and need no state. The file is renamed into place, so it is always either the
// old or the new checkpoint, never a mixture.
using System.Text.Json;
using TorchBridge.Onnx.Contract;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Recipes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>The state of a run after an epoch, from which it can be resumed.</summary>
internal sealed class Checkpoint : IDisposable
{
    private const string RandomState = "random_state";
    private readonly string path;
    private readonly Dictionary<string, Tensor> tensors;
    private readonly Facts facts;

    private Checkpoint(string path, Dictionary<string, Tensor> tensors, Facts facts) =>
        (this.path, this.tensors, this.facts) = (path, tensors, facts);

    /// <summary>Settings of the run.</summary>
    public ModelSettings Settings => facts.Settings;

    /// <summary>Number of completed epochs.</summary>
    public int Epochs => facts.History.Count;

    /// <summary>Writes the state of a run.</summary>
    /// <param name="path">The file, replaced atomically.</param>
    /// <param name="settings">Settings of the run.</param>
    /// <param name="state">Weights, optimizer, average, generator and history after a complete epoch.</param>
    /// <exception cref="UserException">The file cannot be written, for example because the disk is full; the previous
    /// checkpoint is intact.</exception>
    public static void Write(string path, ModelSettings settings, TrainingState state)
    {
        using var scope = NewDisposeScope();
        var tensors = state.Tensors();
        tensors.Add(RandomState, get_rng_state());
        var facts = new Facts(
            settings,
            state.History,
            state.BestEpoch,
            state.Stopping.Best,
            state.Stopping.EpochsWithout,
            state.Optimizer.Steps
        );
        Safetensors.Write(
            path,
            tensors,
            new Dictionary<string, string>(StringComparer.Ordinal) { [MetadataKeys.Checkpoint] = Json.Text(facts) }
        );
    }

    /// <summary>Reads a checkpoint.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The checkpoint with its tensors in memory; the caller disposes it.</returns>
    /// <exception cref="UserException">The file is missing, damaged, or something else.</exception>
    public static Checkpoint Read(string path)
    {
        if (!File.Exists(path))
            throw new UserException(
                $"There is no unfinished run to resume: {path} does not exist. Start a run without --resume, or "
                    + $"give the run's folder with --out."
            );
        var (tensors, metadata) = Safetensors.Read(path);
        try
        {
            if (!metadata.TryGetValue(MetadataKeys.Checkpoint, out var json))
                throw new UserException(
                    $"{path} is not a checkpoint of this program ({MetadataKeys.Checkpoint} is missing)"
                );
            var facts = JsonSerializer.Deserialize<Facts>(json, Json.Options);
            if (facts is not { Settings: not null, History: not null } || facts.History.Any(record => record is null))
                throw new JsonException("it is incomplete");
            facts.Settings.Check(path);
            if (
                facts.BestEpoch < Math.Min(1, facts.History.Count)
                || facts.BestEpoch > facts.History.Count
                || facts.EpochsWithout < 0
                || facts.Steps < 0
            )
                throw new JsonException("its counters do not fit its history");
            return new Checkpoint(path, tensors, facts);
        }
        catch (Exception error) when (error is JsonException or UserException)
        {
            foreach (var tensor in tensors.Values)
                tensor.Dispose();
            if (error is UserException)
                throw;
            throw new UserException($"{path}: its metadata cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The training history of a model whose run was stopped; null if the checkpoint is missing, damaged,
    /// from another run, or from a later epoch.</summary>
    /// <param name="path">The checkpoint.</param>
    /// <param name="model">The model.</param>
    public static TrainingResult? TrainingOf(string path, TrainedModel model)
    {
        try
        {
            using var scope = NewDisposeScope();
            using var checkpoint = Read(path);
            var trained =
                model.Settings.Recipe.Tuning.What == TuneKind.Head ? model.Network.Head : (nn.Module)model.Classifier;
            return
                checkpoint.Settings.RunId == model.Settings.RunId
                && trained
                    .state_dict()
                    .All(pair =>
                        checkpoint.tensors.TryGetValue($"best.{pair.Key}", out var best)
                        && best.shape.SequenceEqual(pair.Value.shape)
                        && best.equal(pair.Value).all().ToBoolean()
                    )
                ? new TrainingResult(checkpoint.facts.History, checkpoint.facts.BestEpoch, TrainingResult.StoppedByUser)
                : null;
        }
        catch (UserException)
        {
            return null;
        }
    }

    /// <summary>Restores a run's state, bit for bit.</summary>
    /// <param name="state">The state of a new run with the same settings.</param>
    /// <exception cref="UserException">A tensor is missing, or has another shape or type.</exception>
    public void RestoreInto(TrainingState state)
    {
        using var noGrad = no_grad();
        var targets = state.Tensors();
        var odd = targets
            .Keys.Append(RandomState)
            .Except(tensors.Keys)
            .Concat(tensors.Keys.Except(targets.Keys.Append(RandomState)))
            .FirstOrDefault();
        if (odd is not null)
            throw new UserException($"{path} does not fit its own settings: '{odd}' is missing or unexpected");
        // Everything is checked before anything is changed; and libtorch terminates the process if the generator's
        // state is invalid.
        foreach (var (name, target) in targets)
        {
            if (!target.shape.AsSpan().SequenceEqual(tensors[name].shape) || target.dtype != tensors[name].dtype)
                throw new UserException($"{path} does not fit its own settings: '{name}' has another shape or type");
        }

        if (!RandomStates.IsValid(tensors[RandomState]))
            throw new UserException($"{path} is damaged: '{RandomState}' is not a valid state of the random generator");
        foreach (var (name, target) in targets)
            target.copy_(tensors[name]);
        state.History.AddRange(facts.History);
        state.BestEpoch = facts.BestEpoch;
        state.Stopping.Restore(facts.BestLoss, facts.EpochsWithout);
        state.Optimizer.Steps = facts.Steps;
        set_rng_state(tensors[RandomState]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in tensors.Values)
            tensor.Dispose();
    }

    /// <summary>The contents of the file's JSON metadata.</summary>
    /// <param name="Settings">Settings of the run.</param>
    /// <param name="History">One record per completed epoch.</param>
    /// <param name="BestEpoch">Number of the best epoch, from 1; 0 if there is none yet.</param>
    /// <param name="BestLoss">Validation loss of that epoch.</param>
    /// <param name="EpochsWithout">Number of epochs without improvement since then.</param>
    /// <param name="Steps">Number of optimizer steps, on which the learning rate depends.</param>
    private sealed record Facts(
        ModelSettings Settings,
        IReadOnlyList<EpochRecord> History,
        int BestEpoch,
        double BestLoss,
        int EpochsWithout,
        long Steps
    );
}
