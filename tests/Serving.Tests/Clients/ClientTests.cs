using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Inference;

namespace TorchBridge.Serving.Tests.Clients;

/// <summary>
/// Clients of other makers against the program's own application. Where one is not installed its test skips; .ci/run
/// installs them.
/// </summary>
public sealed class ClientTests : IAsyncLifetime
{
    private static readonly int[] Ones = [.. Enumerable.Repeat(1, 16)],
        Counting = [.. Enumerable.Range(0, 16)];
    private readonly TempFolder folder = new();
    private TestServer server = null!;

    private static string Folder => Path.Combine(Shared.Repository, "tests", "Serving.Tests", "Clients");

    public async ValueTask InitializeAsync()
    {
        server = await TestServer.Start(
            TestServer.Plain(("simple", TestModels.Simple()), ("cats", TestModels.Classifier()))
        );
        File.WriteAllBytes(folder["cat.png"], TestPictures.Encode(20, 12, SkiaSharp.SKEncodedImageFormat.Png));
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        folder.Dispose();
    }

    [Fact]
    public async Task Node_over_gRPC()
    {
        Assert.SkipUnless(Run.IsInstalled("node"), "Node is not installed");
        Assert.SkipUnless(
            Directory.Exists(Path.Combine(Folder, "node_modules")),
            "the Node packages are not installed (`npm ci` in tests/Serving.Tests/Clients)"
        );
        var proto = Path.Combine(Shared.Repository, "src", "Serving", "Grpc", "open_inference.proto");
        var result = await Task.Run(() =>
            Run.Command(
                "node",
                [Path.Combine(Folder, "client.mjs"), new Uri(server.Addresses[1]).Authority, proto, folder["cat.png"]]
            )
        );
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        var got = JsonNode.Parse(result.Output)!;
        foreach (var flag in (string[])["live", "ready", "modelReady", "many", "refused"])
            Assert.True((bool)got[flag]!, flag);
        Assert.Equal(
            ("torchbridge", "raw", 1),
            ((string)got["server"]!, (string)got["id"]!, (int)got["typedOutputs"]!)
        );
        Assert.Equal("32", (string)got["properties"]!);
        Assert.Equal("""["INPUT0 INT32 [-1,16]","INPUT1 INT32 [-1,16]"]""", got["inputs"]!.ToJsonString());
        Assert.Equal(Counting.Zip(Ones, (a, b) => a + b), got["sum"]!.Deserialize<int[]>()!);
        Assert.Equal(Counting.Zip(Ones, (a, b) => a - b), got["difference"]!.Deserialize<int[]>()!);
        Assert.Equal(Counting.Zip(Ones, (a, b) => a - b), got["typed"]!.Deserialize<int[]>()!);
        Assert.EndsWith($":{Label()}", (string)got["label"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Curl()
    {
        Assert.SkipUnless(Run.IsInstalled("curl"), "curl is not installed");
        var rest = server.Addresses[0];
        Assert.Equal(
            Label(),
            (string)(await Ask("--data-binary", $"@{folder["cat.png"]}", $"{rest}/classify"))["label"]!
        );
        Assert.Equal(
            Label(),
            (string)(await Ask("-F", $"picture=@{folder["cat.png"]}", "-F", "model=cats", $"{rest}/classify"))["label"]!
        );
        var json = $$"""
            {"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[1,16],
            "data":[{{string.Join(',', Counting)}}]},{"name":"INPUT1","datatype":"INT32","shape":[1,16],
            "data":[[{{string.Join(',', Ones)}}]]}]}
            """;
        var reply = await Ask("-H", "Content-Type: application/json", "-d", json, $"{rest}/v2/models/simple/infer");
        Assert.Equal(Counting.Select(value => value + 1), reply["outputs"]![0]!["data"]!.Deserialize<int[]>()!);
        // 2 MB: curl asks first (Expect: 100-continue).
        File.WriteAllBytes(folder["large"], new byte[2_000_000]);
        Assert.Contains(
            "JPEG",
            (string)(await Ask("--data-binary", $"@{folder["large"]}", $"{rest}/classify"))["error"]!,
            StringComparison.Ordinal
        );
        // Packed by the client, unpacked here.
        using (
            var packed = new System.IO.Compression.GZipStream(
                File.Create(folder["packed"]),
                System.IO.Compression.CompressionLevel.Fastest
            )
        )
            packed.Write(System.Text.Encoding.UTF8.GetBytes(json));
        Assert.NotNull(
            (
                await Ask(
                    "-H",
                    "Content-Encoding: gzip",
                    "--data-binary",
                    $"@{folder["packed"]}",
                    $"{rest}/v2/models/simple/infer"
                )
            )["outputs"]
        );
    }

    private string Label()
    {
        using var classifier = ImageClassifier.Load(TestModels.Classifier(), "m");
        return classifier.Classify(File.ReadAllBytes(folder["cat.png"])).Label;
    }

    private static async Task<JsonNode> Ask(params string[] arguments)
    {
        var result = await Task.Run(() =>
            Run.Command("curl", ["--silent", "--show-error", "--max-time", "60", .. arguments])
        );
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        return JsonNode.Parse(result.Output)!;
    }
}
