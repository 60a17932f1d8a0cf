// Tensors outside the model's file, as the ONNX format has them: a location (the name of a file beside the model), an
// offset and a length. A model from outside must not make a program read other files than its own: the location is
// the plain name of a file in the model's folder, and that file is no link. Source:
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

    /// <summary>
    /// Whether a tensor's elements stand in a data file, and not in the model's message.
    /// </summary>
    /// <param name="tensor">A message of the model.</param>
    public static bool IsExternal(TensorProto tensor) => tensor.DataLocation == TensorProto.Types.DataLocation.External;

    /// <summary>Name of the data file that a tensor's elements are in.</summary>
    /// <param name="tensor">A message of the model.</param>
    /// <returns>Null where the tensor stands in the message itself, or its place is not named.</returns>
    public static string? Location(TensorProto tensor) => IsExternal(tensor) ? Entry(tensor, LocationKey) : null;

    /// <summary>Says where a tensor's data are; the message itself then holds none.</summary>
    /// <param name="tensor">Is changed.</param>
    /// <param name="location">Plain name of the data file, beside the model.</param>
    /// <param name="offset">First byte in it.</param>
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
    /// <param name="tensor">Is changed.</param>
    /// <param name="modelPath">The model's file; the data are beside it.</param>
    /// <exception cref="InvalidDataException">The place is not allowed, or not within the data file; or the tensor is
    /// beyond 2 GB.</exception>
    /// <exception cref="IOException">The data file cannot be read.</exception>
    public static void Embed(TensorProto tensor, string modelPath)
    {
        tensor.RawData = UnsafeByteOperations.UnsafeWrap(Read(tensor, modelPath));
        tensor.DataLocation = TensorProto.Types.DataLocation.Default;
        tensor.ExternalData.Clear();
    }

    /// <summary>
    /// Reads a tensor's bytes, once place, length and sizes were found to fit each other: memory is taken only then.
    /// </summary>
    /// <param name="tensor">Says where its bytes are.</param>
    /// <param name="modelPath">The file that it stands in.</param>
    private static byte[] Read(TensorProto tensor, string modelPath)
    {
        var file = FileOf(tensor, modelPath);
        var offset = Number(tensor, OffsetKey) ?? 0;
        if (offset > file.Length)
            throw Refuse(tensor, $"begins at byte {offset} of {file.Name}, which has {file.Length}");
        var length = Number(tensor, LengthKey) ?? file.Length - offset;
        if (length > file.Length - offset)
            throw Refuse(tensor, $"is {length} bytes from byte {offset} of {file.Name}, which has {file.Length}");
        if (length > Array.MaxLength)
            throw Refuse(tensor, $"is {length} bytes; tensors of up to {Array.MaxLength} bytes (2 GB) are read");
        if (
            ElementTypes.SizeOf((ElementType)tensor.DataType) is { } size
            && TensorFields.ByteCount(tensor, size) != length
        )
            throw Refuse(
                tensor,
                $"is [{string.Join(", ", tensor.Dims)}] of {(ElementType)tensor.DataType}, and its data are {length} bytes"
            );
        var bytes = new byte[length];
        if (length == 0)
            return bytes;
        using var stream = new FileStream(file.FullName, FileMode.Open, FileAccess.Read, FileShare.Read);
        stream.Position = offset;
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>The data file: a plain file beside the model.</summary>
    /// <param name="tensor">Says where its bytes are.</param>
    /// <param name="modelPath">The file that it stands in.</param>
    private static FileInfo FileOf(TensorProto tensor, string modelPath)
    {
        var location = Entry(tensor, LocationKey)
            ?? throw Refuse(tensor, "is stored outside the file, in a place that is not named");
        // Both separators, on every system: a model made on Windows is read on Linux, and the other way round.
        if (location.Length == 0 || location is "." or ".." || location.AsSpan().ContainsAny("/\\:\0"))
            throw Refuse(tensor, $"is stored in '{location}'; allowed is the plain name of a file beside the model");
        var file = new FileInfo(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(modelPath))!, location));
        if (!file.Exists)
            throw new FileNotFoundException(
                $"the data file {file.FullName} of tensor '{tensor.Name}' is not there",
                file.FullName
            );
        if (file.LinkTarget is not null)
            throw Refuse(
                tensor,
                $"is stored in '{location}', which is a link; allowed is a plain file beside the model"
            );
        return file;
    }

    /// <summary>A number of the tensor's external entries, from 0; null where the entry is missing.</summary>
    /// <param name="tensor">A tensor outside.</param>
    /// <param name="key"><c>offset</c> or <c>length</c>.</param>
    private static long? Number(TensorProto tensor, string key)
    {
        if (Entry(tensor, key) is not { } text)
            return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Refuse(tensor, $"has the {key} '{text}'; allowed is a whole number from 0");
    }

    /// <summary>An entry of the tensor's external data by its key; the first where a writer put several.</summary>
    /// <param name="tensor">A tensor outside.</param>
    /// <param name="key"><c>location</c>, <c>offset</c> or <c>length</c>.</param>
    private static string? Entry(TensorProto tensor, string key) =>
        tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;

    /// <summary>A refusal that names the tensor, with its numbers in the invariant culture.</summary>
    /// <param name="tensor">What is wrong.</param>
    /// <param name="reason">Why, in any culture alike.</param>
    private static InvalidDataException Refuse(TensorProto tensor, FormattableString reason) =>
        new($"tensor '{tensor.Name}' {FormattableString.Invariant(reason)}");

    /// <summary>A refusal that names the tensor.</summary>
    /// <param name="tensor">What is wrong.</param>
    /// <param name="reason">Why.</param>
    private static InvalidDataException Refuse(TensorProto tensor, string reason) =>
        new($"tensor '{tensor.Name}' {reason}");
}
