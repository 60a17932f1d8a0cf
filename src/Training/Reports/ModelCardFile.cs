using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Training.Reports;

/// <summary>The model card, for people and programs: the contents of the ONNX metadata, the training history, and the
/// parity of every route.</summary>
internal static class ModelCardFile
{
    /// <summary>Writes the card.</summary>
    /// <param name="folder">Folder of the card and of the files that it names.</param>
    /// <param name="model">The trained model.</param>
    /// <param name="data">The training data.</param>
    /// <param name="training">The result of training; null if not known.</param>
    /// <param name="test">Results on the test part.</param>
    /// <param name="packaging">The result of packaging.</param>
    public static void Write(
        ModelFolder folder,
        TrainedModel model,
        PictureData data,
        TrainingResult? training,
        TestFigures test,
        PackagingResult packaging
    ) =>
        AtomicWrite.Text(
            folder.Card,
            Json.Text(
                new
                {
                    Model = model.Description,
                    Run = model.Settings.RunId,
                    Files = new
                    {
                        Onnx = Path.GetFileName(folder.Onnx),
                        Zip = File.Exists(folder.Zip) ? Path.GetFileName(folder.Zip) : null,
                        Weights = Path.GetFileName(folder.Weights),
                    },
                    Input = "pixels: float32 [N, 3, H, W], RGB, 0 to 255; scale, mean and std are in the graph",
                    Outputs = "logits and probabilities: float32 [N, classes]",
                    model.Settings,
                    Data = new
                    {
                        data.Name,
                        Training = data.Training.Count,
                        Validation = data.Validation.Count,
                        Test = data.Test.Count,
                    },
                    Test = test,
                    Training = training,
                    Export = new
                    {
                        packaging.Export.CapturedOps,
                        packaging.Export.Nodes,
                        packaging.Export.Folded,
                        packaging.Export.NotFolded,
                        packaging.Export.Parity,
                    },
                    Parity = packaging.Parity,
                    Versions = Versions.All,
                }
            ) + "\n"
        );

    /// <summary>The training history from a card, for an export after training. The card of another run is
    /// ignored.</summary>
    /// <param name="card">The card's file.</param>
    /// <param name="runId">Id of the run.</param>
    public static TrainingResult? TrainingOf(string card, string runId)
    {
        try
        {
            return
                File.Exists(card)
                && JsonNode.Parse(File.ReadAllText(card)) is JsonObject read
                && read["run"] is JsonValue run
                && run.TryGetValue(out string? text)
                && text == runId
                ? read["training"].Deserialize<TrainingResult>(Json.Options) is { History.Count: > 0 } training
                    ? training
                    : null
                : null;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException)
        {
            return null; // a damaged card is about to be replaced
        }
    }
}
