using System.Globalization;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Preparation;

/// <summary>Gives names that nothing in a model has: its values and nodes may be called as ours would be.</summary>
/// <param name="model">Whose names are taken.</param>
internal sealed class FreshNames(OnnxGraph model)
{
    /// <summary>Names of the model's nodes and values, and those that were given out.</summary>
    private readonly HashSet<string> taken = model.Names();

    /// <summary>A name; the one that is wanted, unless it is taken.</summary>
    /// <param name="wanted">What it should be called.</param>
    /// <returns>The name, or the name with <c>_2</c>, <c>_3</c> and so on; it is taken from now on.</returns>
    public string Take(string wanted)
    {
        var name = wanted;
        for (var number = 2; !taken.Add(name); number++)
            name = string.Create(CultureInfo.InvariantCulture, $"{wanted}_{number}");
        return name;
    }
}
