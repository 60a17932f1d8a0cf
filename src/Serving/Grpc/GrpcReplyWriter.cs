using Google.Protobuf;
using TorchBridge.Serving.Grpc.Wire;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Grpc;

/// <summary>
/// Converts a reply to its gRPC message. Contents are always raw, because every client can read that form.
/// </summary>
internal static class GrpcReplyWriter
{
    /// <summary>Creates the message of a reply.</summary>
    /// <param name="reply">The reply.</param>
    /// <returns>The message; it refers to the reply's memory.</returns>
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

    /// <summary>Converts a parameter to its gRPC message.</summary>
    /// <param name="value">A bool, long, ulong, double or string.</param>
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
