using System.Net;
using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Tests.Models;

public class ModelRepositoryTests
{
    [Fact]
    public async Task Tritons_layout_is_served_with_its_configuration()
    {
        await using var server = await TestServer.Start(folder =>
        {
            Version(folder, "m", 1, TestModels.Affine(1));
            Version(folder, "m", 2, TestModels.Affine(2));
            Version(folder, "m", 10, TestModels.Affine(10));
            File.WriteAllText(
                folder["m", "config.pbtxt"],
                "name: \"m\" max_batch_size: 5 version_policy { latest { num_versions: 2 } } output [ { "
                    + "name: \"y\" label_filename: \"labels.txt\" } ]"
            );
            File.WriteAllText(folder["m", "labels.txt"], "low\nmiddle\nhigh\n");
            Version(folder, "pictures", 0, []); // no version: it begins with 0
            Directory.CreateDirectory(folder["staging"]);
        });
        Assert.Equal("""["2","10"]""", (await server.Get("v2/models/m")).Json!["versions"]!.ToJsonString());
        Assert.Equal([10, 20, 30], TestServer.Values((await server.Infer("m", TestServer.Affine(1))).Json));
        Assert.Equal([2, 4, 6], TestServer.Values((await server.Infer("m/versions/2", TestServer.Affine(1))).Json));
        Assert.Equal(HttpStatusCode.NotFound, (await server.Infer("m/versions/1", TestServer.Affine(1))).Status);
        Assert.Equal("5", (string)(await server.Get("v2/models/m")).Json!["properties"]!["max_batch_size"]!);
        var classes = await server.Infer(
            "m",
            """
            {"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,3,2]}],"outputs":[{"name":"y",
            "parameters":{"classification":2}}]}
            """
        );
        Assert.Equal(
            """["30.000000:1:middle","20.000000:2:high"]""",
            classes.Json!["outputs"]![0]!["data"]!.ToJsonString()
        );
        Assert.Single(server.Registry.Models);
    }

    [Fact]
    public async Task A_new_version_takes_the_place_of_the_old_one_when_it_is_loaded()
    {
        await using var server = await TestServer.Start(folder => Version(folder, "m", 1, TestModels.Affine(1)));
        Version(server.Folder, "m", 2, TestModels.Affine(2));
        server.Repository.Look();
        Assert.Equal("1", await VersionOf(server)); // seen once: it may still be written
        server.Repository.Look();
        Assert.Equal("2", await VersionOf(server));
        Directory.Delete(server.Folder["m", "2"], recursive: true);
        server.Look();
        Assert.Equal("1", await VersionOf(server));
    }

    [Fact]
    public async Task A_broken_new_version_leaves_the_old_one_serving_and_says_so()
    {
        await using var server = await TestServer.Start(folder => Version(folder, "m", 1, TestModels.Affine(1)));
        Version(server.Folder, "m", 2, "half a model"u8.ToArray());
        server.Look();
        Assert.Equal("1", await VersionOf(server));
        Assert.Contains(
            "m.onnx",
            server.Registry.Find("m")!.Problem!.Replace("model.onnx", "m.onnx", StringComparison.Ordinal),
            StringComparison.Ordinal
        );
        Assert.Equal(HttpStatusCode.OK, (await server.Get("v2/health/ready")).Status);
        Version(server.Folder, "m", 2, TestModels.Affine(2));
        server.Look();
        Assert.Equal("2", await VersionOf(server));
        Assert.Null(server.Registry.Find("m")!.Problem);
    }

    [Fact]
    public async Task A_plain_file_that_is_replaced_counts_its_versions()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("m", TestModels.Affine(1))));
        File.WriteAllBytes(server.Folder["m.onnx"], TestModels.Affine(2));
        server.Look();
        Assert.Equal("2", await VersionOf(server));
        Assert.Equal([2, 4, 6], TestServer.Values((await server.Infer("m", TestServer.Affine(1))).Json));
        File.WriteAllText(server.Folder["m.onnx"], "broken");
        server.Look();
        Assert.Equal("2", await VersionOf(server));
        File.Delete(server.Folder["m.onnx"]);
        server.Repository.Look();
        Assert.Equal("2", await VersionOf(server)); // gone once: it may be on its way
        server.Repository.Look();
        Assert.Equal(HttpStatusCode.NotFound, (await server.Infer("m", TestServer.Affine(1))).Status);
    }

    [Fact]
    public async Task A_folder_behind_a_link_that_is_swapped_is_seen()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need rights on Windows");
        await using var server = await TestServer.Start(folder =>
        {
            // As Kubernetes lays config maps: model.onnx -> ..data/model.onnx, ..data -> a folder.
            foreach (var generation in (int[])[1, 2])
            {
                Directory.CreateDirectory(folder[$"..{generation}"]);
                File.WriteAllBytes(folder[$"..{generation}", "m.onnx"], TestModels.Affine(generation));
                File.SetLastWriteTimeUtc(folder[$"..{generation}", "m.onnx"], DateTime.UnixEpoch);
            }

            Directory.CreateSymbolicLink(folder["..data"], "..1");
            File.CreateSymbolicLink(folder["m.onnx"], Path.Combine("..data", "m.onnx"));
        });
        Assert.Equal([1, 2, 3], TestServer.Values((await server.Infer("m", TestServer.Affine(1))).Json));
        Directory.Delete(server.Folder["..data"]);
        Directory.CreateSymbolicLink(server.Folder["..data"], "..2");
        server.Look();
        // The same length and the same time: what the file holds tells.
        Assert.Equal([2, 4, 6], TestServer.Values((await server.Infer("m", TestServer.Affine(1))).Json));
    }

    [Fact]
    public async Task A_classifier_that_computes_something_else_here_is_not_taken()
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("good", TestModels.Classifier()), ("wrong", TestModels.Classifier(wrong: true)))
        );
        Assert.True(server.Registry.Find("good")!.IsReady);
        Assert.Contains("in training", server.Registry.Find("wrong")!.Problem, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Get("v2/health/ready")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Get("v2/models/wrong/ready")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Infer("wrong", TestServer.Affine(1))).Status);
    }

    [Fact]
    public async Task Names_that_are_none_and_names_that_are_there_twice_are_told_of()
    {
        await using var server = await TestServer.Start(folder =>
        {
            File.WriteAllBytes(folder["m.onnx"], TestModels.Affine(1));
            Version(folder, "m", 1, TestModels.Affine(2));
            File.WriteAllBytes(folder["a b.onnx"], TestModels.Affine(1));
            Version(folder, "named", 1, TestModels.Affine(1));
            File.WriteAllText(folder["named", "config.pbtxt"], "name: \"other\"");
        });
        Assert.Contains("rename or remove", server.Registry.Find("m")!.Problem, StringComparison.Ordinal);
        Assert.Contains("'other'", server.Registry.Find("named")!.Problem, StringComparison.Ordinal);
        Assert.Null(server.Registry.Find("a b"));
    }

    [Fact]
    public async Task Replacing_a_model_under_load_fails_and_mixes_nothing()
    {
        const int replacements = 100;
        await using var server = await TestServer.Start(folder => Version(folder, "m", 1, TestModels.Affine(1)));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var answered = 0;
        var clients = Enumerable
            .Range(0, 8)
            .Select(client =>
                Task.Run(
                    async () =>
                    {
                        while (!stop.IsCancellationRequested)
                        {
                            var answer = await server.Infer("m", TestServer.Affine(client));
                            Assert.Equal(HttpStatusCode.OK, answer.Status);
                            var version = int.Parse(
                                (string)answer.Json!["model_version"]!,
                                System.Globalization.CultureInfo.InvariantCulture
                            );
                            Assert.Equal(
                                [version * client, version * (client + 1), version * (client + 2)],
                                TestServer.Values(answer.Json)
                            );
                            Interlocked.Increment(ref answered);
                        }
                    },
                    TestContext.Current.CancellationToken
                )
            )
            .ToArray();
        for (var version = 2; version <= replacements + 1; version++)
        {
            Version(server.Folder, "m", version, TestModels.Affine(version));
            server.Look();
            var seen = Volatile.Read(ref answered);
            while (Volatile.Read(ref answered) < seen + 10 && !clients.Any(client => client.IsFaulted))
                await Task.Yield();
        }

        await stop.CancelAsync();
        await Task.WhenAll(clients);
        Assert.Equal($"{replacements + 1}", await VersionOf(server));
    }

    private static async Task<string> VersionOf(TestServer server)
    {
        var answer = await server.Infer("m", TestServer.Affine(1));
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        return (string)answer.Json!["model_version"]!;
    }

    private static void Version(TempFolder folder, string model, int version, byte[] onnx)
    {
        Directory.CreateDirectory(folder[model, $"{version}"]);
        File.WriteAllBytes(folder[model, $"{version}", "model.onnx"], onnx);
    }
}
