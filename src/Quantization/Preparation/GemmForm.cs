// What it does: brings Gemm into the form that integer kernels support:  Y = A B + c, where c has one value per column.
//   alpha A B + beta C  =  A (alpha B) + (beta C)
//   C of shape [], [1], [1, 1] or [1, N] has one value per column; C of shape [M, 1] or [M, N], or a computed C, is
//   added after the product.
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Preparation;

/// <summary>
/// Brings Gemm nodes into the form that integer kernels support: no factors, and one bias value per column or no
/// bias.
/// </summary>
internal static class GemmForm
{
    /// <summary>Rewrites a model in place.</summary>
    /// <param name="model">The model; changed in place. A bias of another shape is added after the product, in
    /// float32.</param>
    public static void Apply(OnnxGraph model)
    {
        var names = new FreshNames(model);
        for (var index = 0; index < model.Nodes.Count; index++)
        {
            var node = model.Nodes[index];
            if (
                node.StandardType != "Gemm"
                || node.Inputs.Count < 2
                || model.Tensor(node.Inputs[1]) is not { Type: ElementType.Float32, Dims.Length: 2 } weight
            )
                continue;
            node.Inputs[1] = Scaled(model, names, node, "alpha", weight);
            if (node.Inputs.Count < 3 || node.Inputs[2].Length == 0)
                continue;
            if (model.Tensor(node.Inputs[2]) is { Type: ElementType.Float32 } bias)
            {
                node.Inputs[2] = Scaled(model, names, node, "beta", bias);
                var columns = weight.Dims[node.Int("transB", 0) != 0 ? 0 : 1];
                if (OfColumns(model.Initializers[node.Inputs[2]], columns) is { } vector)
                {
                    if (model.Initializers[node.Inputs[2]].Dims.Length == 1 && vector.Length == bias.Count)
                        continue;
                    node.Inputs[2] = Add(model, names, node, vector, columns);
                    continue;
                }
            }

            if (node.Float("beta", 1) != 1)
                continue;
            // Added after the product, in float32, so that the product itself can be an integer one.
            var sum = new OnnxNode
            {
                OpType = "Add",
                Name = names.Take($"{node.Name}:bias"),
                Inputs = [names.Take($"{node.Name}:product"), node.Inputs[2]],
                Outputs = [node.Outputs[0]],
            };
            node.Outputs[0] = sum.Inputs[0];
            node.Inputs.RemoveAt(2);
            model.Nodes.Insert(++index, sum);
        }
    }

    /// <summary>
    /// Multiplies a factor into a tensor and removes the attribute; returns the tensor itself if the factor is 1.
    /// </summary>
    /// <param name="model">The graph, which receives the new tensor.</param>
    /// <param name="names">Source of a name for the new tensor.</param>
    /// <param name="node">The Gemm, whose attribute is removed.</param>
    /// <param name="attribute"><c>alpha</c> or <c>beta</c>.</param>
    /// <param name="tensor">The tensor that the factor multiplies.</param>
    /// <returns>Name of the tensor to use.</returns>
    private static string Scaled(OnnxGraph model, FreshNames names, OnnxNode node, string attribute, Initializer tensor)
    {
        var factor = node.Float(attribute, 1);
        node.Attributes.Remove(attribute);
        return factor == 1
            ? tensor.Name
            : Add(model, names, node, Array.ConvertAll(tensor.Floats(), value => value * factor), tensor.Dims);
    }

    /// <summary>The bias with one value per column; null if it differs between rows.</summary>
    /// <param name="bias">Bias of any shape.</param>
    /// <param name="columns">Columns of the product.</param>
    /// <returns>One value per column, or null if rows differ.</returns>
    private static float[]? OfColumns(Initializer bias, long columns)
    {
        if (bias.Dims.Length > 2 || (bias.Dims.Length == 2 && bias.Dims[0] != 1))
            return null;
        var values = bias.Floats();
        if (values.Length == columns)
            return values;
        return values.Length == 1 ? [.. Enumerable.Repeat(values[0], (int)columns)] : null;
    }

    /// <summary>Adds a tensor under a unique name.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="names">Source of a name for the tensor.</param>
    /// <param name="node">The Gemm that uses it.</param>
    /// <param name="values">Values of the tensor.</param>
    /// <param name="dims">Shape of the tensor.</param>
    /// <returns>Name of the tensor.</returns>
    private static string Add(OnnxGraph model, FreshNames names, OnnxNode node, float[] values, params long[] dims)
    {
        var tensor = Initializer.Of(names.Take($"{node.Name}:constant"), values, dims);
        model.Add(tensor);
        return tensor.Name;
    }
}
