using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Inference;

/// <summary>Creates the variant of a classifier's ONNX file that stock ML.NET supports best.</summary>
public static class MlNetModel
{
    /// <summary>Name of the output with the probabilities.</summary>
    public const string Score = "Score";

    /// <summary>Name of the output with the most probable class's name.</summary>
    public const string PredictedLabel = "PredictedLabel";

    /// <summary>
    /// The domain of classical machine learning operators; ML.NET reads slot names from one of its LabelEncoder
    /// nodes.
    /// </summary>
    private const string MlDomain = "ai.onnx.ml";

    /// <summary>
    /// Returns a copy of a classifier whose outputs are <c>Score</c> (float32 [N, classes], with the class names as
    /// slot names) and <c>PredictedLabel</c> (string [N, 1]). ML.NET treats every ONNX output as a vector, so the
    /// label is a text vector of length one there.
    /// </summary>
    /// <param name="onnx">A classifier's ONNX file.</param>
    /// <param name="name">Name of the model in error messages.</param>
    /// <param name="classNames">One name per class, in the order of the scores.</param>
    /// <param name="probabilities">Name of the output with the probabilities.</param>
    /// <returns>The new file's bytes.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ONNX file, or the model has no such
    /// output.</exception>
    public static byte[] From(
        byte[] onnx,
        string name,
        IReadOnlyList<string> classNames,
        string probabilities = ModelNames.Probabilities
    )
    {
        ArgumentNullException.ThrowIfNull(classNames);
        var graph = OnnxReader.Read(onnx, name);
        var output = graph.Outputs.FirstOrDefault(value => value.Name == probabilities)
            ?? throw new InvalidDataException(
                $"{name} has no output '{probabilities}'; it has {string.Join(", ", graph.OutputNames)}"
            );
        if (output.Dims.Length == 0)
            throw new InvalidDataException(
                $"the output '{probabilities}' of {name} has no declared shape; expected is [N, classes]"
            );
        graph.Rename(probabilities, Score);
        graph.Add(Initializer.Of("class_names", classNames));
        graph.Nodes.Add(Node("ArgMax", "label/ArgMax", [Score], "label_index", ("axis", 1L), ("keepdims", 1L)));
        graph.Nodes.Add(Node("Gather", "label/Gather", ["class_names", "label_index"], PredictedLabel));
        graph.Nodes.Add(SlotNames(classNames));
        graph.Outputs.Clear();
        graph.Outputs.Add(new ValueInfo(Score, ElementType.Float32, [output.Dims[0], (long)classNames.Count]));
        graph.Outputs.Add(new ValueInfo(PredictedLabel, ElementType.Text, [output.Dims[0], 1L]));
        graph.Infos.Clear();
        graph.Rest!.OpsetImport.Add(new OperatorSetIdProto { Domain = MlDomain, Version = 3 });
        return OnnxWriter.ToBytes(graph);
    }

    /// <summary>
    /// ML.NET looks for a node with this name and uses its keys_strings as the slot names of Score; its result is not
    /// used.
    /// </summary>
    /// <param name="classNames">Class names in the model's order.</param>
    private static OnnxNode SlotNames(IReadOnlyList<string> classNames)
    {
        var numbers = Enumerable.Range(0, classNames.Count).Select(i => (long)i).ToArray();
        var names = new OnnxNode
        {
            OpType = "LabelEncoder",
            Domain = MlDomain,
            Name = $"mlnet.{Score}.SlotNames",
            Inputs = [PredictedLabel],
            Outputs = ["label_number"],
        };
        names.Attributes["keys_strings"] = classNames.ToArray();
        names.Attributes["values_int64s"] = numbers;
        return names;
    }

    /// <summary>Creates a node with one output and attributes.</summary>
    private static OnnxNode Node(
        string opType,
        string name,
        List<string> inputs,
        string output,
        params (string Name, object Value)[] attributes
    )
    {
        var node = new OnnxNode
        {
            OpType = opType,
            Name = name,
            Inputs = inputs,
            Outputs = [output],
        };
        foreach (var (key, value) in attributes)
            node.Attributes[key] = value;
        return node;
    }
}
