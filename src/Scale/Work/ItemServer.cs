using System.Collections.Concurrent;
using System.Text.Json;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Publishing;

namespace TorchBridge.Scale.Work;

/// <summary>The main loop of a child process: reads requests line by line, and processes the items.</summary>
internal static class ItemServer
{
    /// <summary>Exit code of a child whose worker has ended in the middle of an item.</summary>
    public const int Orphaned = 3;

    /// <summary>Processes requests until the input ends.</summary>
    /// <param name="input">The requests, one per line.</param>
    /// <param name="output">Receives the replies, one per line.</param>
    /// <param name="open">Opens the job in a folder.</param>
    /// <param name="paragraph">Formats an error as one paragraph.</param>
    /// <param name="orphaned">Ends the process at once; called if the input ends in the middle of an item.</param>
    public static void Serve(
        TextReader input,
        TextWriter output,
        Func<string, (IWork Work, ResultFolder Results)> open,
        Func<Exception, string> paragraph,
        Action orphaned
    )
    {
        using var requests = new BlockingCollection<ItemRequest>();
        var isBusy = 0;
        var reader = new Thread(() =>
        {
            while (input.ReadLine() is { } line)
                requests.Add(JsonSerializer.Deserialize<ItemRequest>(line)!);
            requests.CompleteAdding();
            if (Volatile.Read(ref isBusy) != 0)
                orphaned();
        })
        {
            IsBackground = true,
        };
        reader.Start();
        (string Folder, IWork Work, ResultFolder Results)? opened = null;
        try
        {
            foreach (var request in requests.GetConsumingEnumerable())
            {
                Volatile.Write(ref isBusy, 1);
                string? error = null;
                try
                {
                    if (opened is not { } job || job.Folder != request.Folder)
                    {
                        opened?.Work.Dispose();
                        opened = null;
                        var (work, results) = open(request.Folder);
                        opened = job = (request.Folder, work, results);
                    }

                    job.Results.DoOnce(job.Work, job.Work.Item(request.Index), CancellationToken.None);
                }
                catch (Exception failure)
                {
                    error = paragraph(failure);
                }

                Volatile.Write(ref isBusy, 0);
                output.WriteLine(
                    JsonSerializer.Serialize(new ItemReply(error, opened?.Work.NeedsFreshProcess ?? false))
                );
                output.Flush();
            }
        }
        finally
        {
            opened?.Work.Dispose();
        }
    }
}
