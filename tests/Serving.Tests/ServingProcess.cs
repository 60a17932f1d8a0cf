using System.Diagnostics;

namespace TorchBridge.Serving.Tests;

/// <summary>The program on free ports.</summary>
internal sealed class ServingProcess : IAsyncDisposable
{
    private readonly Process process;
    private readonly System.Text.StringBuilder output = new();
    private readonly Task ended;
    private TaskCompletionSource news = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ServingProcess(Process process)
    {
        this.process = process;
        process.OutputDataReceived += (_, line) => Add(line.Data);
        process.ErrorDataReceived += (_, line) => Add(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        ended = process.WaitForExitAsync();
    }

    public int Id => process.Id;

    /// <summary>What it has printed.</summary>
    public string Said
    {
        get
        {
            lock (output)
                return output.ToString();
        }
    }

    public string Rest { get; private set; } = "";

    public string Grpc { get; private set; } = "";

    public static Task<ServingProcess> Start(string models, params string[] arguments) =>
        Start(models, new Dictionary<string, string>(), arguments);

    /// <summary>Starts it, in the models' folder, and waits until a model answers.</summary>
    public static Task<ServingProcess> Start(
        string models,
        IReadOnlyDictionary<string, string> environment,
        params string[] arguments
    ) => StartAt("http://127.0.0.1:0", models, environment, arguments);

    /// <summary>Starts it at an address of this machine.</summary>
    public static async Task<ServingProcess> StartAt(
        string address,
        string models,
        IReadOnlyDictionary<string, string> environment,
        params string[] arguments
    )
    {
        var dll = Path.Combine(Run.OutputOf("src", "Serving"), "TorchBridge.Serving.dll");
        var start = new ProcessStartInfo(
            "dotnet",
            [dll, "--models", models, "--urls", address, "--grpc-url", "http://127.0.0.1:0", .. arguments]
        )
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = models,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var program = new ServingProcess(Process.Start(start)!);
        var text = await program.Until("gRPC http");
        program.Rest = text[(text.IndexOf("REST ", StringComparison.Ordinal) + 5)..].Split("/v2")[0];
        text = await program.Until("is ready");
        program.Grpc = text[(text.IndexOf("gRPC ", StringComparison.Ordinal) + 5)..].Split('\n')[0].Trim();
        return program;
    }

    /// <summary>Waits until it has printed a text; all that it has printed.</summary>
    public async Task<string> Until(string text)
    {
        while (true)
        {
            Task next;
            var isEnded = ended.IsCompleted; // all of its output has been read then
            lock (output)
            {
                if (output.ToString().Contains(text, StringComparison.Ordinal))
                    return output.ToString();
                next = news.Task;
            }

            if (isEnded)
                throw new InvalidOperationException($"the program has ended with {process.ExitCode}: {Said}");
            await Task.WhenAny(next, ended).WaitAsync(TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Its resident size in bytes, and how many files it has open, where the system tells.</summary>
    public (long Bytes, int Files) Memory()
    {
        process.Refresh();
        var files = $"/proc/{process.Id}/fd";
        return (process.WorkingSet64, Directory.Exists(files) ? Directory.GetFiles(files).Length : 0);
    }

    /// <summary>Waits for its end.</summary>
    public async Task<int> ExitCode()
    {
        await ended.WaitAsync(TestContext.Current.CancellationToken);
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        await ended;
        process.Dispose();
    }

    private void Add(string? line)
    {
        lock (output)
        {
            output.AppendLine(line);
            news.TrySetResult();
            news = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
