using System.Globalization;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Preparation;

/// <summary>Creates names that are unique in a model, whose own nodes and values may already use the wanted
/// ones.</summary>
/// <param name="model">The model whose names are taken.</param>
internal sealed class FreshNames(OnnxGraph model)
{
    /// <summary>Names of the model's nodes and values, and the names created so far.</summary>
    private readonly HashSet<string> taken = model.Names();

    /// <summary>Returns the wanted name, or a variant if it is taken.</summary>
    /// <param name="wanted">The wanted name.</param>
    /// <returns>The name, with <c>_2</c>, <c>_3</c> and so on appended if needed; it is taken from now on.</returns>
    public string Take(string wanted)
    {
        var name = wanted;
        for (var number = 2; !taken.Add(name); number++)
            name = string.Create(CultureInfo.InvariantCulture, $"{wanted}_{number}");
        return name;
    }
}
