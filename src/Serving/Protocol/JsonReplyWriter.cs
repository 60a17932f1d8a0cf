using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Writes a reply as JSON, followed by the binary tensors.</summary>
internal static class JsonReplyWriter
{
    /// <summary>Compact output. Validation is skipped, because the code below always nests correctly.</summary>
    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = JavaScriptEncoder.Default,
        SkipValidation = true,
    };

    /// <summary>Writes a reply.</summary>
    /// <param name="reply">The reply to write.</param>
    /// <param name="target">Receives the JSON and then the binary tensors.</param>
    /// <returns>Length of the JSON part in bytes; null if no binary data follow.</returns>
    /// <exception cref="RequestRefusedException">A value cannot be written as JSON: NaN, an infinity, or bytes that
    /// are not UTF-8 text.</exception>
    public static int? Write(InferenceReply reply, ArrayBufferWriter<byte> target)
    {
        using (var writer = new Utf8JsonWriter(target, Options))
            WriteObject(writer, reply);
        var length = target.WrittenCount;
        foreach (var (tensor, binary) in reply.Outputs)
        {
            if (binary)
                RawTensorWriter.Write(tensor, target);
        }

        return reply.Outputs.Any(output => output.Binary) ? length : null;
    }

    /// <summary>Writes the JSON object.</summary>
    /// <param name="writer">Writes the JSON.</param>
    /// <param name="reply">The reply to write.</param>
    private static void WriteObject(Utf8JsonWriter writer, InferenceReply reply)
    {
        writer.WriteStartObject();
        writer.WriteString("model_name"u8, reply.ModelName);
        writer.WriteString("model_version"u8, reply.Version);
        if (reply.Id is { } id)
            writer.WriteString("id"u8, id);
        if (reply.Parameters.Count > 0)
            WriteParameters(writer, reply.Parameters);
        writer.WriteStartArray("outputs"u8);
        foreach (var (tensor, binary) in reply.Outputs)
        {
            writer.WriteStartObject();
            writer.WriteString("name"u8, tensor.Name);
            writer.WriteString("datatype"u8, tensor.Type.NameOf());
            writer.WriteStartArray("shape"u8);
            foreach (var axis in tensor.Shape)
                writer.WriteNumberValue(axis);
            writer.WriteEndArray();
            if (binary)
            {
                writer.WriteStartObject("parameters"u8);
                writer.WriteNumber("binary_data_size"u8, RawTensorWriter.SizeOf(tensor));
                writer.WriteEndObject();
            }
            else
            {
                writer.WriteStartArray("data"u8);
                WriteData(writer, tensor);
                writer.WriteEndArray();
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Writes the request's parameters into the reply.</summary>
    /// <param name="writer">Writes the JSON.</param>
    /// <param name="parameters">At least one parameter.</param>
    private static void WriteParameters(Utf8JsonWriter writer, IReadOnlyDictionary<string, object> parameters)
    {
        writer.WriteStartObject("parameters"u8);
        foreach (var (name, value) in parameters)
        {
            writer.WritePropertyName(name);
            switch (value)
            {
                case bool flag:
                    writer.WriteBooleanValue(flag);
                    break;
                case long whole:
                    writer.WriteNumberValue(whole);
                    break;
                case ulong whole:
                    writer.WriteNumberValue(whole);
                    break;
                case double real:
                    writer.WriteNumberValue(real);
                    break;
                default:
                    writer.WriteStringValue((string)value);
                    break;
            }
        }

        writer.WriteEndObject();
    }

    /// <summary>Writes the elements of a tensor as numbers, booleans or strings.</summary>
    /// <param name="writer">Writes the JSON.</param>
    /// <param name="tensor">An output that is not sent as binary data.</param>
    private static void WriteData(Utf8JsonWriter writer, Tensor tensor)
    {
        var data = tensor.Data.Span;
        switch (tensor.Type)
        {
            case TensorType.Bool:
                foreach (var item in data)
                    writer.WriteBooleanValue(item != 0);
                break;
            case TensorType.UInt8:
                foreach (var item in data)
                    writer.WriteNumberValue((uint)item);
                break;
            case TensorType.UInt16:
                foreach (var item in MemoryMarshal.Cast<byte, ushort>(data))
                    writer.WriteNumberValue((uint)item);
                break;
            case TensorType.UInt32:
                foreach (var item in MemoryMarshal.Cast<byte, uint>(data))
                    writer.WriteNumberValue(item);
                break;
            case TensorType.UInt64:
                foreach (var item in MemoryMarshal.Cast<byte, ulong>(data))
                    writer.WriteNumberValue(item);
                break;
            case TensorType.Int8:
                foreach (var item in MemoryMarshal.Cast<byte, sbyte>(data))
                    writer.WriteNumberValue((int)item);
                break;
            case TensorType.Int16:
                foreach (var item in MemoryMarshal.Cast<byte, short>(data))
                    writer.WriteNumberValue((int)item);
                break;
            case TensorType.Int32:
                foreach (var item in MemoryMarshal.Cast<byte, int>(data))
                    writer.WriteNumberValue(item);
                break;
            case TensorType.Int64:
                foreach (var item in MemoryMarshal.Cast<byte, long>(data))
                    writer.WriteNumberValue(item);
                break;
            case TensorType.FP16:
                foreach (var item in MemoryMarshal.Cast<byte, Half>(data))
                    writer.WriteNumberValue(Finite((float)item, tensor));
                break;
            case TensorType.BF16:
                foreach (var item in MemoryMarshal.Cast<byte, BFloat16Bits>(data))
                    writer.WriteNumberValue(Finite(item.ToSingle(), tensor));
                break;
            case TensorType.FP32:
                foreach (var item in MemoryMarshal.Cast<byte, float>(data))
                    writer.WriteNumberValue(Finite(item, tensor));
                break;
            case TensorType.FP64:
                foreach (var item in MemoryMarshal.Cast<byte, double>(data))
                    writer.WriteNumberValue(Finite(item, tensor));
                break;
            default:
                foreach (var item in tensor.Strings)
                    WriteText(writer, item.Span, tensor);
                break;
        }
    }

    /// <summary>
    /// Returns the number if JSON can represent it; otherwise throws an error that names the alternatives.
    /// </summary>
    /// <param name="value">An element of the tensor.</param>
    /// <param name="tensor">The tensor, for error messages.</param>
    private static float Finite(float value, Tensor tensor) =>
        float.IsFinite(value)
            ? value
            : throw NoJson(tensor, value.ToString(System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>
    /// Returns the number if JSON can represent it; otherwise throws an error that names the alternatives.
    /// </summary>
    /// <param name="value">An element of the tensor.</param>
    /// <param name="tensor">The tensor, for error messages.</param>
    private static double Finite(double value, Tensor tensor) =>
        double.IsFinite(value)
            ? value
            : throw NoJson(tensor, value.ToString(System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Writes an element of BYTES as a string, if it is valid UTF-8.</summary>
    /// <param name="writer">Writes the JSON.</param>
    /// <param name="text">The element's bytes.</param>
    /// <param name="tensor">The tensor, for error messages.</param>
    private static void WriteText(Utf8JsonWriter writer, ReadOnlySpan<byte> text, Tensor tensor)
    {
        if (!System.Text.Unicode.Utf8.IsValid(text))
            throw NoJson(tensor, "bytes that are not UTF-8 text");
        writer.WriteStringValue(text);
    }

    /// <summary>The exception for a value that JSON cannot represent.</summary>
    /// <param name="tensor">The output.</param>
    /// <param name="what">The value that JSON cannot represent.</param>
    private static RequestRefusedException NoJson(Tensor tensor, string what) =>
        Invalid(
            $"output '{tensor.Name}' holds {what}, which JSON cannot represent; "
                + "request this output with the parameter binary_data, or use gRPC"
        );
}
