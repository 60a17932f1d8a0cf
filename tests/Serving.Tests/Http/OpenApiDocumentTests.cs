using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Json.Schema;

namespace TorchBridge.Serving.Tests.Http;

/// <summary>What the server answers, against the document that it describes itself with.</summary>
public sealed class OpenApiDocumentTests : IAsyncLifetime
{
    private TestServer server = null!;

    public async ValueTask InitializeAsync() =>
        server = await TestServer.Start(
            TestServer.Plain(
                ("identity", TestModels.Identity()),
                ("simple", TestModels.Simple()),
                ("cats", TestModels.Classifier(map: true)),
                ("broken", [1, 2, 3])
            )
        );

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task Every_answer_is_as_described()
    {
        var document = (await server.Get("openapi")).Json!;
        Assert.Equal("3.1.0", (string)document["openapi"]!);
        var picture = TestPictures.Encode(20, 12, SkiaSharp.SKEncodedImageFormat.Png);
        var vectors = """
            {"name":"INPUT0","datatype":"INT32","shape":[1,16],"data":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]},
            {"name":"INPUT1","datatype":"INT32","shape":[1,16],"data":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}
            """;
        var random = new Random(1);
        var all = new JsonObject
        {
            ["inputs"] = new JsonArray([
                .. TestModels.AllTypes.Select(type =>
                    JsonInput(RandomTensors.Make(random, $"in_{type}", TestModels.TypeOf(type), 1, 2))
                ),
            ]),
        };
        (string Path, string Verb, HttpContent? Body)[] calls =
        [
            ("/v2", "get", null),
            ("/v2/health/live", "get", null),
            ("/v2/health/ready", "get", null),
            ("/v2/models/{model}|simple", "get", null),
            ("/v2/models/{model}|cats", "get", null),
            ("/v2/models/{model}|nothing", "get", null),
            ("/v2/models/{model}|broken", "get", null),
            ("/v2/models/{model}/ready|simple", "get", null),
            ("/v2/models/{model}/ready|broken", "get", null),
            ("/v2/models/{model}/ready|nothing", "get", null),
            ("/v2/models/{model}/stats|simple", "get", null),
            (
                "/v2/models/{model}/infer|simple",
                "post",
                new StringContent(
                    $$"""{"id":"1","parameters":{"a":1,"b":"x","c":true,"d":0.5},"inputs":[{{vectors}}]}"""
                )
            ),
            (
                "/v2/models/{model}/infer|simple",
                "post",
                new StringContent(
                    $$$"""{"inputs":[{{{vectors}}}],"outputs":[{"name":"OUTPUT0","parameters":{"classification":3}}]}"""
                )
            ),
            ("/v2/models/{model}/infer|identity", "post", new StringContent(all.ToJsonString())),
            ("/v2/models/{model}/infer|simple", "post", new StringContent("{}")),
            ("/v2/models/{model}/infer|nothing", "post", new StringContent("{}")),
            ("/v2/models/{model}/infer|broken", "post", new StringContent("{}")),
            ("/classify", "post", new ByteArrayContent(picture)),
            ("/classify?details=true&top=2", "post", new ByteArrayContent(picture)),
            ("/classify", "post", new ByteArrayContent([1])),
            ("/classify?model=nothing", "post", new ByteArrayContent(picture)),
        ];
        var seen = new HashSet<string>();
        foreach (var (path, verb, body) in calls)
        {
            var parts = path.Split('|');
            var url = parts[0].Replace("{model}", parts.Length > 1 ? parts[1] : "", StringComparison.Ordinal)[1..];
            var (status, json, _) = verb == "get" ? await server.Get(url) : await server.Post(url, body!);
            var response = document["paths"]![parts[0].Split('?')[0]]![verb]!["responses"]![$"{(int)status}"];
            Assert.True(response is not null, $"{path} answered {(int)status}, which is not described");
            var reference = (string)response["content"]!["application/json"]!["schema"]!["$ref"]!;
            seen.Add(reference);
            Assert.True(IsValid(document, reference, json!), $"{path}: {json!.ToJsonString()} is not as described");
        }

        // It looked at every kind of answer that is described.
        var described = document["paths"]!
            .AsObject()
            .SelectMany(path => path.Value!.AsObject())
            .Where(verb => verb.Key is "get" or "post")
            .SelectMany(verb => verb.Value!["responses"]!.AsObject())
            .Select(response => (string)response.Value!["content"]!["application/json"]!["schema"]!["$ref"]!);
        Assert.Equal(described.Distinct().Order(), seen.Order());
    }

    [Fact]
    public async Task The_description_tells_wrong_answers()
    {
        var document = (await server.Get("openapi")).Json!;
        foreach (
            var (reference, wrong) in ((string, string)[])
                [
                    ("#/components/schemas/Ready", """{"ready":"yes"}"""),
                    ("#/components/schemas/Error", """{"message":"x"}"""),
                    ("#/components/schemas/InferenceReply", """{"outputs":[]}"""),
                    (
                        "#/components/schemas/InferenceReply",
                        """{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FLOAT","data":[1]}]}"""
                    ),
                    (
                        "#/components/schemas/InferenceReply",
                        """{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32"}]}"""
                    ),
                    ("#/components/schemas/ModelMetadata", """{"name":"m"}"""),
                ]
        )
            Assert.False(IsValid(document, reference, JsonNode.Parse(wrong)!), $"{wrong} passes as {reference}");
    }

    [Fact]
    public async Task Every_address_of_the_description_is_there()
    {
        var document = (await server.Get("openapi")).Json!;
        foreach (var (path, operations) in document["paths"]!.AsObject())
        {
            var url = path[1..]
                .Replace("{model}", "simple", StringComparison.Ordinal)
                .Replace("{version}", "1", StringComparison.Ordinal);
            var status = operations!["get"] is not null
                ? (await server.Get(url)).Status
                : (await server.Post(url, new ByteArrayContent([]))).Status;
            Assert.True(
                status is not (HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed),
                $"{path}: {status}"
            );
        }
    }

    private static JsonObject JsonInput(Tensor tensor)
    {
        var reply = new InferenceReply("m", "1", null, InferenceRequest.NoParameters, [(tensor, false)]);
        var target = new System.Buffers.ArrayBufferWriter<byte>();
        JsonReplyWriter.Write(reply, target);
        return (JsonObject)JsonNode.Parse(target.WrittenSpan)!["outputs"]![0]!.DeepClone();
    }

    private static bool IsValid(JsonNode document, string reference, JsonNode value)
    {
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["$ref"] = reference.Replace("#/components/schemas/", "#/$defs/", StringComparison.Ordinal),
            ["$defs"] = JsonNode.Parse(
                document["components"]!["schemas"]!
                    .ToJsonString()
                    .Replace("#/components/schemas/", "#/$defs/", StringComparison.Ordinal)
            ),
        };
        using var parsed = JsonDocument.Parse(value.ToJsonString());
        return JsonSchema.FromText(schema.ToJsonString()).Evaluate(parsed.RootElement).IsValid;
    }
}
