using Google.Protobuf;
using TorchBridge.Serving.Grpc.Wire;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Grpc;

/// <summary>Writes a reply for gRPC. Contents are always raw: it is the form that every client reads.</summary>
internal static class GrpcReplyWriter
{
    /// <summary>Makes the message. It refers to the reply's memory.</summary>
    /// <param name="reply">What the model answered.</param>
    /// <returns>The message, which refers to the reply's memory.</returns>
    public static ModelInferResponse Write(InferenceReply reply)
    {
        var response = new ModelInferResponse
        {
            ModelName = reply.ModelName,
            ModelVersion = reply.Version,
            Id = reply.Id ?? "",
        };
        foreach (var (name, value) in reply.Parameters)
            response.Parameters.Add(name, Parameter(value));
        foreach (var (tensor, _) in reply.Outputs)
        {
            var output = new ModelInferResponse.Types.InferOutputTensor
            {
                Name = tensor.Name,
                Datatype = tensor.Type.NameOf(),
            };
            output.Shape.AddRange(tensor.Shape);
            response.Outputs.Add(output);
            response.RawOutputContents.Add(UnsafeByteOperations.UnsafeWrap(RawTensorWriter.ToBytes(tensor)));
        }

        return response;
    }

    /// <summary>A parameter in gRPC's union of types.</summary>
    /// <param name="value">A boolean, an integer, a text or a number.</param>
    private static InferParameter Parameter(object value) =>
        value switch
        {
            bool flag => new InferParameter { BoolParam = flag },
            long whole => new InferParameter { Int64Param = whole },
            ulong whole => new InferParameter { Uint64Param = whole },
            double real => new InferParameter { DoubleParam = real },
            _ => new InferParameter { StringParam = (string)value },
        };
}
