using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.OnnxRuntime;
using TorchSharp;

namespace TorchBridge.Training.Artifacts;

/// <summary>Versions and machine information, for the model card.</summary>
internal static class Versions
{
    /// <summary>This program's version, with the commit from which it was built.</summary>
    public static string Program { get; } =
        typeof(Versions).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? typeof(Versions).Assembly.GetName().Version!.ToString();

    /// <summary>
    /// Versions of this program, its libraries, .NET and the operating system, by their names in the card.
    /// </summary>
    public static IReadOnlyDictionary<string, string> All { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["torchbridge"] = Program,
            ["torchsharp"] = Of(typeof(torch)),
            ["onnxruntime"] = Of(typeof(InferenceSession)),
            ["ml_net"] = Of(typeof(MLContext)),
            ["dotnet"] = Environment.Version.ToString(),
            ["os"] = RuntimeInformation.OSDescription,
            ["architecture"] = RuntimeInformation.ProcessArchitecture.ToString(),
            ["processors"] = Environment.ProcessorCount.ToString(System.Globalization.CultureInfo.InvariantCulture),
        };

    /// <summary>A library's version without its commit.</summary>
    /// <param name="type">Any type of the library.</param>
    private static string Of(Type type) =>
        type.Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
        ?? type.Assembly.GetName().Version!.ToString();
}
