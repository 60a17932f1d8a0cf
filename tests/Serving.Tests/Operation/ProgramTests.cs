using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests.Operation;

/// <summary>The program, as a process.</summary>
public class ProgramTests
{
    private static string Dll => Path.Combine(Run.OutputOf("src", "Serving"), "TorchBridge.Serving.dll");

    [Fact]
    public void Help_lists_every_option_with_its_default()
    {
        var result = Run.Program(Dll, ["--help"]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        foreach (
            var option in (string[])
                ["--models", "--urls", "--grpc-url", "--metrics-url", "--max-batch-size", "--api-key", "--probe"]
        )
            Assert.Contains(option, result.Output, StringComparison.Ordinal);
        Assert.Contains("Default: 32.", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--modles", "--modles", "models")]
    [InlineData(2, "--models needs a value", "--models")]
    [InlineData(2, "twice", "--models", ".", "--models", ".")]
    [InlineData(2, "no folder", "--models", "/no/such/folder")]
    [InlineData(2, "MaxBatchSize", "--models", ".", "--max-batch-size", "0")]
    [InlineData(1, "MaxBatchSize", "--models", ".", "--max-batch-size", "many")]
    [InlineData(2, "ApiKey", "--models", ".", "--api-key", "short")]
    [InlineData(2, "'*'", "--models", ".", "--allowed-origins", "*")]
    [InlineData(2, "larger", "--models", ".", "--max-request-bytes", "2000000", "--max-bytes-in-flight", "1000000")]
    [InlineData(2, "not an address", "--models", ".", "--urls", "nonsense")]
    [InlineData(2, "Kestrel:Endpoints", "--models", ".", "--urls", "https://127.0.0.1:8443")]
    [InlineData(2, "IP address", "--models", ".", "--urls", "http://example.org:80")]
    public void What_cannot_be_is_said_at_start_without_a_trace(int exitCode, string message, params string[] arguments)
    {
        var result = Run.Program(Dll, arguments);
        Assert.Equal(exitCode, result.ExitCode);
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://0.0.0.0:0", true)]
    [InlineData("http://127.0.0.1:0", false)]
    public async Task It_warns_where_other_machines_reach_it(string address, bool isOpen)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no SIGTERM");
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["affine.onnx"], TestModels.Affine());
        await using var program = await ServingProcess.StartAt(
            address,
            folder.Path,
            new Dictionary<string, string>(),
            "--probe",
            "None"
        );
        await program.Until("is ready");
        Assert.Equal(0, Run.Command("kill", ["-TERM", $"{program.Id}"]).ExitCode);
        Assert.Equal(0, await program.ExitCode());
        Assert.Equal(
            isOpen,
            program.Said.Contains("is open to other machines, without a key", StringComparison.Ordinal)
        );
    }

    [Fact]
    public async Task Told_to_stop_under_load_it_answers_what_it_has_accepted_and_exits_with_0()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no SIGTERM");
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["affine.onnx"], TestModels.Affine());
        await using var program = await ServingProcess.Start(
            folder.Path,
            "--probe",
            "None",
            "--drain-milliseconds",
            "2000"
        );
        var (answered, isToStop) = (0, new TaskCompletionSource());
        // Each has a connection, and asks until it is told that this was the last answer on it. Nothing may fail
        // until then.
        var clients = Enumerable
            .Range(0, 16)
            .Select(client =>
                Task.Run(
                    async () =>
                    {
                        using var http = new HttpClient { BaseAddress = new Uri(program.Rest) };
                        while (true)
                        {
                            using var content = new StringContent(
                                TestServer.Affine(client),
                                Encoding.UTF8,
                                "application/json"
                            );
                            using var answer = await http.PostAsync(
                                new Uri("v2/models/affine/infer", UriKind.Relative),
                                content
                            );
                            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                            Assert.Equal(
                                [client, client + 1, client + 2],
                                TestServer.Values(JsonNode.Parse(await answer.Content.ReadAsStringAsync()))
                            );
                            if (Interlocked.Increment(ref answered) == 500)
                                isToStop.SetResult();
                            if (answer.Headers.ConnectionClose == true)
                                return;
                        }
                    },
                    TestContext.Current.CancellationToken
                )
            )
            .ToArray();
        await Task.WhenAny(isToStop.Task, Task.WhenAll(clients));
        Assert.Equal(0, Run.Command("kill", ["-TERM", $"{program.Id}"]).ExitCode);
        await Task.WhenAll(clients);
        Assert.True(answered >= 500, $"{answered}");
        Assert.Equal(0, await program.ExitCode());
    }

    [Fact]
    public async Task A_request_that_was_on_its_way_when_it_stopped_listening_is_answered()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no SIGTERM");
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["affine.onnx"], TestModels.Affine());
        await using var program = await ServingProcess.Start(
            folder.Path,
            "--probe",
            "None",
            "--drain-milliseconds",
            "0"
        );
        var (address, stop) = (new Uri(program.Rest), TestContext.Current.CancellationToken);
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port, stop);
        Assert.Equal(0, Run.Command("kill", ["-TERM", $"{program.Id}"]).ExitCode);
        var listened = Stopwatch.GetTimestamp();
        while (await IsListening(address))
            listened = Stopwatch.GetTimestamp();
        await client
            .GetStream()
            .WriteAsync("GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), stop);
        Assert.SkipWhen(
            Stopwatch.GetElapsedTime(listened) > LingeringClose.Time / 2,
            "this machine was too slow to ask in time"
        );
        using var reader = new StreamReader(client.GetStream());
        var answer = await reader.ReadToEndAsync(stop);
        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
        Assert.Equal(0, await program.ExitCode());
    }

    [Fact]
    public async Task The_environment_and_a_file_configure_it_too()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["affine.onnx"], TestModels.Affine());
        File.WriteAllText(folder["appsettings.json"], """{ "Server": { "MaxBatchSize": 7 } }""");
        await using var program = await ServingProcess.Start(
            folder.Path,
            new Dictionary<string, string> { ["Server__Probe"] = "None" }
        );
        using var http = new HttpClient { BaseAddress = new Uri(program.Rest) };
        Assert.Contains(
            "\"max_batch_size\":\"7\"",
            await http.GetStringAsync(
                new Uri("v2/models/affine", UriKind.Relative),
                TestContext.Current.CancellationToken
            ),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_file_that_crashes_its_loader_does_not_take_the_server_down()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the loader is killed by a signal");
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["affine.onnx"], TestModels.Affine());
        await using var program = await ServingProcess.Start(
            folder.Path,
            "--probe",
            "All",
            "--reload-milliseconds",
            "50"
        );
        // A model that takes minutes to run: its loader is at work until it is killed, as a crash would end it. SIGKILL,
        // because a .NET process that has started survives its first SIGSEGV if another process sent it.
        File.WriteAllBytes(folder["staged"], TestModels.Slow(200_000));
        File.Move(folder["staged"], folder["slow.onnx"]);
        while (Children(program.Id) is not [_, ..])
            await Task.Yield();
        foreach (var child in Children(program.Id))
            Run.Command("kill", ["-KILL", child]);
        using var http = new HttpClient { BaseAddress = new Uri(program.Rest) };
        Assert.Contains("crashes the process in which", await program.Until("crashes"), StringComparison.Ordinal);
        using var answer = await http.PostAsync(
            new Uri("v2/models/affine/infer", UriKind.Relative),
            new StringContent(TestServer.Affine(1)),
            TestContext.Current.CancellationToken
        );
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Five_hundred_loads_leave_the_memory_and_the_open_files_as_they_were()
    {
        const int loads = 500,
            warm = 150;
        // a session that stays is a megabyte of weights and as much again: 350 of them are 350 MB at least
        const long allowed = 64 << 20;
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["m.onnx"], TestModels.Weights(0));
        await using var program = await ServingProcess.Start(
            folder.Path,
            "--probe",
            "None",
            "--reload-milliseconds",
            "5"
        );
        using var http = new HttpClient { BaseAddress = new Uri(program.Rest) };
        (long Bytes, int Files) before = default;
        for (var load = 1; load < loads; load++)
        {
            File.WriteAllBytes(folder["staged"], TestModels.Weights(load));
            File.Move(folder["staged"], folder["m.onnx"], overwrite: true);
            await program.Until($"m version {load + 1} is ready");
            using var answer = await http.PostAsync(
                new Uri("v2/models/m/infer", UriKind.Relative),
                new StringContent(TestModels.WeightsRequest),
                TestContext.Current.CancellationToken
            );
            Assert.Contains(
                $"[{load}]",
                (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Replace(
                    ".0",
                    "",
                    StringComparison.Ordinal
                ),
                StringComparison.Ordinal
            );
            if (load == warm)
                before = program.Memory();
        }

        var after = program.Memory();
        Assert.True(
            after.Bytes - before.Bytes < allowed,
            $"resident size grew from {before.Bytes >> 20} to {after.Bytes >> 20} MB over {loads - warm} loads"
        );
        Assert.True(after.Files - before.Files < 20, $"open files grew from {before.Files} to {after.Files}");
    }

    private static async Task<bool> IsListening(Uri address)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(address.Host, address.Port, TestContext.Current.CancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static string[] Children(int id)
    {
        var file = $"/proc/{id}/task";
        if (!Directory.Exists(file))
            return [];
        return
        [
            .. Directory
                .EnumerateDirectories(file)
                .Select(task => Path.Combine(task, "children"))
                .Where(File.Exists)
                .SelectMany(path => File.ReadAllText(path).Split(' ', StringSplitOptions.RemoveEmptyEntries)),
        ];
    }
}
