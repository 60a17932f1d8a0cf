using System.Text.Json;

namespace TorchBridge.Testing;

/// <summary>A case of ../shared/golden: arrays computed by PyTorch, each with its tolerance.</summary>
public sealed class GoldenCase
{
    private readonly string root;
    private readonly JsonElement entry;

    private GoldenCase(string root, JsonElement entry) => (this.root, this.entry) = (root, entry);

    /// <summary>Opens a case, or returns null if ../shared/golden is not there.</summary>
    public static GoldenCase? Find(string name)
    {
        if (Shared.Find("golden", "manifest.json") is not { } manifest)
            return null;
        var cases = JsonDocument.Parse(File.ReadAllBytes(manifest)).RootElement.GetProperty("cases");
        return new GoldenCase(
            Path.GetDirectoryName(manifest)!,
            cases.EnumerateArray().First(item => item.GetProperty("name").GetString() == name)
        );
    }

    /// <summary>Names of the inputs.</summary>
    public IEnumerable<string> Inputs => entry.GetProperty("inputs").EnumerateObject().Select(item => item.Name);

    /// <summary>Names of the outputs.</summary>
    public IEnumerable<string> Outputs => entry.GetProperty("outputs").EnumerateObject().Select(item => item.Name);

    /// <summary>A parameter of the case.</summary>
    public JsonElement Parameter(string name) => entry.GetProperty("params").GetProperty(name);

    /// <summary>An input array.</summary>
    public Npy Input(string name) =>
        Npy.Read(Path.Combine(root, entry.GetProperty("inputs").GetProperty(name).GetProperty("file").GetString()!));

    /// <summary>An output array with its tolerance.</summary>
    public (Npy Array, double Atol, double Rtol) Output(string name)
    {
        var output = entry.GetProperty("outputs").GetProperty(name);
        return (
            Npy.Read(Path.Combine(root, output.GetProperty("file").GetString()!)),
            output.GetProperty("atol").GetDouble(),
            output.GetProperty("rtol").GetDouble()
        );
    }

    /// <summary>Compares with an output. The tolerance is the difference between PyTorch's float32 and float64
    /// results of the case.</summary>
    public void Check(string output, IReadOnlyList<float> got)
    {
        var (array, atol, rtol) = Output(output);
        Close.To(
            array.Floats!,
            got,
            atol,
            rtol,
            $"{entry.GetProperty("name").GetString()}, {output}; tolerance of the golden case"
        );
    }
}
