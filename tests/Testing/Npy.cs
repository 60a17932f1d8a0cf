// NumPy's .npy format, version 1: magic, header length, a Python dictionary with descr, fortran_order and shape, then
// the elements.
using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace TorchBridge.Testing;

/// <summary>An array from a .npy file: float32 or int64, C order, little-endian.</summary>
public sealed partial record Npy(long[] Shape, float[]? Floats, long[]? Integers)
{
    /// <summary>Reads a file.</summary>
    public static Npy Read(string path)
    {
        var bytes = File.ReadAllBytes(path);
        var length = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(8));
        var header = Encoding.ASCII.GetString(bytes, 10, length);
        var shape = Shapes()
            .Match(header)
            .Groups[1]
            .Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(text => long.Parse(text, CultureInfo.InvariantCulture))
            .ToArray();
        var data = bytes.AsSpan(10 + length);
        if (header.Contains("'<f4'", StringComparison.Ordinal))
            return new Npy(shape, MemoryMarshal.Cast<byte, float>(data).ToArray(), null);
        if (header.Contains("'<i8'", StringComparison.Ordinal))
            return new Npy(shape, null, MemoryMarshal.Cast<byte, long>(data).ToArray());
        throw new InvalidDataException($"{path}: {header}");
    }

    [GeneratedRegex(@"'shape':\s*\(([^)]*)\)")]
    private static partial Regex Shapes();
}
