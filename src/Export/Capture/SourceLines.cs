using System.Collections.Concurrent;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;

namespace TorchBridge.Export.Capture;

/// <summary>Finds the source line of an IL offset in the portable debug symbols beside the assembly, if there are
/// any.</summary>
internal static class SourceLines
{
    private static readonly ConcurrentDictionary<string, MetadataReaderProvider?> Symbols = new(StringComparer.Ordinal);

    /// <summary>Returns <c>, line 42 of Blocks.cs</c>, or an empty string if there are no symbols.</summary>
    /// <param name="method">The method that contains the instruction.</param>
    /// <param name="offset">IL offset of an instruction.</param>
    public static string Find(MethodBase method, int offset)
    {
        var location = method.Module.Assembly.Location;
        if (location.Length == 0 || Symbols.GetOrAdd(location, Open) is not { } provider)
            return "";
        try
        {
            var reader = provider.GetMetadataReader();
            var handle = MetadataTokens
                .MethodDefinitionHandle(method.MetadataToken & 0xFF_FFFF)
                .ToDebugInformationHandle();
            var points = reader
                .GetMethodDebugInformation(handle)
                .GetSequencePoints()
                .Where(point => !point.IsHidden && point.Offset <= offset)
                .ToArray();
            if (points.Length == 0)
                return "";
            var nearest = points[^1];
            var file = reader.GetString(reader.GetDocument(nearest.Document).Name);
            return $", line {nearest.StartLine} of {file[(file.LastIndexOfAny(['/', '\\']) + 1)..]}";
        }
        catch (BadImageFormatException)
        {
            return ""; // Symbols of another build: no line is better than a wrong line.
        }
    }

    /// <summary>The symbols beside an assembly; null if there are none.</summary>
    private static MetadataReaderProvider? Open(string assembly)
    {
        var path = Path.ChangeExtension(assembly, ".pdb");
        try
        {
            return File.Exists(path) ? MetadataReaderProvider.FromPortablePdbStream(File.OpenRead(path)) : null;
        }
        catch (Exception error) when (error is BadImageFormatException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
