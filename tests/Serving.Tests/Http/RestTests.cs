using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using TorchBridge.Inference;

namespace TorchBridge.Serving.Tests.Http;

public sealed class RestTests : IAsyncLifetime
{
    private TestServer server = null!;

    public async ValueTask InitializeAsync() =>
        server = await TestServer.Start(
            TestServer.Plain(
                ("affine", TestModels.Affine()),
                ("simple", TestModels.Simple()),
                ("identity", TestModels.Identity()),
                ("cats", TestModels.Classifier()),
                ("log", TestModels.Logarithm()),
                ("texts", TestModels.Texts())
            )
        );

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task The_server_says_what_it_is()
    {
        Assert.Equal("torchbridge", (string)(await server.Get("v2")).Json!["name"]!);
        Assert.Equal("torchbridge", (string)(await server.Get("v2/")).Json!["name"]!);
        Assert.Contains(
            "binary_tensor_data",
            (await server.Get("v2")).Json!["extensions"]!.ToJsonString(),
            StringComparison.Ordinal
        );
        Assert.True((bool)(await server.Get("v2/health/live")).Json!["live"]!);
        Assert.True((bool)(await server.Get("v2/health/ready")).Json!["ready"]!);
        foreach (var path in (string[])["v2/models/simple/ready", "v2/models/simple/versions/1/ready"])
            Assert.Equal("""{"name":"simple","ready":true}""", (await server.Get(path)).Json!.ToJsonString());
    }

    [Fact]
    public async Task A_model_says_what_it_takes()
    {
        foreach (var path in (string[])["v2/models/simple", "v2/models/simple/versions/1"])
        {
            var json = (await server.Get(path)).Json!;
            Assert.Equal(("simple", "onnx_onnxv1"), ((string)json["name"]!, (string)json["platform"]!));
            Assert.Equal("""["1"]""", json["versions"]!.ToJsonString());
            Assert.Equal(
                """[{"name":"INPUT0","datatype":"INT32","shape":[-1,16]},{"name":"INPUT1","datatype":"INT32","shape":[-1,16]}]""",
                json["inputs"]!.ToJsonString()
            );
        }
    }

    [Fact]
    public async Task Several_inputs_and_outputs_and_what_is_given_back()
    {
        var answer = await server.Infer(
            "simple",
            $$$"""
            {"id":"42","parameters":{"a":1,"b":"x","timeout":1000000},
            "inputs":[{{{Vector("INPUT1", 1)}}},{{{Vector("INPUT0", 10)}}}],"outputs":[{"name":"OUTPUT1"},
            {"name":"OUTPUT0"}]}
            """
        );
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal(
            ("simple", "1", "42"),
            ((string)answer.Json!["model_name"]!, (string)answer.Json["model_version"]!, (string)answer.Json["id"]!)
        );
        Assert.Equal("""{"a":1,"b":"x"}""", answer.Json["parameters"]!.ToJsonString());
        Assert.Equal("OUTPUT1", (string)answer.Json["outputs"]![0]!["name"]!);
        Assert.Equal(Enumerable.Repeat(9.0, 16), TestServer.Values(answer.Json));
        Assert.Equal(Enumerable.Range(0, 16).Select(i => 11.0 + (2 * i)), TestServer.Values(answer.Json, 1));
        Assert.Single(
            (
                await server.Infer(
                    "simple",
                    $$"""{"inputs":[{{Vector("INPUT0", 1)}},{{Vector("INPUT1", 1)}}],"outputs":[{"name":"OUTPUT1"}]}"""
                )
            ).Json!["outputs"]!.AsArray()
        );
    }

    [Fact]
    public async Task Every_datatype_goes_there_and_back_as_JSON_and_binary()
    {
        foreach (var seed in Enumerable.Range(0, 5))
        {
            var random = new Random(seed);
            Tensor[] tensors =
            [
                .. TestModels.AllTypes.Select(type =>
                    RandomTensors.Make(random, $"in_{type}", TestModels.TypeOf(type), 2, 3)
                ),
            ];
            var body = new List<byte>();
            var inputs = new StringBuilder();
            foreach (var tensor in tensors)
            {
                var raw = RawTensorWriter.ToBytes(tensor).ToArray();
                body.AddRange(raw);
                inputs.Append(
                    CultureInfo.InvariantCulture,
                    $"{(inputs.Length > 0 ? "," : "")}{{\"name\":\"{tensor.Name}\",\"datatype\":\""
                        + $"{tensor.Type.NameOf()}\",\"shape\":[2,3],\"parameters\":{{\"binary_data_size\":"
                        + $"{raw.Length}}}}}"
                );
            }

            var json = Encoding.UTF8.GetBytes(
                $"{{\"parameters\":{{\"binary_data_output\":{(seed % 2 == 0 ? "true" : "false")}}},\"inputs\":[{inputs}]}}"
            );
            var (status, reply, blobs) = await Binary("identity", [.. json, .. body], json.Length);
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.Equal(seed % 2 == 0 ? body.Count : 0, blobs.Length);
            if (seed % 2 == 0)
                Assert.Equal(body, blobs);
            // What came as JSON is sent back as such, and means the same.
            else
                await ReadBack(reply, tensors);
        }
    }

    [Fact]
    public async Task Binary_replies_are_asked_for_output_by_output()
    {
        var json = Encoding.UTF8.GetBytes(
            $$$"""
            {"inputs":[{{{Vector("INPUT0", 3)}}},{{{Vector("INPUT1", 1)}}}],"outputs":[{"name":"OUTPUT0",
            "parameters":{"binary_data":true}},{"name":"OUTPUT1","parameters":{"binary_data":false}}]}
            """
        );
        var (_, reply, blobs) = await Binary("simple", json, json.Length);
        Assert.Equal(64, (int)reply["outputs"]![0]!["parameters"]!["binary_data_size"]!);
        Assert.Equal(Enumerable.Range(0, 16).Select(i => 4 + (2 * i)), MemoryMarshal.Cast<byte, int>(blobs).ToArray());
        Assert.Equal(2, (int)reply["outputs"]![1]!["data"]![0]!);
    }

    [Fact]
    public async Task A_raw_request_is_the_one_input()
    {
        var (status, reply, blobs) = await Binary("affine", MemoryMarshal.AsBytes<float>([1, 2, 3]).ToArray(), 0);
        Assert.Equal((HttpStatusCode.OK, "y"), (status, (string)reply["outputs"]![0]!["name"]!));
        Assert.Equal([1, 2, 3], MemoryMarshal.Cast<byte, float>(blobs).ToArray());
        Assert.Equal(
            [3, 0, 0, 0, (byte)'c', (byte)'a', (byte)'t'],
            (await Binary("texts", "cat"u8.ToArray(), 0)).Blobs
        );
        Assert.Equal(HttpStatusCode.BadRequest, (await Binary("affine", new byte[11], 0)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await Binary("simple", new byte[64], 0)).Status);
    }

    [Fact]
    public async Task NaN_is_refused_as_JSON_and_sent_as_binary()
    {
        const string inputs = "\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,1],\"data\":[-1]}]";
        var refusal = await server.Infer("log", $"{{{inputs}}}");
        Assert.Equal(HttpStatusCode.BadRequest, refusal.Status);
        Assert.Contains("binary_data", (string)refusal.Json!["error"]!, StringComparison.Ordinal);
        var json = Encoding.UTF8.GetBytes($"{{\"parameters\":{{\"binary_data_output\":true}},{inputs}}}");
        Assert.True(float.IsNaN(MemoryMarshal.Read<float>((await Binary("log", json, json.Length)).Blobs)));
    }

    [Fact]
    public async Task A_packed_body_is_unpacked()
    {
        foreach (var encoding in (string[])["gzip", "deflate", "br"])
        {
            using var packed = Packed.Content(Encoding.UTF8.GetBytes(TestServer.Affine(5)), encoding);
            Assert.Equal([5, 6, 7], TestServer.Values((await server.Post("v2/models/affine/infer", packed)).Json));
        }
    }

    [Fact]
    public async Task A_picture_is_classified_at_every_door_alike()
    {
        var picture = TestPictures.Encode(20, 12, SkiaSharp.SKEncodedImageFormat.Png);
        using var classifier = ImageClassifier.Load(TestModels.Classifier(), "m");
        var want = classifier.Classify(picture);

        var classified = (await server.Post("classify?top=3", new ByteArrayContent(picture))).Json!;
        Assert.Equal((want.Label, 3), ((string)classified["label"]!, classified["top"]!.AsArray().Count));
        Assert.Equal(want.Probabilities.Max(), (double)classified["probability"]!, 1e-6);
        using var form = new MultipartFormDataContent
        {
            { new ByteArrayContent(picture), "picture", "cat.png" },
            { new StringContent("cats"), "model" },
        };
        Assert.Equal(want.Label, (string)(await server.Post("classify", form)).Json!["label"]!);
        // As curl sends it where nobody says what it is.
        using var likeCurl = new ByteArrayContent(picture)
        {
            Headers = { ContentType = new MediaTypeHeaderValue("application/x-www-form-urlencoded") },
        };
        Assert.Equal(want.Label, (string)(await server.Post("classify", likeCurl)).Json!["label"]!);

        var json = await server.Infer(
            "cats",
            $$"""
            {"inputs":[{"name":"image","datatype":"BYTES","shape":[1],
            "data":["{{Convert.ToBase64String(picture)}}"]}],"outputs":[{"name":"logits"}]}
            """
        );
        Close.To(
            [.. want.Logits],
            [.. TestServer.Values(json.Json).Select(value => (float)value)],
            0,
            1e-6,
            "one more rounding in JSON"
        );
        var classes = await server.Infer(
            "cats",
            $$$"""
            {"inputs":[{"name":"image","datatype":"BYTES","shape":[1],
            "data":["{{{Convert.ToBase64String(picture)}}}"]}],"outputs":[{"name":"probabilities",
            "parameters":{"classification":1}}]}
            """
        );
        Assert.EndsWith($":{want.Label}", (string)classes.Json!["outputs"]![0]!["data"]![0]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_pictures_are_a_batch()
    {
        byte[][] pictures =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(seed => TestPictures.Encode(8, 8, SkiaSharp.SKEncodedImageFormat.Png, seed: seed)),
        ];
        using var classifier = ImageClassifier.Load(TestModels.Classifier(), "m");
        float[] want = [.. pictures.SelectMany(picture => classifier.Classify(picture).Logits)];
        var data = string.Join(',', pictures.Select(picture => $"\"{Convert.ToBase64String(picture)}\""));
        var answer = await server.Infer(
            "cats",
            $$"""{"inputs":[{"name":"image","datatype":"BYTES","shape":[3],"data":[{{data}}]}],"outputs":[{"name":"logits"}]}"""
        );
        Close.To(
            want,
            [.. TestServer.Values(answer.Json).Select(value => (float)value)],
            1e-5,
            1e-5,
            "rows of a batch"
        );
    }

    private static string Vector(string name, int start) =>
        $"{{\"name\":\"{name}\",\"datatype\":\"INT32\",\"shape\":[1,16],\"data\":[{string.Join(',', Enumerable.Range(start, 16))}]}}";

    private async Task ReadBack(JsonNode reply, Tensor[] want)
    {
        var request = new JsonObject { ["inputs"] = reply["outputs"]!.DeepClone() };
        var read = JsonRequestReader.Read(
            Encoding.UTF8.GetBytes(request.ToJsonString()),
            default,
            new ProtocolLimits()
        );
        for (var i = 0; i < want.Length; i++)
            TensorAssert.Same(
                want[i] with
                {
                    Name = want[i].Name.Replace("in_", "out_", StringComparison.Ordinal),
                },
                read.Inputs[i]
            );
        await Task.CompletedTask;
    }

    private async Task<(HttpStatusCode Status, JsonNode Reply, byte[] Blobs)> Binary(
        string model,
        byte[] body,
        int jsonLength
    )
    {
        using var content = new ByteArrayContent(body);
        var (status, json, response) = await server.Post(
            $"v2/models/{model}/infer",
            content,
            (BinaryBody.LengthHeader, jsonLength.ToString(CultureInfo.InvariantCulture))
        );
        if (json is not null)
            return (status, json, []);
        var bytes = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        var length = int.Parse(
            response.Headers.GetValues(BinaryBody.LengthHeader).Single(),
            CultureInfo.InvariantCulture
        );
        return (status, JsonNode.Parse(bytes.AsSpan(0, length))!, bytes[length..]);
    }
}
