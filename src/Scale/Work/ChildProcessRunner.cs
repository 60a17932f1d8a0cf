// A worker does no item in its own process: what crashes, or is killed because memory ran out, is a child. A child takes
// one request a line on its input, and answers with one line on its output; its errors are kept for the message. The
// end of its input is the end of the worker, however that ended: the child leaves.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>Does each item in a child process.</summary>
/// <param name="start">How a child is started; its input and output are taken.</param>
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
                return await child.Death().ConfigureAwait(false);
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
                return null; // it is gone
            }

            var line = await process.StandardOutput.ReadLineAsync(stop).ConfigureAwait(false);
            return line is null ? null : JsonSerializer.Deserialize<ItemReply>(line);
        }

        /// <summary>How the process ended, for people.</summary>
        public async Task<string> Death()
        {
            await process.WaitForExitAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
            string said;
            lock (errors)
                said = errors.ToString().Trim();
            var how = process.ExitCode switch
            {
                137 => "was killed (SIGKILL: by somebody, or because memory ran out)",
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
                // it has ended
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
                // closed
            }
        }
    }
}

/// <summary>What a child is asked.</summary>
/// <param name="Folder">The job's folder.</param>
/// <param name="Index">The item.</param>
internal sealed record ItemRequest(string Folder, int Index);

/// <summary>What it answers.</summary>
/// <param name="Error">What went wrong; null where the result is published.</param>
/// <param name="IsSpent">Whether the child must do no other item.</param>
internal sealed record ItemReply(string? Error, bool IsSpent);
