using System.Globalization;
using SkiaSharp;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Work;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Jobs;
using TorchBridge.Training.Networks;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Scoring as <c>score</c> does it, with child processes, published results and receipts. Measures the overhead of an
/// item (shards of one picture in one child, compared with the same work in this process), and the throughput of two
/// children with one thread each, compared in turn with one process with two threads.
/// </summary>
internal static class ScaleScoring
{
    private const int Rounds = 5;
    private const int Pictures = 30_000;

    // Of a thousand pictures each, the default of `score`.
    private const int Shards = 30;
    private const int SmallItems = 300;
    private const int Batch = 32;

    /// <summary>Measures these figures alone.</summary>
    public static Measurement Run()
    {
        var measurement = new Measurement("scale-scoring");
        Measure(measurement);
        return measurement;
    }

    /// <summary>Adds these figures to a measurement.</summary>
    public static void Measure(Measurement measurement)
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-").FullName;
        try
        {
            var model = ScoringSubject.Export(folder, "network", BlockForm.Plain, 16);
            var pictures = Draw(Path.Combine(folder, "pictures"));
            var (large, small) = (
                Job(Path.Combine(folder, "large"), model, pictures, Pictures, Shards),
                Job(Path.Combine(folder, "small"), model, pictures, SmallItems, SmallItems)
            );
            using var node = Wait(ClusterNode.Coordinate(ClusterAddress.Embedded));
            using var runner = new Children();
            measurement
                .Rounds(
                    Rounds,
                    ("pictures/s, 2 workers of one thread", () => Pictures / Shared(node.Value, runner, large, 2)),
                    ("pictures/s, 1 process, 2 threads of ours", () => Pictures / TwoThreads(large)),
                    ("pictures/s, 1 process, 2 threads of ONNX Runtime", () => Pictures / OneSession(model, pictures)),
                    ("seconds, 300 items of one picture, leased", () => Shared(node.Value, runner, small, 1)),
                    ("seconds, 300 items of one picture, here", () => Here(small))
                )
                .Ratio(
                    "2 workers to 2 threads of ours",
                    "pictures/s, 2 workers of one thread",
                    "pictures/s, 1 process, 2 threads of ours"
                )
                .Ratio(
                    "2 workers to 2 threads of ONNX Runtime",
                    "pictures/s, 2 workers of one thread",
                    "pictures/s, 1 process, 2 threads of ONNX Runtime"
                );
            var (leased, here) = (
                measurement.Values("seconds, 300 items of one picture, leased"),
                measurement.Values("seconds, 300 items of one picture, here")
            );
            measurement.Figure(
                "ms overhead of a leased and published item",
                [.. leased.Zip(here, (with, without) => 1000 * (with - without) / SmallItems)]
            );
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Draw(string folder)
    {
        Directory.CreateDirectory(folder);
        using var bitmap = new SKBitmap(32, 32);
        for (var picture = 0; picture < Pictures; picture++)
        {
            bitmap.Erase(new SKColor((byte)picture, (byte)(picture >> 4), (byte)(picture >> 8)));
            using var encoded = bitmap.Encode(SKEncodedImageFormat.Png, 100);
            File.WriteAllBytes(
                Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{picture:D6}.png")),
                encoded.ToArray()
            );
        }

        return folder;
    }

    private static string Job(string folder, string model, string pictures, int count, int shards)
    {
        Directory.CreateDirectory(folder);
        var onnx = File.ReadAllBytes(model);
        var (whole, root) = Manifest.Make(pictures, (_, _) => { }, CancellationToken.None);
        var lines = System.Text.Encoding.UTF8.GetString(whole).Split('\n')[..count];
        var manifest = System.Text.Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n");
        JobFolder.Write(
            folder,
            new ScoringSpecification(
                ContentHash.Of(onnx),
                ContentHash.Of(manifest),
                count,
                shards,
                ResultFormat.Parquet,
                root
            )
        );
        File.WriteAllBytes(JobFolder.ModelOf(folder), onnx);
        File.WriteAllBytes(JobFolder.ManifestOf(folder), manifest);
        return folder;
    }

    /// <summary>Runs a job with leases, child processes, published results and receipts. The children are kept from
    /// round to round, as in a long job.</summary>
    /// <returns>The time, in seconds.</returns>
    private static double Shared(ClusterNode node, Children runner, string folder, int slots)
    {
        var (work, results) = JobFolder.Open(folder);
        using (work)
        {
            if (Directory.Exists(results.Path))
                Directory.Delete(results.Path, recursive: true);
            Directory.CreateDirectory(results.Path);
            var ticket = new JobTicket
            {
                Folder = folder,
                Count = work.Count,
                LeaseDuration = TimeSpan.FromMinutes(5),
                MostAttempts = 1,
                Program = Versions.Program,
            };
            var seconds = Measurement.Seconds(() =>
            {
                var ended = JobRun
                    .Do(
                        node.Client,
                        JobRun.KeyOf(folder, "benchmark"),
                        ticket,
                        runner.Value,
                        new WorkerOptions("benchmark", slots, Versions.Program)
                        {
                            Poll = TimeSpan.FromMilliseconds(20),
                        },
                        _ => { },
                        null,
                        CancellationToken.None
                    )
                    .GetAwaiter()
                    .GetResult();
                if (ended.Done != work.Count)
                    throw new InvalidOperationException(ended.Errors[0].Error);
            });
            return seconds;
        }
    }

    /// <summary>Computes the same shards in this process, with two threads of ours that have a session each; nothing
    /// is published.</summary>
    /// <returns>The time, in seconds.</returns>
    private static double TwoThreads(string folder)
    {
        ScoringWork[] works = [(ScoringWork)JobFolder.Open(folder).Work, (ScoringWork)JobFolder.Open(folder).Work];
        var next = -1;
        var seconds = Measurement.Seconds(() =>
            Task.WaitAll([
                .. works.Select(work =>
                    Task.Run(() =>
                    {
                        for (int index; (index = Interlocked.Increment(ref next)) < work.Count; )
                            work.Do(work.Item(index), Stream.Null, CancellationToken.None);
                    })
                ),
            ])
        );
        foreach (var work in works)
            work.Dispose();
        return seconds;
    }

    /// <summary>Reads batches with two threads, and scores them with one session of two threads.</summary>
    /// <returns>The time, in seconds.</returns>
    private static double OneSession(string model, string folder)
    {
        using var classifier = ImageClassifier.Load(model, new SessionSettings { Threads = 2 });
        var stride = 3 * classifier.Width * classifier.Height;
        var planes = new byte[Batch * stride];
        var files = Directory.GetFiles(folder);
        return Measurement.Seconds(() =>
        {
            foreach (var batch in files.Chunk(Batch))
            {
                Parallel.For(0, batch.Length, new ParallelOptions { MaxDegreeOfParallelism = 2 }, at =>
                    PictureReader.Read(
                        File.ReadAllBytes(batch[at]),
                        batch[at],
                        classifier.Width,
                        classifier.Height,
                        planes.AsSpan(at * stride, stride),
                        classifier.Card.Reading
                    )
                );
                classifier.ClassifyPlanes(planes.AsSpan(0, batch.Length * stride), batch.Length);
            }
        });
    }

    private static double Here(string folder)
    {
        using var work = JobFolder.Open(folder).Work;
        // The first item creates the session before the time is taken; a child has its session already, too.
        work.Do(work.Item(0), Stream.Null, CancellationToken.None);
        return Measurement.Seconds(() =>
        {
            for (var index = 0; index < work.Count; index++)
                work.Do(work.Item(index), Stream.Null, CancellationToken.None);
        });
    }

    private static Waited Wait(Task<ClusterNode> node) => new(node.GetAwaiter().GetResult());

    private sealed class Waited(ClusterNode node) : IDisposable
    {
        public ClusterNode Value => node;

        public void Dispose() => node.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private sealed class Children : IDisposable
    {
        public ChildProcessRunner Value { get; } = ItemChildren.Runner();

        public void Dispose() => Value.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
