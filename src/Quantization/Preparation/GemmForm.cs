// What it does: brings Gemm into the form that integer kernels have:  Y = A B + c, with c a vector of one number a
// column.
//   alpha A B + beta C  =  A (alpha B) + (beta C)
//   C of [], [1], [1, 1], [1, N] is one number a column; of [M, 1] or [M, N], or where it is computed, it is added
// behind.
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Preparation;

/// <summary>
/// Brings Gemm nodes into the one form that integer kernels have: no factors, and a bias of one number per column or
/// none.
/// </summary>
internal static class GemmForm
{
    /// <summary>Rewrites a model in place.</summary>
    /// <param name="model">Changed in place. A bias of another shape is added behind the product, in float32.</param>
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
            // Added behind, in float32: the product itself is then one of integers.
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
    /// Multiplies a factor into a tensor, and takes the attribute away; the tensor itself where the factor is 1.
    /// </summary>
    /// <param name="model">The graph; it gets the new tensor.</param>
    /// <param name="names">For the new tensor.</param>
    /// <param name="node">The Gemm, which loses the attribute.</param>
    /// <param name="attribute"><c>alpha</c> or <c>beta</c>.</param>
    /// <param name="tensor">What it multiplies.</param>
    /// <returns>Name of the tensor to read.</returns>
    private static string Scaled(OnnxGraph model, FreshNames names, OnnxNode node, string attribute, Initializer tensor)
    {
        var factor = node.Float(attribute, 1);
        node.Attributes.Remove(attribute);
        return factor == 1
            ? tensor.Name
            : Add(model, names, node, Array.ConvertAll(tensor.Floats(), value => value * factor), tensor.Dims);
    }

    /// <summary>One number a column; null where rows have numbers of their own.</summary>
    /// <param name="bias">Bias of any shape.</param>
    /// <param name="columns">Columns of the product.</param>
    /// <returns>A number for each column, or null where rows differ.</returns>
    private static float[]? OfColumns(Initializer bias, long columns)
    {
        if (bias.Dims.Length > 2 || (bias.Dims.Length == 2 && bias.Dims[0] != 1))
            return null;
        var values = bias.Floats();
        if (values.Length == columns)
            return values;
        return values.Length == 1 ? [.. Enumerable.Repeat(values[0], (int)columns)] : null;
    }

    /// <summary>Adds a tensor under a name that is free.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="names">For the tensor.</param>
    /// <param name="node">The Gemm that it belongs to.</param>
    /// <param name="values">Its numbers.</param>
    /// <param name="dims">Its shape.</param>
    /// <returns>Its name.</returns>
    private static string Add(OnnxGraph model, FreshNames names, OnnxNode node, float[] values, params long[] dims)
    {
        var tensor = Initializer.Of(names.Take($"{node.Name}:constant"), values, dims);
        model.Add(tensor);
        return tensor.Name;
    }
}
