// Replaces files, and kills itself (SIGKILL) before the N-th rename, or never if N = 0.
//   KilledWriter set FOLDER N TEXT        a set: a.txt and b.txt get TEXT, c.txt is removed
//   KilledWriter model PATH N VALUE       a model with a data file, whose tensors are all VALUE
//   KilledWriter file PATH N TEXT         one file
using System.Diagnostics;
using System.Globalization;
using TorchBridge.Onnx.Files;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;

var (kind, place, count, content) = (args[0], args[1], int.Parse(args[2], CultureInfo.InvariantCulture), args[3]);
AtomicFile.BeforeRename = _ =>
{
    if (--count != 0)
        return;
    using var self = Process.GetCurrentProcess();
    self.Kill();
    Thread.Sleep(Timeout.Infinite); // waits for the signal
};
switch (kind)
{
    case "set":
        using (var set = FileSet.Stage(place))
        {
            File.WriteAllText(set["a.txt"], content);
            File.WriteAllText(set["b.txt"], content);
            set.Publish(["a.txt", "b.txt"], ["c.txt"]);
        }

        break;
    case "model":
        var graph = new OnnxGraph { Opset = 17 };
        var values = new float[1000];
        Array.Fill(values, float.Parse(content, CultureInfo.InvariantCulture));
        graph.Add(Initializer.Of("w", values, values.Length));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Identity",
                Name = "copy",
                Inputs = ["w"],
                Outputs = ["y"],
            }
        );
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, [(long)values.Length]));
        using (var file = new StagedModel(place, graph, externalDataThreshold: 0))
        {
            file.Write(new Dictionary<string, string>(StringComparer.Ordinal) { ["value"] = content });
            file.Commit();
        }

        break;
    default:
        AtomicFile.Text(place, content);
        break;
}
