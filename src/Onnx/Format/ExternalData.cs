// The ONNX format describes a tensor outside the model's file by a location (a file name), an offset and a length. An
// untrusted model must not make a program read files that do not belong to it, so the location has to be the plain
// name of a file in the model's folder, and that file must not be a link. Source:
// github.com/onnx/onnx/blob/main/docs/ExternalData.md.
using System.Globalization;
using Google.Protobuf;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>Reads and describes tensors that are stored outside the model's file.</summary>
internal static class ExternalData
{
    private const string LocationKey = "location",
        OffsetKey = "offset",
        LengthKey = "length";

    /// <summary>Whether a tensor's elements are in a data file rather than in the model's message.</summary>
    /// <param name="tensor">A message of the model.</param>
    public static bool IsExternal(TensorProto tensor) => tensor.DataLocation == TensorProto.Types.DataLocation.External;

    /// <summary>Name of the data file that holds a tensor's elements.</summary>
    /// <param name="tensor">A message of the model.</param>
    /// <returns>Null if the tensor is in the message itself, or if the message names no file.</returns>
    public static string? Location(TensorProto tensor) => IsExternal(tensor) ? Entry(tensor, LocationKey) : null;

    /// <summary>Sets the file and the position of a tensor's data; the message itself must hold none.</summary>
    /// <param name="tensor">The tensor's message, which is changed.</param>
    /// <param name="location">Plain name of the data file, which is in the model's folder.</param>
    /// <param name="offset">Position of the first byte in that file.</param>
    /// <param name="length">Number of bytes.</param>
    public static void Describe(TensorProto tensor, string location, long offset, long length)
    {
        tensor.DataLocation = TensorProto.Types.DataLocation.External;
        tensor.ExternalData.Add(new StringStringEntryProto { Key = LocationKey, Value = location });
        tensor.ExternalData.Add(
            new StringStringEntryProto { Key = OffsetKey, Value = offset.ToString(CultureInfo.InvariantCulture) }
        );
        tensor.ExternalData.Add(
            new StringStringEntryProto { Key = LengthKey, Value = length.ToString(CultureInfo.InvariantCulture) }
        );
    }

    /// <summary>Reads a tensor's data into its message.</summary>
    /// <param name="tensor">The tensor's message, which is changed.</param>
    /// <param name="modelPath">The model's file; the data file is in the same folder.</param>
    /// <exception cref="InvalidDataException">The location is not allowed, the tensor does not lie within the data
    /// file, or the tensor is larger than 2 GB.</exception>
    /// <exception cref="IOException">The data file cannot be read.</exception>
    public static void Embed(TensorProto tensor, string modelPath)
    {
        tensor.RawData = UnsafeByteOperations.UnsafeWrap(Read(tensor, modelPath));
        tensor.DataLocation = TensorProto.Types.DataLocation.Default;
        tensor.ExternalData.Clear();
    }

    /// <summary>
    /// Reads a tensor's bytes. Memory is allocated only after location, length and shape have been checked against
    /// each other.
    /// </summary>
    /// <param name="tensor">The tensor's message, which says where its bytes are.</param>
    /// <param name="modelPath">The model's file.</param>
    private static byte[] Read(TensorProto tensor, string modelPath)
    {
        var file = FileOf(tensor, modelPath);
        var offset = Number(tensor, OffsetKey) ?? 0;
        if (offset > file.Length)
            throw Refuse(tensor, $"begins at byte {offset} of {file.Name}, which has only {file.Length} bytes");
        var length = Number(tensor, LengthKey) ?? file.Length - offset;
        if (length > file.Length - offset)
            throw Refuse(
                tensor,
                $"needs {length} bytes from byte {offset} of {file.Name}, which has only {file.Length}"
            );
        if (length > Array.MaxLength)
            throw Refuse(tensor, $"has {length} bytes; at most {Array.MaxLength} bytes (2 GB) can be read");
        if (
            ElementTypes.SizeOf((ElementType)tensor.DataType) is { } size
            && TensorFields.ByteCount(tensor, size) != length
        )
            throw Refuse(
                tensor,
                $"is [{string.Join(", ", tensor.Dims)}] of {(ElementType)tensor.DataType}, but its data have {length} bytes"
            );
        var bytes = new byte[length];
        if (length == 0)
            return bytes;
        using var stream = new FileStream(file.FullName, FileMode.Open, FileAccess.Read, FileShare.Read);
        stream.Position = offset;
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>The data file: a regular file in the model's folder.</summary>
    /// <param name="tensor">The tensor's message, which says where its bytes are.</param>
    /// <param name="modelPath">The model's file.</param>
    private static FileInfo FileOf(TensorProto tensor, string modelPath)
    {
        var location = Entry(tensor, LocationKey)
            ?? throw Refuse(tensor, "is stored outside the model's file, but the model does not name that other file");
        // Both separators on every system: a model written on Windows may be read on Linux, and vice versa.
        if (location.Length == 0 || location is "." or ".." || location.AsSpan().ContainsAny("/\\:\0"))
            throw Refuse(
                tensor,
                $"is stored in '{location}'; only the plain name of a file in the model's folder is allowed"
            );
        var file = new FileInfo(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(modelPath))!, location));
        if (!file.Exists)
            throw new FileNotFoundException(
                $"the data file {file.FullName} of tensor '{tensor.Name}' does not exist",
                file.FullName
            );
        if (file.LinkTarget is not null)
            throw Refuse(
                tensor,
                $"is stored in '{location}', which is a link; only a regular file in the model's folder is allowed"
            );
        return file;
    }

    /// <summary>
    /// A number from the tensor's external-data entries, 0 or greater; null if the entry is missing.
    /// </summary>
    /// <param name="tensor">A tensor stored outside the model's file.</param>
    /// <param name="key"><c>offset</c> or <c>length</c>.</param>
    private static long? Number(TensorProto tensor, string key)
    {
        if (Entry(tensor, key) is not { } text)
            return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Refuse(tensor, $"has the {key} '{text}'; a whole number of at least 0 is required");
    }

    /// <summary>The value of an external-data entry; the first one if a key is repeated.</summary>
    /// <param name="tensor">A tensor stored outside the model's file.</param>
    /// <param name="key"><c>location</c>, <c>offset</c> or <c>length</c>.</param>
    private static string? Entry(TensorProto tensor, string key) =>
        tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;

    /// <summary>An exception that names the tensor.</summary>
    /// <param name="tensor">The tensor that is refused.</param>
    /// <param name="reason">What is wrong with the tensor.</param>
    private static InvalidDataException Refuse(TensorProto tensor, string reason) =>
        new($"tensor '{tensor.Name}' {reason}");
}
