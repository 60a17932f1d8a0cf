using System.Collections;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Finds the tensors in a result or argument of <c>forward</c>: a tensor, or tuples, lists and dictionaries
/// of tensors.</summary>
internal static class ForwardResult
{
    /// <summary>
    /// The tensors in a result or argument, with the names that its structure gives them: <c>output</c>,
    /// <c>output0</c>, a key.
    /// </summary>
    /// <param name="result">Any value.</param>
    /// <param name="name">Name of the value as a whole.</param>
    /// <returns>Tensors in the order of the structure; empty if the value holds no tensor.</returns>
    public static IEnumerable<(string Name, Tensor Tensor)> Flatten(object? result, string name = "output") =>
        result switch
        {
            // A result that was not requested (attention weights) is returned as a tensor without a handle.
            Tensor tensor => tensor.IsInvalid ? [] : [(name, tensor)],
            ITuple tuple => Enumerable.Range(0, tuple.Length).SelectMany(i => Flatten(tuple[i], $"{name}{i}")),
            string => [],
            TensorIndex[] indices => indices.SelectMany(index => Flatten(ArgumentConverter.TensorOf(index), name)),
            TensorIndex index => Flatten(ArgumentConverter.TensorOf(index), name),
            IEnumerable<Tensor> sequence => sequence.SelectMany((tensor, i) => Flatten(tensor, $"{name}{i}")),
            IDictionary dictionary => dictionary
                .Keys.Cast<object>()
                .SelectMany(key => Flatten(dictionary[key], $"{key}")),
            _ => [],
        };
}
