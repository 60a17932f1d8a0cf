using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>Random operations with random options, dtypes and values, exported and compared on inputs that the export has not seen.</summary>
public static class OperationGenerator
{
    /// <summary>Names of the operations.</summary>
    public static IReadOnlyList<string> Operations { get; } = [.. OperationCases.All.Select(row => row.Name)];

    /// <summary>Makes, exports and compares one case.</summary>
    /// <param name="seed">Its number: the same seed gives the same case.</param>
    /// <param name="path">Where the file may be written.</param>
    /// <param name="operation">One of <see cref="Operations"/>, or null for the next in turn.</param>
    public static GeneratedResult Run(int seed, string path, string? operation = null)
    {
        using var scope = NewDisposeScope();
        var rows = OperationCases.All;
        var row = operation is null ? rows[(int)((uint)seed % rows.Count)] : rows.First(row => row.Name == operation);
        return CaseRunner.Run(OperationCases.Of(row, new Draw(seed)), path);
    }
}
