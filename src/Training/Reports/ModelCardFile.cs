using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Parity;

namespace TorchBridge.Training.Reports;

/// <summary>The model card, for people and programs: what the ONNX metadata says, the history, and the proof of every route.</summary>
internal static class ModelCardFile
{
    /// <summary>Writes the card.</summary>
    public static void Write(ModelFolder folder, TrainedModel model, PictureData data, TrainingResult? training, Evaluation test, PackagingResult packaging) =>
        AtomicWrite.Text(folder.Card, Json.Text(new
        {
            Model = "ModernCNN",
            Files = new { Onnx = Path.GetFileName(folder.Onnx), Zip = Path.GetFileName(folder.Zip), Weights = Path.GetFileName(folder.Weights) },
            Input = "pixels: float32 [N, 3, H, W], RGB, 0 to 255; scale, mean and std are in the graph",
            Outputs = "logits and probabilities: float32 [N, classes]",
            model.Settings,
            Data = new { data.Name, Training = data.Training.Count, Validation = data.Validation.Count, Test = data.Test.Count },
            Test = Figures(test, data.Test.Count),
            Training = training,
            Export = new { packaging.Export.CapturedOps, packaging.Export.Nodes, packaging.Export.Folded, packaging.Export.NotFolded, packaging.Export.Parity },
            Parity = packaging.Parity,
            Versions = Versions.All,
        }) + "\n");

    /// <summary>The figures of an evaluation, without its logits.</summary>
    public static object Figures(Evaluation evaluation, int count) => new { evaluation.Accuracy, evaluation.TopFive, evaluation.Loss, Count = count };
}
