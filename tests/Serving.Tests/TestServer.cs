using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using TorchBridge.Serving.Grpc.Wire;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests;

/// <summary>The program's own application on free ports of this machine, with the models of a folder of its
/// own.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly GrpcChannel channel;

    private TestServer(TempFolder folder, WebApplication app)
    {
        Folder = folder;
        this.app = app;
        Addresses = [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];
        Http = new HttpClient { BaseAddress = new Uri(Addresses[0]) };
        channel = GrpcChannel.ForAddress(Addresses[1], new GrpcChannelOptions { MaxReceiveMessageSize = null });
        Grpc = new GRPCInferenceService.GRPCInferenceServiceClient(channel);
    }

    public TempFolder Folder { get; }

    public string[] Addresses { get; }

    public HttpClient Http { get; }

    public GRPCInferenceService.GRPCInferenceServiceClient Grpc { get; }

    public ModelRegistry Registry => app.Services.GetRequiredService<ModelRegistry>();

    public ModelRepository Repository => app.Services.GetRequiredService<ModelRepository>();

    public IServiceProvider Services => app.Services;

    /// <summary>
    /// Starts a server whose models are loaded. The folder is not watched: tests look themselves, with <see cref="Look"/>.
    /// </summary>
    public static async Task<TestServer> Start(Action<TempFolder> fill, params (string Name, string Value)[] settings)
    {
        var folder = new TempFolder();
        fill(folder);
        var configuration = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Server:Models"] = folder.Path,
            ["Server:ReloadMilliseconds"] = "0",
            ["Server:Probe"] = "None",
            ["Server:DrainMilliseconds"] = "0",
            ["Logging:LogLevel:Default"] = "None",
            [ProgramArguments.Urls] = "http://127.0.0.1:0",
            [ProgramArguments.GrpcUrl] = "http://127.0.0.1:0",
        };
        foreach (var (name, value) in settings)
            configuration[name.Contains('-', StringComparison.Ordinal) || name == "urls" ? name : $"Server:{name}"] =
                value;
        var app = ServerApplication.Build(configuration);
        await app.StartAsync(TestContext.Current.CancellationToken);
        var registry = app.Services.GetRequiredService<ModelRegistry>();
        while (!registry.IsFirstLoadDone)
            await Task.Yield();
        return new TestServer(folder, app);
    }

    /// <summary>Looks at the folder twice: what has changed is taken when two looks have seen the same.</summary>
    public void Look()
    {
        Repository.Look();
        Repository.Look();
    }

    public static Action<TempFolder> Plain(params (string Name, byte[] Onnx)[] models) =>
        folder =>
        {
            foreach (var (name, onnx) in models)
                File.WriteAllBytes(folder[$"{name}.onnx"], onnx);
        };

    public async Task<(HttpStatusCode Status, JsonNode? Json, HttpResponseMessage Response)> Get(string path)
    {
        var response = await Http.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
        return (response.StatusCode, await Json(response), response);
    }

    public async Task<(HttpStatusCode Status, JsonNode? Json, HttpResponseMessage Response)> Post(
        string path,
        HttpContent content,
        params (string Name, string Value)[] headers
    )
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative))
        {
            Content = content,
        };
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        var response = await Http.SendAsync(request, TestContext.Current.CancellationToken);
        return (response.StatusCode, await Json(response), response);
    }

    public Task<(HttpStatusCode Status, JsonNode? Json, HttpResponseMessage Response)> Infer(
        string model,
        string json
    ) => Post($"v2/models/{model}/infer", new StringContent(json, Encoding.UTF8, "application/json"));

    /// <summary>The server is there, and a model answers: what every hostile test ends with.</summary>
    public async Task StillLive(string model = "affine")
    {
        Assert.Equal(HttpStatusCode.OK, (await Get("v2/health/live")).Status);
        var answer = await Infer(model, Affine(1));
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal([1, 2, 3], Values(answer.Json));
    }

    /// <summary>A request of the affine model: [start, start + 1, start + 2].</summary>
    public static string Affine(int start) =>
        $$"""{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[{{start}},{{start + 1}},{{start + 2}}]}]}""";

    public static IReadOnlyList<double> Values(JsonNode? reply, int output = 0) =>
        [.. reply!["outputs"]![output]!["data"]!.AsArray().Select(item => item!.GetValue<double>())];

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        channel.Dispose();
        await app.StopAsync(CancellationToken.None);
        await app.DisposeAsync();
        Folder.Dispose();
    }

    private static async Task<JsonNode?> Json(HttpResponseMessage response)
    {
        if (response.Content.Headers.ContentType?.MediaType != "application/json")
            return null;
        return await response.Content.ReadFromJsonAsync<JsonNode>(TestContext.Current.CancellationToken);
    }
}
