using Google.Protobuf;
using TorchBridge.Serving.Grpc;
using TorchBridge.Serving.Grpc.Wire;

namespace TorchBridge.Serving.Tests.Grpc;

public class GrpcRequestReaderTests
{
    private static readonly ProtocolLimits Limits = new() { Tensors = 4 };

    [Theory]
    [InlineData("FP32", 3)]
    [InlineData("FP64", 2)] // contents of another datatype
    [InlineData("FP16", 2)]
    [InlineData("FLOAT", 2)]
    [InlineData("", 2)]
    public void Typed_contents_that_do_not_fit_are_refused(string type, long count) =>
        Refused(Request(type, [count], new InferTensorContents { Fp32Contents = { 1, 2 } }));

    [Fact]
    public void Contents_of_two_datatypes_are_refused() =>
        Refused(Request("FP32", [2], new InferTensorContents { Fp32Contents = { 1, 2 }, IntContents = { 1 } }));

    [Fact]
    public void A_value_outside_of_its_datatype_is_refused()
    {
        Refused(Request("INT8", [1], new InferTensorContents { IntContents = { 128 } }));
        Refused(Request("INT16", [1], new InferTensorContents { IntContents = { -32769 } }));
        Refused(Request("UINT8", [1], new InferTensorContents { UintContents = { 256 } }));
        Refused(Request("UINT16", [1], new InferTensorContents { UintContents = { 65536 } }));
    }

    [Fact]
    public void Raw_and_typed_contents_exclude_each_other()
    {
        var request = Request("FP32", [1], new InferTensorContents { Fp32Contents = { 1 } });
        request.RawInputContents.Add(ByteString.CopyFrom(1, 2, 3, 4));
        Refused(request);
        request.Inputs[0].Contents = null;
        Assert.Equal(4, GrpcRequestReader.Read(request, Limits).Inputs[0].Data.Length);
        request.RawInputContents.Add(ByteString.Empty);
        Refused(request);
    }

    [Theory]
    [InlineData(-1L)]
    [InlineData(long.MinValue)]
    public void A_negative_axis_is_refused(long axis) =>
        Refused(Request("FP32", [axis], new InferTensorContents { Fp32Contents = { 1 } }));

    [Fact]
    public void An_overflowing_shape_is_refused() =>
        TensorAssert.Refused(RefusalKind.TooLarge, () =>
            GrpcRequestReader.Read(
                Request("FP32", [long.MaxValue, 4, long.MaxValue], new InferTensorContents()),
                Limits
            )
        );

    [Fact]
    public void Shared_memory_and_too_many_tensors_are_refused()
    {
        var request = Request("FP32", [1], new InferTensorContents { Fp32Contents = { 1 } });
        request.Inputs[0].Parameters.Add("shared_memory_region", new InferParameter { StringParam = "r" });
        Refused(request);
        var many = new ModelInferRequest();
        many.Inputs.AddRange(Enumerable.Repeat(Request("FP32", [0], new InferTensorContents()).Inputs[0], 5));
        TensorAssert.Refused(RefusalKind.TooLarge, () => GrpcRequestReader.Read(many, Limits));
    }

    [Fact]
    public void Parameters_are_read()
    {
        var request = Request("FP32", [1], new InferTensorContents { Fp32Contents = { 1 } });
        request.Parameters.Add("u", new InferParameter { Uint64Param = ulong.MaxValue });
        request.Parameters.Add("i", new InferParameter { Uint64Param = 5 });
        request.Outputs.Add(
            new ModelInferRequest.Types.InferRequestedOutputTensor
            {
                Name = "y",
                Parameters = { ["classification"] = new InferParameter { Int64Param = 3 } },
            }
        );
        var read = GrpcRequestReader.Read(request, Limits);
        Assert.Equal((ulong.MaxValue, 5L, 3), (read.Parameters["u"], read.Parameters["i"], read.Outputs[0].Classes));
        request.Parameters.Add("none", new InferParameter());
        Refused(request);
    }

    private static ModelInferRequest Request(string type, long[] shape, InferTensorContents contents)
    {
        var input = new ModelInferRequest.Types.InferInputTensor
        {
            Name = "x",
            Datatype = type,
            Contents = contents,
        };
        input.Shape.AddRange(shape);
        return new ModelInferRequest { ModelName = "m", Inputs = { input } };
    }

    private static void Refused(ModelInferRequest request) =>
        TensorAssert.Refused(RefusalKind.Invalid, () => GrpcRequestReader.Read(request, Limits));
}
