// A worker processes no item in its own process, so a crash or an out-of-memory kill ends a child process and not the
// worker. A child reads one request per line from its standard input, and answers each with one line on its standard
// output; the end of its standard error is kept for messages. However the worker ends, the child's input ends too,
// and then the child exits.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>Processes each item in a child process.</summary>
/// <param name="start">How to start a child; its input and output are redirected.</param>
internal sealed class ChildProcessRunner(Func<ProcessStartInfo> start) : IItemRunner
{
    private readonly ConcurrentBag<Child> idle = [];

    /// <inheritdoc/>
    public async Task<string?> Run(ItemLease lease, CancellationToken stop)
    {
        if (!idle.TryTake(out var child) || child.HasExited)
        {
            child?.Dispose();
            child = new Child(start());
        }

        var isReusable = false;
        try
        {
            var reply = await child.Ask(new ItemRequest(lease.Folder, lease.Index), stop).ConfigureAwait(false);
            if (reply is null)
                return await child.ExitReason().ConfigureAwait(false);
            isReusable = !reply.IsSpent;
            return reply.Error;
        }
        finally
        {
            if (isReusable)
                idle.Add(child);
            else
                child.Dispose();
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        while (idle.TryTake(out var child))
            child.Dispose();
        return ValueTask.CompletedTask;
    }

    private sealed class Child : IDisposable
    {
        private const int KeptErrors = 4000;
        private readonly Process process;
        private readonly StringBuilder errors = new();
        private readonly Task reading;

        public Child(ProcessStartInfo start)
        {
            start.RedirectStandardInput = true;
            start.RedirectStandardOutput = true;
            start.RedirectStandardError = true;
            process = Process.Start(start) ?? throw new InvalidOperationException($"{start.FileName} did not start");
            reading = KeepErrors();
        }

        public bool HasExited => process.HasExited;

        public async Task<ItemReply?> Ask(ItemRequest request, CancellationToken stop)
        {
            try
            {
                await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(request)).ConfigureAwait(false);
                await process.StandardInput.FlushAsync(stop).ConfigureAwait(false);
            }
            catch (IOException)
            {
                return null; // the child has ended
            }

            var line = await process.StandardOutput.ReadLineAsync(stop).ConfigureAwait(false);
            return line is null ? null : JsonSerializer.Deserialize<ItemReply>(line);
        }

        /// <summary>How the process ended, for messages.</summary>
        public async Task<string> ExitReason()
        {
            await process.WaitForExitAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
            string said;
            lock (errors)
                said = errors.ToString().Trim();
            var how = process.ExitCode switch
            {
                137 => "was killed (SIGKILL: by a user, or because memory ran out)",
                139 => "crashed (SIGSEGV)",
                134 => "crashed (SIGABRT)",
                var code => FormattableString.Invariant($"ended with exit code {code}"),
            };
            return $"its process {how}{(said.Length > 0 ? $": {said}" : "")}";
        }

        public void Dispose()
        {
            try
            {
                process.Kill(entireProcessTree: true);
            }
            catch (InvalidOperationException)
            {
                // the process has already ended
            }

            process.Dispose();
        }

        private async Task KeepErrors()
        {
            var buffer = new char[1024];
            try
            {
                for (int count; (count = await process.StandardError.ReadAsync(buffer).ConfigureAwait(false)) > 0; )
                {
                    lock (errors)
                    {
                        errors.Append(buffer, 0, count);
                        if (errors.Length > KeptErrors)
                            errors.Remove(0, errors.Length - KeptErrors);
                    }
                }
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException)
            {
                // the process has ended or was disposed
            }
        }
    }
}

/// <summary>A request to a child.</summary>
/// <param name="Folder">The job's folder.</param>
/// <param name="Index">The item's index in the job.</param>
internal sealed record ItemRequest(string Folder, int Index);

/// <summary>A child's answer.</summary>
/// <param name="Error">What went wrong; null if the result is published.</param>
/// <param name="IsSpent">Whether the child must not process another item.</param>
internal sealed record ItemReply(string? Error, bool IsSpent);
