using System.Runtime.InteropServices;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Batching;

public class BatchWorkerTests
{
    [Fact]
    public async Task Requests_of_any_mix_get_what_they_get_alone()
    {
        var random = new Random(5);
        var session = Sessions.Open(TestModels.Classifier());
        using var sessions = new ModelSessions(session, Sessions.Open(TestModels.Classifier(), threads: 1), 2);
        var observer = new Recorder();
        var queue = new BatchQueue(new BatchSettings(8, default, 1000), TimeProvider.System);
        PendingRequest[] requests = [.. Enumerable.Range(0, 200).Select(_ => Pixels(random, random.Next(1, 5)))];
        foreach (var request in requests)
            Assert.True(queue.TryAdd(request));
        // Two workers share the sessions.
        BatchWorker[] workers =
        [
            .. Enumerable
                .Range(0, 2)
                .Select(i => new BatchWorker(sessions, queue, TimeProvider.System, observer, $"worker {i}")),
        ];
        queue.Close();
        foreach (var worker in workers)
            worker.Join();

        using var memory = new RunMemory();
        foreach (var request in requests)
        {
            var got = (await request.Completion).Outputs.Single();
            var alone = session.Run(memory, [request.Inputs], request.Outputs)[0][0];
            Assert.Null(RowIndependence.Difference(alone, got));
        }

        Assert.Equal(requests.Sum(request => request.Rows), observer.Rows.Sum());
        Assert.InRange(observer.Rows.Max(), 5, 8); // they did run together
    }

    [Fact]
    public async Task One_that_fails_does_not_spoil_the_others()
    {
        using var sessions = new ModelSessions(Sessions.Open(TestModels.Table()), 1);
        var queue = new BatchQueue(new BatchSettings(8, default, 100), TimeProvider.System);
        PendingRequest[] requests =
        [
            .. ((long[])[0, 1, 99, 3]).Select(index => new PendingRequest(
                [new Tensor("i", TensorType.Int64, [1, 1]) { Data = BitConverter.GetBytes(index) }],
                [0],
                1,
                long.MaxValue
            )),
        ];
        foreach (var request in requests)
            queue.TryAdd(request);
        var worker = new BatchWorker(sessions, queue, TimeProvider.System, new Recorder(), "worker");
        queue.Close();
        worker.Join();
        await Assert.ThrowsAsync<ModelRunException>(() => requests[2].Completion);
        foreach (var (request, want) in ((int[])[0, 1, 3]).Select(i => (requests[i], 10f + i)))
            Assert.Equal(want, MemoryMarshal.Read<float>((await request.Completion).Outputs[0].Data.Span));
    }

    private static PendingRequest Pixels(Random random, int rows)
    {
        float[] values = [.. Enumerable.Range(0, rows * 192).Select(_ => (float)random.Next(256))];
        // Each asks for another of the outputs.
        return new PendingRequest(
            [
                new Tensor("pixels", TensorType.FP32, [rows, 3, 8, 8])
                {
                    Data = MemoryMarshal.AsBytes(values.AsSpan()).ToArray(),
                },
            ],
            [random.Next(2)],
            rows,
            long.MaxValue
        );
    }

    private sealed class Recorder : IBatchObserver
    {
        public List<int> Rows { get; } = [];

        public void Ran(int rows, TimeSpan run, IReadOnlyList<TimeSpan> queued)
        {
            lock (Rows)
                Rows.Add(rows);
        }

        public void Failed(Exception error) { }
    }
}
