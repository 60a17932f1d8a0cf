using System.Net;

namespace TorchBridge.Serving.Tests.Models;

/// <summary>Models of other people, which are tried in a process of their own first.</summary>
public class ModelLoaderTests
{
    [Fact]
    public async Task A_foreign_model_is_tried_in_a_child_process_and_served()
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("affine", TestModels.Affine()), ("broken", [8, 8, 66, 200, 1])),
            ("Probe", "Foreign")
        );
        await server.StillLive();
        Assert.Contains("broken.onnx", server.Registry.Find("broken")!.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ProbeBytes", "67108864", "bytes of memory")]
    [InlineData("ProbeMilliseconds", "100", "ms to load")]
    public async Task A_first_load_is_bounded(string limit, string value, string message)
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("affine", TestModels.Affine())),
            ("Probe", "Foreign"),
            (limit, value)
        );
        Assert.Contains(message, server.Registry.Find("affine")!.Problem, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await server.Get("v2/health/live")).Status);
    }

    [Fact]
    public async Task A_model_whose_rows_depend_on_each_other_runs_requests_alone()
    {
        await using var server = await TestServer.Start(TestServer.Plain(("mixed", TestModels.MixedRows())));
        Assert.Contains(
            "depends on the other rows",
            (string)(await server.Get("v2/models/mixed")).Json!["properties"]!["not_batched"]!,
            StringComparison.Ordinal
        );
        // Alone a softmax over one row is one, whatever else is asked at the same time.
        var answers = await Task.WhenAll(
            Enumerable.Range(0, 50).Select(i => server.Infer("mixed", TestServer.Affine(i)))
        );
        foreach (var answer in answers)
            Assert.Equal([1, 1, 1], TestServer.Values(answer.Json));
        // Two rows of one request belong together, and are run so.
        var two = await server.Infer(
            "mixed",
            """{"inputs":[{"name":"x","datatype":"FP32","shape":[2,3],"data":[1,1,1,1,1,1]}]}"""
        );
        Assert.Equal(Enumerable.Repeat(0.5, 6), TestServer.Values(two.Json));
    }

    [Fact]
    public async Task Inputs_over_which_the_model_does_not_run_are_the_clients_fault()
    {
        await using var server = await TestServer.Start(
            TestServer.Plain(("table", TestModels.Table()), ("affine", TestModels.Affine()))
        );
        var answer = await server.Infer(
            "table",
            """{"inputs":[{"name":"i","datatype":"INT64","shape":[1,1],"data":[99]}]}"""
        );
        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.DoesNotContain("/", (string)answer.Json!["error"]!, StringComparison.Ordinal);
        await server.StillLive();
    }
}
