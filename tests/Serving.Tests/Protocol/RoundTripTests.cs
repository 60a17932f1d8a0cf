using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using TorchBridge.Serving.Grpc;
using TorchBridge.Serving.Grpc.Wire;

namespace TorchBridge.Serving.Tests.Protocol;

/// <summary>
/// Tensors of every datatype through every codec. The writers here are the tests' own, so that two equal mistakes do
/// not cancel out.
/// </summary>
public class RoundTripTests
{
    private static readonly ProtocolLimits Limits = new();

    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 40)];

    [Theory, MemberData(nameof(Seeds))]
    public void Every_door_reads_the_same_tensors(int seed)
    {
        var random = new Random(seed);
        var tensors = Enum.GetValues<TensorType>()
            .Select((type, i) => RandomTensors.Make(random, $"in{i}", type, RandomTensors.Shape(random)))
            .ToArray();

        Check(
            tensors,
            JsonRequestReader.Read(
                Json(tensors, nested: false, dataFirst: random.Next(2) == 0, binary: _ => false).Json,
                default,
                Limits
            )
        );
        Check(
            tensors,
            JsonRequestReader.Read(
                Json(tensors, nested: true, dataFirst: random.Next(2) == 0, binary: _ => false).Json,
                default,
                Limits
            )
        );
        var mixed = Json(tensors, nested: true, dataFirst: false, binary: i => i % 2 == 0);
        Check(tensors, JsonRequestReader.Read(mixed.Json, mixed.Blobs, Limits));
        Check(tensors, GrpcRequestReader.Read(OnTheWire(GrpcRaw(tensors)), Limits));
        var typed = tensors.Where(tensor => tensor.Type is not (TensorType.FP16 or TensorType.BF16)).ToArray();
        Check(typed, GrpcRequestReader.Read(OnTheWire(GrpcTyped(typed)), Limits));
    }

    [Theory, MemberData(nameof(Seeds))]
    public void A_reply_says_what_was_computed(int seed)
    {
        var random = new Random(seed);
        var tensors = Enum.GetValues<TensorType>()
            .Select((type, i) => RandomTensors.Make(random, $"out{i}", type, RandomTensors.Shape(random)))
            .ToArray();
        Dictionary<string, object> parameters = new()
        {
            ["flag"] = true,
            ["whole"] = 7L,
            ["real"] = 0.5,
            ["text"] = "<é>",
        };
        var reply = new InferenceReply(
            "m",
            "3",
            "42",
            parameters,
            [.. tensors.Select((tensor, i) => (tensor, i % 2 == 1))]
        );

        var target = new ArrayBufferWriter<byte>();
        var length = JsonReplyWriter.Write(reply, target)!.Value;
        var node = JsonNode.Parse(target.WrittenSpan[..length])!;
        Assert.Equal(
            """{"flag":true,"whole":7,"real":0.5,"text":"<é>"}""",
            node["parameters"]!.ToJsonString(
                new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }
            )
        );
        Assert.Equal(
            ("m", "3", "42"),
            ((string)node["model_name"]!, (string)node["model_version"]!, (string)node["id"]!)
        );
        // What a reply holds is read back as a request: the shape of both is the same.
        node["inputs"] = node["outputs"]!.DeepClone();
        node.AsObject().Remove("outputs");
        Check(
            tensors,
            JsonRequestReader.Read(Encoding.UTF8.GetBytes(node.ToJsonString()), target.WrittenMemory[length..], Limits)
        );

        var message = ModelInferResponse.Parser.ParseFrom(GrpcReplyWriter.Write(reply).ToByteArray());
        Assert.Equal(
            ("m", "3", "42", 4),
            (message.ModelName, message.ModelVersion, message.Id, message.Parameters.Count)
        );
        for (var i = 0; i < tensors.Length; i++)
        {
            Assert.Equal(tensors[i].Shape, message.Outputs[i].Shape);
            Assert.Equal(Raw(tensors[i]), message.RawOutputContents[i].ToByteArray());
            Assert.Null(message.Outputs[i].Contents);
        }
    }

    private static void Check(Tensor[] want, InferenceRequest got)
    {
        Assert.Equal(want.Length, got.Inputs.Count);
        for (var i = 0; i < want.Length; i++)
            TensorAssert.Same(want[i], got.Inputs[i]);
    }

    private static ModelInferRequest OnTheWire(ModelInferRequest request) =>
        ModelInferRequest.Parser.ParseFrom(request.ToByteArray());

    private static (byte[] Json, byte[] Blobs) Json(
        Tensor[] tensors,
        bool nested,
        bool dataFirst,
        Func<int, bool> binary
    )
    {
        var blobs = new MemoryStream();
        var inputs = tensors.Select(
            (tensor, i) =>
            {
                var head =
                    $"\"name\":\"{tensor.Name}\",\"shape\":[{string.Join(',', tensor.Shape)}],\"datatype\":\"{tensor.Type.NameOf()}\"";
                if (binary(i))
                {
                    var raw = Raw(tensor);
                    blobs.Write(raw);
                    return $"{{{head},\"parameters\":{{\"binary_data_size\":{raw.Length}}}}}";
                }

                var elements = Elements(tensor);
                var data = $"\"data\":{(nested ? Nested(elements, tensor.Shape) : $"[{string.Join(", ", elements)}]")}";
                return dataFirst ? $"{{{data},{head}}}" : $"{{{head},{data}}}";
            }
        );
        return (Encoding.UTF8.GetBytes($"{{\"id\":\"1\",\"inputs\":[{string.Join(',', inputs)}]}}"), blobs.ToArray());
    }

    private static string Nested(string[] elements, long[] shape)
    {
        if (shape.Length <= 1)
            return $"[{string.Join(',', elements)}]";
        var part = elements.Length / (int)Math.Max(1, shape[0]);
        var rows = Enumerable.Range(0, (int)shape[0]).Select(i => elements[(i * part)..((i + 1) * part)]);
        return $"[{string.Join(',', rows.Select(row => Nested(row, shape[1..])))}]";
    }

    private static string[] Elements(Tensor tensor)
    {
        var invariant = CultureInfo.InvariantCulture;
        string[] Of<T>(Func<T, string> text)
            where T : unmanaged => [.. MemoryMarshal.Cast<byte, T>(tensor.Data.Span).ToArray().Select(text)];
        return tensor.Type switch
        {
            TensorType.Bool => Of<byte>(item => item == 1 ? "true" : "false"),
            TensorType.UInt8 => Of<byte>(item => item.ToString(invariant)),
            TensorType.UInt16 => Of<ushort>(item => item.ToString(invariant)),
            TensorType.UInt32 => Of<uint>(item => item.ToString(invariant)),
            TensorType.UInt64 => Of<ulong>(item => item.ToString(invariant)),
            TensorType.Int8 => Of<sbyte>(item => item.ToString(invariant)),
            TensorType.Int16 => Of<short>(item => item.ToString(invariant)),
            TensorType.Int32 => Of<int>(item => item.ToString(invariant)),
            TensorType.Int64 => Of<long>(item => item.ToString(invariant)),
            TensorType.FP16 => Of<Half>(item => ((double)item).ToString("R", invariant)),
            TensorType.BF16 => Of<ushort>(item =>
                ((double)BitConverter.UInt32BitsToSingle((uint)item << 16)).ToString("R", invariant)
            ),
            TensorType.FP32 => Of<float>(item => item.ToString("R", invariant)),
            TensorType.FP64 => Of<double>(item => item.ToString("R", invariant)),
            _ =>
            [
                .. tensor.Strings.Select(item =>
                    System.Text.Json.JsonSerializer.Serialize(Encoding.UTF8.GetString(item.Span))
                ),
            ],
        };
    }

    private static byte[] Raw(Tensor tensor) =>
        tensor.Type != TensorType.Bytes
            ? tensor.Data.ToArray()
            : [.. tensor.Strings.SelectMany(item => BitConverter.GetBytes((uint)item.Length).Concat(item.ToArray()))];

    private static ModelInferRequest GrpcRaw(Tensor[] tensors)
    {
        var request = new ModelInferRequest { ModelName = "m" };
        request.Inputs.AddRange(tensors.Select(Head));
        request.RawInputContents.AddRange(tensors.Select(tensor => ByteString.CopyFrom(Raw(tensor))));
        return request;
    }

    private static ModelInferRequest GrpcTyped(Tensor[] tensors)
    {
        var request = new ModelInferRequest { ModelName = "m" };
        foreach (var tensor in tensors)
        {
            var (input, contents) = (Head(tensor), new InferTensorContents());
            T[] Of<T>()
                where T : unmanaged => MemoryMarshal.Cast<byte, T>(tensor.Data.Span).ToArray();
            switch (tensor.Type)
            {
                case TensorType.Bool:
                    contents.BoolContents.AddRange(Of<byte>().Select(item => item == 1));
                    break;
                case TensorType.UInt8:
                    contents.UintContents.AddRange(Of<byte>().Select(item => (uint)item));
                    break;
                case TensorType.UInt16:
                    contents.UintContents.AddRange(Of<ushort>().Select(item => (uint)item));
                    break;
                case TensorType.UInt32:
                    contents.UintContents.AddRange(Of<uint>());
                    break;
                case TensorType.UInt64:
                    contents.Uint64Contents.AddRange(Of<ulong>());
                    break;
                case TensorType.Int8:
                    contents.IntContents.AddRange(Of<sbyte>().Select(item => (int)item));
                    break;
                case TensorType.Int16:
                    contents.IntContents.AddRange(Of<short>().Select(item => (int)item));
                    break;
                case TensorType.Int32:
                    contents.IntContents.AddRange(Of<int>());
                    break;
                case TensorType.Int64:
                    contents.Int64Contents.AddRange(Of<long>());
                    break;
                case TensorType.FP32:
                    contents.Fp32Contents.AddRange(Of<float>());
                    break;
                case TensorType.FP64:
                    contents.Fp64Contents.AddRange(Of<double>());
                    break;
                case TensorType.Bytes:
                    contents.BytesContents.AddRange(tensor.Strings.Select(item => ByteString.CopyFrom(item.Span)));
                    break;
            }

            input.Contents = contents;
            request.Inputs.Add(input);
        }

        return request;
    }

    private static ModelInferRequest.Types.InferInputTensor Head(Tensor tensor)
    {
        var input = new ModelInferRequest.Types.InferInputTensor
        {
            Name = tensor.Name,
            Datatype = tensor.Type.NameOf(),
        };
        input.Shape.AddRange(tensor.Shape);
        return input;
    }
}
