using System.Runtime.InteropServices;
using Google.Protobuf;
using Grpc.Core;
using TorchBridge.Inference;
using TorchBridge.Serving.Grpc.Wire;

namespace TorchBridge.Serving.Tests.Grpc;

/// <summary>The six calls, by Grpc.Net.Client.</summary>
public sealed class InferenceServiceTests : IAsyncLifetime
{
    private TestServer server = null!;

    public async ValueTask InitializeAsync() =>
        server = await TestServer.Start(
            TestServer.Plain(
                ("affine", TestModels.Affine()),
                ("simple", TestModels.Simple()),
                ("cats", TestModels.Classifier()),
                ("log", TestModels.Logarithm())
            ),
            ("MaxRequestBytes", "100000")
        );

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task The_server_and_its_models_say_what_they_are()
    {
        var stop = TestContext.Current.CancellationToken;
        Assert.True((await server.Grpc.ServerLiveAsync(new ServerLiveRequest(), cancellationToken: stop)).Live);
        Assert.True((await server.Grpc.ServerReadyAsync(new ServerReadyRequest(), cancellationToken: stop)).Ready);
        Assert.True(
            (
                await server.Grpc.ModelReadyAsync(new ModelReadyRequest { Name = "simple" }, cancellationToken: stop)
            ).Ready
        );
        Assert.Contains(
            "classification",
            (await server.Grpc.ServerMetadataAsync(new ServerMetadataRequest(), cancellationToken: stop)).Extensions
        );
        var metadata = await server.Grpc.ModelMetadataAsync(
            new ModelMetadataRequest { Name = "simple", Version = "1" },
            cancellationToken: stop
        );
        Assert.Equal(("simple", "onnx_onnxv1", "1"), (metadata.Name, metadata.Platform, metadata.Versions.Single()));
        Assert.Equal(("INPUT0", "INT32"), (metadata.Inputs[0].Name, metadata.Inputs[0].Datatype));
        Assert.Equal([-1, 16], metadata.Inputs[0].Shape);
    }

    [Fact]
    public async Task Raw_and_typed_contents_are_answered_raw()
    {
        foreach (var isRaw in (bool[])[true, false])
        {
            var request = new ModelInferRequest
            {
                ModelName = "simple",
                Id = "7",
                Parameters = { ["a"] = new InferParameter { BoolParam = true } },
            };
            foreach (var name in (string[])["INPUT0", "INPUT1"])
            {
                var input = new ModelInferRequest.Types.InferInputTensor
                {
                    Name = name,
                    Datatype = "INT32",
                    Shape = { 1, 16 },
                };
                int[] values = [.. Enumerable.Range(name == "INPUT0" ? 10 : 1, 16)];
                if (isRaw)
                    request.RawInputContents.Add(ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan())));
                else
                    input.Contents = new InferTensorContents { IntContents = { values } };
                request.Inputs.Add(input);
            }

            var reply = await server.Grpc.ModelInferAsync(
                request,
                cancellationToken: TestContext.Current.CancellationToken
            );
            Assert.Equal(
                ("simple", "1", "7", true),
                (reply.ModelName, reply.ModelVersion, reply.Id, reply.Parameters["a"].BoolParam)
            );
            Assert.Equal(["OUTPUT0", "OUTPUT1"], reply.Outputs.Select(output => output.Name));
            Assert.Equal(
                Enumerable.Range(0, 16).Select(i => 11 + (2 * i)),
                MemoryMarshal.Cast<byte, int>(reply.RawOutputContents[0].Span).ToArray()
            );
            Assert.Equal(
                Enumerable.Repeat(9, 16),
                MemoryMarshal.Cast<byte, int>(reply.RawOutputContents[1].Span).ToArray()
            );
        }
    }

    [Fact]
    public async Task A_picture_is_bytes()
    {
        var picture = TestPictures.Encode(20, 12, SkiaSharp.SKEncodedImageFormat.Jpeg);
        using var classifier = ImageClassifier.Load(TestModels.Classifier(), "m");
        var request = new ModelInferRequest
        {
            ModelName = "cats",
            Inputs =
            {
                new ModelInferRequest.Types.InferInputTensor
                {
                    Name = "image",
                    Datatype = "BYTES",
                    Shape = { 1 },
                    Contents = new InferTensorContents { BytesContents = { ByteString.CopyFrom(picture) } },
                },
            },
            Outputs = { new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "logits" } },
        };
        var reply = await server.Grpc.ModelInferAsync(
            request,
            cancellationToken: TestContext.Current.CancellationToken
        );
        Close.To(
            [.. classifier.Classify(picture).Logits],
            MemoryMarshal.Cast<byte, float>(reply.RawOutputContents.Single().Span).ToArray(),
            0,
            0,
            "the same session, the same bits"
        );
    }

    [Fact]
    public async Task NaN_is_carried()
    {
        var request = Floats("log", "x", [1, 1], -1);
        Assert.True(
            float.IsNaN(
                MemoryMarshal.Read<float>(
                    (
                        await server.Grpc.ModelInferAsync(
                            request,
                            cancellationToken: TestContext.Current.CancellationToken
                        )
                    )
                        .RawOutputContents[0]
                        .Span
                )
            )
        );
    }

    [Fact]
    public async Task What_is_wrong_has_its_status()
    {
        Assert.Equal(StatusCode.NotFound, await StatusOf(Floats("nothing", "x", [1, 3], 1, 2, 3)));
        Assert.Equal(
            StatusCode.NotFound,
            await StatusOf(new ModelInferRequest(Floats("affine", "x", [1, 3], 1, 2, 3)) { ModelVersion = "9" })
        );
        Assert.Equal(StatusCode.NotFound, await StatusOf(Floats("../affine", "x", [1, 3], 1, 2, 3)));
        Assert.Equal(StatusCode.InvalidArgument, await StatusOf(Floats("affine", "z", [1, 3], 1, 2, 3)));
        Assert.Equal(StatusCode.InvalidArgument, await StatusOf(Floats("affine", "x", [3], 1, 2, 3)));
        Assert.Equal(StatusCode.InvalidArgument, await StatusOf(Floats("affine", "x", [1, -3], 1, 2, 3)));
        Assert.Equal(StatusCode.ResourceExhausted, await StatusOf(Floats("affine", "x", [long.MaxValue, 3], 1, 2, 3)));
        Assert.Equal(StatusCode.ResourceExhausted, await StatusOf(Floats("affine", "x", [1, 3], new float[100_000])));
        await server.StillLive();
    }

    private async Task<StatusCode> StatusOf(ModelInferRequest request)
    {
        var error = await Assert.ThrowsAsync<RpcException>(() =>
            server.Grpc.ModelInferAsync(request, cancellationToken: TestContext.Current.CancellationToken).ResponseAsync
        );
        return error.StatusCode;
    }

    private static ModelInferRequest Floats(string model, string input, long[] shape, params float[] values)
    {
        var tensor = new ModelInferRequest.Types.InferInputTensor { Name = input, Datatype = "FP32" };
        tensor.Shape.AddRange(shape);
        return new ModelInferRequest
        {
            ModelName = model,
            Inputs = { tensor },
            RawInputContents = { ByteString.CopyFrom(MemoryMarshal.AsBytes(values.AsSpan())) },
        };
    }
}
