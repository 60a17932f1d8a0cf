using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Spectre.Console;

namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>
/// Gives bad inputs to every entry point for data from outside (door). Each door has a separate process, so that a
/// native fault, a hang or unbounded memory is reported and does not end the test. Failing inputs are kept in a
/// folder, with their exceptions.
/// </summary>
internal static class FuzzSubject
{
    private const long MostBytes = 2L << 30;

    /// <summary>Processor time after which one input counts as a hang. Processor time, because on a busy machine the
    /// process may wait for a processor.</summary>
    private const int HangSeconds = 10;

    /// <summary>Elapsed time after which one input counts as a hang, because a deadlock needs no processor
    /// time.</summary>
    private const int StuckSeconds = 60;
    private const int MostRestarts = 20;

    /// <summary>Tests the doors, one after the other.</summary>
    /// <param name="only">One door, or null for all.</param>
    /// <param name="minutes">Time for all doors together.</param>
    /// <param name="inputs">The most inputs per door.</param>
    /// <param name="seed">The seed that determines the inputs.</param>
    /// <param name="folder">The folder for failing inputs.</param>
    /// <returns>0 if every input was read, or refused as documented; 2 if there is no such door; otherwise
    /// 1.</returns>
    public static int Run(string? only, double minutes, int inputs, int seed, string folder)
    {
        if (only is not null && !FuzzDoors.All.ContainsKey(only))
        {
            Console.Error.WriteLine(
                $"There is no entry point '{only}'. The entry points are {string.Join(", ", FuzzDoors.All.Keys)}."
            );
            return 2;
        }

        Directory.CreateDirectory(folder);
        string[] doors = only is null ? [.. FuzzDoors.All.Keys] : [only];
        var seconds = 60 * minutes / doors.Length;
        var table = new Table().AddColumns(
            "door",
            "inputs",
            "read",
            "refused",
            "undocumented",
            "crashes",
            "hangs",
            "over 2 GB",
            "peak MB",
            "seconds"
        );
        var isClean = true;
        foreach (var door in doors)
        {
            var counts = Door(door, seconds, inputs, seed, folder);
            isClean &= counts.IsClean;
            table.AddRow([
                door,
                .. new long[]
                {
                    counts.Inputs,
                    counts.Accepted,
                    counts.Refused,
                    counts.Undocumented,
                    counts.Crashes,
                    counts.Hangs,
                    counts.OverMemory,
                    counts.PeakBytes >> 20,
                    (long)counts.Seconds,
                }.Select(count => count.ToString("N0", CultureInfo.InvariantCulture)),
            ]);
            Console.WriteLine(
                FormattableString.Invariant(
                    $"{door}: {counts.Inputs} inputs, {(counts.IsClean ? "clean" : "NOT CLEAN")}"
                )
            );
        }

        AnsiConsole.Write(table);
        Console.WriteLine(
            isClean ? "Every input was read, or refused as documented." : $"The failing inputs are in {folder}."
        );
        return isClean ? 0 : 1;
    }

    private static FuzzCounts Door(string door, double seconds, int inputs, int seed, string folder)
    {
        var counts = new FuzzCounts();
        var started = Stopwatch.GetTimestamp();
        var next = 0;
        for (var restart = 0; restart <= MostRestarts && next < inputs; restart++)
        {
            var left = seconds - Stopwatch.GetElapsedTime(started).TotalSeconds;
            if (left < 1)
                break;
            next = Process(door, next, inputs, (int)left, seed, folder, counts);
        }

        counts.Seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return counts;
    }

    /// <summary>Runs one process until it ends or has to be ended.</summary>
    /// <returns>The number of the input with which to continue.</returns>
    private static int Process(
        string door,
        int first,
        int last,
        int seconds,
        int seed,
        string folder,
        FuzzCounts counts
    )
    {
        using var process = Start([
            door,
            .. new[] { seed, first, last, seconds }.Select(number => number.ToString(CultureInfo.InvariantCulture)),
            folder,
        ]);
        var lines = new BlockingCollection<string>();
        var errors = process.StandardError.ReadToEndAsync();
        var reader = Task.Run(() =>
        {
            while (process.StandardOutput.ReadLine() is { } line)
                lines.Add(line);
            lines.CompleteAdding();
        });
        var heard = Stopwatch.GetTimestamp();
        var computed = TimeSpan.Zero;
        long[] state = [first, 0, 0, 0];
        var end = "";
        while (!lines.IsCompleted)
        {
            var isHeard = lines.TryTake(out var line, 200);
            if (isHeard)
                state = Array.ConvertAll(line!.Split(' '), text => long.Parse(text, CultureInfo.InvariantCulture));
            if (Measured(process) is not var (bytes, computing))
                continue;
            counts.PeakBytes = Math.Max(counts.PeakBytes, bytes);
            if (isHeard)
                (heard, computed) = (Stopwatch.GetTimestamp(), computing);

            // The first report comes after the corpus was created, which has to load ONNX Runtime and a network.
            var patience = state[1] + state[2] + state[3] == 0 ? 6 : 1;
            var silent = Stopwatch.GetElapsedTime(heard).TotalSeconds;
            if (bytes > MostBytes)
                end = "memory";
            else if ((computing - computed).TotalSeconds > patience * HangSeconds || silent > patience * StuckSeconds)
                end = "hang";
            else
                continue;
            process.Kill(entireProcessTree: true);
            break;
        }

        process.WaitForExit();
        reader.Wait();
        counts.Accepted += state[1];
        counts.Refused += state[2];
        counts.Undocumented += state[3];
        if (end.Length == 0 && process.ExitCode == 0)
            return last;
        if (end.Length == 0)
            end = "crash";
        if (end == "memory")
            counts.OverMemory++;
        else if (end == "hang")
            counts.Hangs++;
        else
            counts.Crashes++;
        var name = Path.Combine(folder, FormattableString.Invariant($"{door}-{seed}-{state[0]}-{end}"));
        var current = Path.Combine(folder, $"{door}.current");
        if (File.Exists(current))
            File.Copy(current, $"{name}.bin", overwrite: true);
        File.WriteAllText($"{name}.txt", $"ended with exit code {process.ExitCode}\n{errors.Result}");
        // The failing input is among those since the last report: skip about as many inputs as one second takes.
        return (int)state[0] + (int)Math.Max(1, (state[1] + state[2] + state[3]) / Math.Max(1, seconds));
    }

    /// <summary>Memory and processor time of a process; null if it has ended.</summary>
    private static (long Bytes, TimeSpan Computing)? Measured(Process process)
    {
        try
        {
            process.Refresh();
            return process.HasExited ? null : (process.WorkingSet64, process.TotalProcessorTime);
        }
        catch (InvalidOperationException)
        {
            // It ended between the two calls.
            return null;
        }
    }

    private static Process Start(IEnumerable<string> arguments)
    {
        var host = Environment.ProcessPath!;
        var start = new ProcessStartInfo(host) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(host) == "dotnet")
            start.ArgumentList.Add(typeof(FuzzSubject).Assembly.Location);
        start.ArgumentList.Add(FuzzChild.Option);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        // Inputs are small, so several threads would only wait for each other.
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x60000000";
        return System.Diagnostics.Process.Start(start)!;
    }
}
