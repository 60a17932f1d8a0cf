using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>Walks the graph of a ResNet-18 written by CNTK, from the input to the average pool, and gives its tensors
/// torchvision's names.</summary>
internal sealed class CntkResNetGraph
{
    /// <summary>Number of blocks per stage: CNTK's ResNet-18 has one more in the last stage than the published
    /// one.</summary>
    public static readonly IReadOnlyList<int> Blocks = [2, 2, 2, 3];
    private const float Epsilon = 1e-5f;
    private readonly OnnxGraph graph;
    private readonly GraphIndex index;
    private readonly Dictionary<string, Tensor> tensors = new(StringComparer.Ordinal);

    /// <summary>Starts at a graph's input.</summary>
    /// <param name="graph">The graph written by CNTK.</param>
    private CntkResNetGraph(OnnxGraph graph)
    {
        this.graph = graph;
        index = graph.Index();
    }

    /// <summary>Reads the tensors by torchvision's keys; the caller disposes them.</summary>
    /// <param name="graph">The graph written by CNTK.</param>
    /// <exception cref="InvalidDataException">A node is not the one expected in a ResNet-18.</exception>
    public static Dictionary<string, Tensor> Read(OnnxGraph graph)
    {
        using var scope = NewDisposeScope();
        var walk = new CntkResNetGraph(graph);
        var value = walk.Stem(graph.InputNames.Single());
        for (var stage = 1; stage <= Blocks.Count; stage++)
        {
            for (var block = 0; block < Blocks[stage - 1]; block++)
                value = walk.Block(value, $"layer{stage}.{block}", stage > 1 && block == 0 ? 2 : 1);
        }

        var pool = walk.Only(value, "AveragePool");
        if (!pool.Ints("kernel_shape").SequenceEqual([7L, 7]))
            throw new InvalidDataException($"{pool.Name} does not pool over the whole last feature maps");
        var unread =
            graph.Initializers.Values.Count(tensor => tensor.Type == ElementType.Float32 && tensor.Count > 1)
            - walk.tensors.Count;
        if (unread != 0)
            throw new InvalidDataException($"{unread} of its tensors do not belong to a ResNet-18");
        foreach (var tensor in walk.tensors.Values)
            tensor.DetachFromDisposeScope();
        return walk.tensors;
    }

    /// <summary>Reads the first convolution, its norm and the pool.</summary>
    /// <param name="input">Name of the graph's input.</param>
    /// <returns>The output of the pool.</returns>
    private string Stem(string input)
    {
        var value = ConvNorm(Only(input, "Conv"), "conv1", "bn1", 7, 2);
        // The file takes blue, green, red; with its input channels reversed, the first convolution takes red, green,
        // blue.
        tensors["conv1.weight"] = tensors["conv1.weight"].flip(1).contiguous();
        var pool = Only(Only(value, "Relu").Outputs[0], "MaxPool");
        if (!pool.Ints("kernel_shape").SequenceEqual([3L, 3]) || !pool.Ints("strides").SequenceEqual([2L, 2]))
            throw new InvalidDataException($"{pool.Name} is not 3 x 3 with stride 2");
        return pool.Outputs[0];
    }

    /// <summary>Reads a residual block.</summary>
    /// <param name="input">The value that it reads.</param>
    /// <param name="key">Its prefix in torchvision's names.</param>
    /// <param name="stride">1 or 2.</param>
    /// <returns>The output of its last ReLU.</returns>
    private string Block(string input, string key, int stride)
    {
        var readers = index.Readers(input).ToArray();
        var shortcut = readers.SingleOrDefault(node =>
            node.OpType == "Conv" && node.Ints("kernel_shape").All(size => size == 1)
        );
        var first = readers.SingleOrDefault(node => node.OpType == "Conv" && node != shortcut)
            ?? throw new InvalidDataException($"{input} is not read by exactly one 3 x 3 convolution");
        var branch = ConvNorm(first, $"{key}.conv1", $"{key}.bn1", 3, stride);
        branch = ConvNorm(Only(Only(branch, "Relu").Outputs[0], "Conv"), $"{key}.conv2", $"{key}.bn2", 3, 1);
        if ((shortcut is not null) != (stride == 2))
            throw new InvalidDataException($"the shortcut around {first.Name} is not that of a ResNet-18");
        var beside = shortcut is null
            ? input
            : ConvNorm(shortcut, $"{key}.downsample.0", $"{key}.downsample.1", 1, stride);
        var sum = Only(branch, "Add");
        if (!sum.Inputs.Order().SequenceEqual(new[] { branch, beside }.Order()))
            throw new InvalidDataException($"{sum.Name} does not add {branch} and {beside}");
        return Only(sum.Outputs[0], "Relu").Outputs[0];
    }

    /// <summary>
    /// Reads a convolution and the norm after it, whose attributes must be torchvision's.
    /// </summary>
    /// <param name="conv">The node.</param>
    /// <param name="convKey">Its name in torchvision.</param>
    /// <param name="normKey">The norm's name there.</param>
    /// <param name="kernel">Side of the kernel.</param>
    /// <param name="stride">1 or 2.</param>
    /// <returns>The output of the norm.</returns>
    private string ConvNorm(OnnxNode conv, string convKey, string normKey, int kernel, int stride)
    {
        // The padding before is torchvision's; the padding after is the same or, with stride 2, one less, because the
        // missing row is not read.
        var pad = (kernel - 1) / 2;
        long[] pads = [.. conv.Ints("pads")];
        var isPadded =
            pads.Length == 4
            && pads[0] == pad
            && pads[1] == pad
            && pads[2..].All(after => after == pad || (stride == 2 && after == pad - 1));
        var isPlain =
            conv.Inputs.Count == 2
            && conv.Int("group", 1) == 1
            && conv.Ints("dilations").All(step => step == 1)
            && conv.Text("auto_pad", "NOTSET") == "NOTSET";
        if (
            !isPlain
            || !isPadded
            || !conv.Ints("kernel_shape").SequenceEqual([kernel, (long)kernel])
            || !conv.Ints("strides").SequenceEqual([stride, (long)stride])
        )
            throw new InvalidDataException(
                $"{conv.Name} is not the {kernel} x {kernel} convolution with stride {stride} expected for {convKey}"
            );
        var norm = Only(conv.Outputs[0], "BatchNormalization");
        if (norm.Float("epsilon", Epsilon) != Epsilon || norm.Int("spatial", 1) != 1)
            throw new InvalidDataException(
                $"{norm.Name} has eps {norm.Float("epsilon", Epsilon)}; expected for {normKey} is {Epsilon}, per "
                    + $"channel"
            );
        Take($"{convKey}.weight", conv.Inputs[1]);
        foreach (
            var (name, input) in new[] { "weight", "bias", "running_mean", "running_var" }.Zip(norm.Inputs.Skip(1))
        )
            Take($"{normKey}.{name}", input);
        return norm.Outputs[0];
    }

    /// <summary>Reads a tensor of the file.</summary>
    /// <param name="key">Its name in torchvision.</param>
    /// <param name="value">Its name in the file.</param>
    private void Take(string key, string value)
    {
        var stored = graph.Tensor(value)
            ?? throw new InvalidDataException($"{value}, which should be {key}, is not a tensor of the file");
        tensors.Add(key, tensor(stored.Floats()).view(stored.Dims));
    }

    /// <summary>The only node of a type that reads a value.</summary>
    /// <param name="value">A value of the graph.</param>
    /// <param name="type">The operator.</param>
    /// <exception cref="InvalidDataException">There is none, or more than one.</exception>
    private OnnxNode Only(string value, string type) =>
        index.Readers(value).SingleOrDefault(node => node.OpType == type)
        ?? throw new InvalidDataException($"{value} is not read by exactly one {type}");
}
