using System.Runtime.InteropServices;
using Google.Protobuf.Collections;
using TorchBridge.Serving.Grpc.Wire;
using TorchBridge.Serving.Protocol;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Grpc;

/// <summary>Converts gRPC request messages, with raw or typed contents, to requests.</summary>
internal static class GrpcRequestReader
{
    /// <summary>Reads a request.</summary>
    /// <param name="request">The message; its bytes are not copied.</param>
    /// <param name="limits">Limits on the request.</param>
    /// <exception cref="RequestRefusedException">The request contradicts itself or exceeds a limit.</exception>
    public static InferenceRequest Read(ModelInferRequest request, ProtocolLimits limits)
    {
        CheckCount(request.Inputs.Count, "inputs", limits);
        CheckCount(request.Outputs.Count, "outputs", limits);
        var isRaw = request.RawInputContents.Count > 0;
        if (isRaw && request.RawInputContents.Count != request.Inputs.Count)
            throw Invalid(
                $"there are {request.Inputs.Count} inputs, but {request.RawInputContents.Count} raw_input_contents"
            );
        var tensors = new Tensor[request.Inputs.Count];
        long bytes = 0;
        for (var index = 0; index < tensors.Length; index++)
        {
            tensors[index] = ReadInput(
                request.Inputs[index],
                isRaw ? request.RawInputContents[index].Memory : (ReadOnlyMemory<byte>?)null,
                limits
            );
            bytes += RawTensorWriter.SizeOf(tensors[index]);
            if (bytes > limits.Bytes)
                throw new RequestRefusedException(
                    RefusalKind.TooLarge,
                    $"the inputs have more than {limits.Bytes} bytes, the limit"
                );
        }

        return new InferenceRequest(
            request.Id.Length == 0 ? null : limits.CheckText(request.Id, "id"),
            ReadParameters(request.Parameters, "the request", limits),
            tensors,
            [
                .. request.Outputs.Select(output =>
                    OutputParameters.Read(output.Name, ReadParameters(output.Parameters, "an output", limits))
                ),
            ]
        );
    }

    /// <summary>Refuses too many inputs or outputs.</summary>
    /// <param name="count">Their number.</param>
    /// <param name="what"><c>inputs</c> or <c>outputs</c>, for error messages.</param>
    /// <param name="limits">Limits on the request, among them the number of tensors.</param>
    private static void CheckCount(int count, string what, ProtocolLimits limits)
    {
        if (count > limits.Tensors)
            throw new RequestRefusedException(
                RefusalKind.TooLarge,
                $"the request has {count} {what}; at most {limits.Tensors} are allowed"
            );
    }

    /// <summary>Reads an input, which has either raw or typed contents.</summary>
    /// <param name="input">The input's message.</param>
    /// <param name="raw">The input's bytes from raw_input_contents, little-endian; null if the request has
    /// none.</param>
    /// <param name="limits">Limits on the request, checked before memory is allocated.</param>
    /// <exception cref="RequestRefusedException">The input is not valid in the protocol.</exception>
    private static Tensor ReadInput(
        ModelInferRequest.Types.InferInputTensor input,
        ReadOnlyMemory<byte>? raw,
        ProtocolLimits limits
    )
    {
        limits.CheckText(input.Name, "the name of an input");
        var type = TensorTypes.Find(input.Datatype)
            ?? throw Invalid($"input '{input.Name}' has an unknown datatype; allowed are {TensorTypes.AllNames}");
        if (input.Parameters.ContainsKey("shared_memory_region"))
            throw Invalid($"input '{input.Name}' is in shared memory, which this server does not support");
        long[] shape = [.. input.Shape];
        if (raw is not { } bytes)
            return ReadTyped(input, type, shape, limits);
        if (input.Contents is not null && input.Contents.CalculateSize() > 0)
            throw Invalid($"input '{input.Name}' has both raw and typed contents; send one of them");
        return RawTensorReader.Read(input.Name, type, shape, bytes, limits);
    }

    /// <summary>Reads an input with typed contents, and converts them to the input's datatype.</summary>
    /// <param name="input">The input's message.</param>
    /// <param name="type">Datatype of the input.</param>
    /// <param name="shape">Shape of the input.</param>
    /// <param name="limits">Limits on the request, checked before memory is allocated.</param>
    /// <exception cref="RequestRefusedException">The contents do not fit datatype and shape, or the datatype has no
    /// typed contents.</exception>
    private static Tensor ReadTyped(
        ModelInferRequest.Types.InferInputTensor input,
        TensorType type,
        long[] shape,
        ProtocolLimits limits
    )
    {
        var count = ShapeRules.Count(shape, type, limits, $"input '{input.Name}'");
        var contents = input.Contents ?? new InferTensorContents();
        if (type is TensorType.FP16 or TensorType.BF16)
            throw Invalid($"input '{input.Name}' is {type.NameOf()}, which only raw_input_contents can hold");
        if (type == TensorType.Bytes)
            return Tensor.OfStrings(
                input.Name,
                shape,
                [.. Counted(contents.BytesContents, count, input.Name, contents).Select(item => item.Memory)]
            );
        var data = type switch
        {
            TensorType.Bool => Bytes<bool, bool>(contents.BoolContents, item => item),
            TensorType.Int8 => Bytes<int, sbyte>(contents.IntContents, item => checked((sbyte)item)),
            TensorType.Int16 => Bytes<int, short>(contents.IntContents, item => checked((short)item)),
            TensorType.Int32 => Bytes<int, int>(contents.IntContents, item => item),
            TensorType.Int64 => Bytes<long, long>(contents.Int64Contents, item => item),
            TensorType.UInt8 => Bytes<uint, byte>(contents.UintContents, item => checked((byte)item)),
            TensorType.UInt16 => Bytes<uint, ushort>(contents.UintContents, item => checked((ushort)item)),
            TensorType.UInt32 => Bytes<uint, uint>(contents.UintContents, item => item),
            TensorType.UInt64 => Bytes<ulong, ulong>(contents.Uint64Contents, item => item),
            TensorType.FP32 => Bytes<float, float>(contents.Fp32Contents, item => item),
            _ => Bytes<double, double>(contents.Fp64Contents, item => item),
        };
        return new Tensor(input.Name, type, shape) { Data = data };

        byte[] Bytes<TWire, T>(RepeatedField<TWire> items, Func<TWire, T> convert)
            where T : unmanaged
        {
            Counted(items, count, input.Name, contents);
            var bytes = new byte[count * type.SizeOf()];
            var target = MemoryMarshal.Cast<byte, T>(bytes.AsSpan());
            try
            {
                for (var index = 0; index < items.Count; index++)
                    target[index] = convert(items[index]);
            }
            catch (OverflowException error)
            {
                throw new RequestRefusedException(
                    RefusalKind.Invalid,
                    $"input '{input.Name}' holds a value that is not a valid {type.NameOf()}",
                    error
                );
            }

            return bytes;
        }
    }

    /// <summary>
    /// Checks that the contents have as many elements as the shape requires, and that there are no contents of other
    /// datatypes.
    /// </summary>
    /// <param name="items">The contents of the input's datatype.</param>
    /// <param name="count">Number of elements according to the shape.</param>
    /// <param name="name">Name of the input, for error messages.</param>
    /// <param name="contents">All contents of the input.</param>
    /// <returns>The items.</returns>
    /// <exception cref="RequestRefusedException">There are more or fewer elements, or contents of another
    /// datatype.</exception>
    private static RepeatedField<T> Counted<T>(
        RepeatedField<T> items,
        long count,
        string name,
        InferTensorContents contents
    )
    {
        if (items.Count != count)
            throw Invalid(
                $"input '{name}' has {items.Count} elements in the contents of its datatype; its shape requires {count}"
            );
        var all =
            (long)contents.BoolContents.Count
            + contents.IntContents.Count
            + contents.Int64Contents.Count
            + contents.UintContents.Count
            + contents.Uint64Contents.Count
            + contents.Fp32Contents.Count
            + contents.Fp64Contents.Count
            + contents.BytesContents.Count;
        return all == count ? items : throw Invalid($"input '{name}' has contents of more than one datatype");
    }

    /// <summary>Reads parameters, whose number and length are limited.</summary>
    /// <param name="parameters">The parameters' messages.</param>
    /// <param name="owner">What the parameters belong to, for error messages.</param>
    /// <param name="limits">Limits on the request, among them the number and length of parameters.</param>
    /// <exception cref="RequestRefusedException">There are too many parameters, or one is too long.</exception>
    private static IReadOnlyDictionary<string, object> ReadParameters(
        MapField<string, InferParameter> parameters,
        string owner,
        ProtocolLimits limits
    )
    {
        if (parameters.Count == 0)
            return InferenceRequest.NoParameters;
        if (parameters.Count > limits.Parameters)
            throw new RequestRefusedException(
                RefusalKind.TooLarge,
                $"{owner} has more than {limits.Parameters} parameters"
            );
        return parameters.ToDictionary(
            pair => limits.CheckText(pair.Key, "the name of a parameter"),
            pair => Value(pair.Key, pair.Value, limits),
            StringComparer.Ordinal
        );
    }

    /// <summary>The value of a parameter.</summary>
    /// <param name="name">Name of the parameter.</param>
    /// <param name="parameter">The parameter's message.</param>
    /// <param name="limits">Limits on the request, among them the length of strings.</param>
    private static object Value(string name, InferParameter parameter, ProtocolLimits limits) =>
        parameter.ParameterChoiceCase switch
        {
            InferParameter.ParameterChoiceOneofCase.BoolParam => parameter.BoolParam,
            InferParameter.ParameterChoiceOneofCase.Int64Param => parameter.Int64Param,
            InferParameter.ParameterChoiceOneofCase.StringParam => limits.CheckText(
                parameter.StringParam,
                $"the parameter '{JsonText.Short(name)}'"
            ),
            InferParameter.ParameterChoiceOneofCase.DoubleParam => parameter.DoubleParam,
            // As in JSON, an integer that fits becomes a long.
            InferParameter.ParameterChoiceOneofCase.Uint64Param => parameter.Uint64Param <= long.MaxValue
                ? (long)parameter.Uint64Param
                : parameter.Uint64Param,
            _ => throw Invalid($"the parameter '{JsonText.Short(name)}' has no value"),
        };
}
