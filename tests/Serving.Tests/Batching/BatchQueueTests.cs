using Microsoft.Extensions.Time.Testing;
using TorchBridge.Serving.Batching;

namespace TorchBridge.Serving.Tests.Batching;

public class BatchQueueTests
{
    private readonly FakeTimeProvider clock = new();

    [Fact]
    public void A_free_worker_takes_what_is_there_up_to_the_limit()
    {
        var queue = Queue(maxRows: 4);
        Add(queue, 1, 1, 1, 1, 1, 1);
        Assert.Equal((4, 2), (queue.Take()!.Count, queue.Count));
        Assert.Equal(2, queue.Take()!.Count);
    }

    [Fact]
    public void A_worker_leaves_one_that_has_nothing_to_do_its_share()
    {
        var hook = new ClockWithHook();
        var queue = new BatchQueue(new BatchSettings(8, default, 100), hook);
        List<PendingRequest>? left = null;
        var idle = new Thread(() => left = queue.Take());
        idle.Start();
        SpinWait.SpinUntil(() => idle.ThreadState.HasFlag(ThreadState.WaitSleepJoin));
        List<PendingRequest>? taken = null;
        // Inside of the queue's lock, so that the idle worker does not see the first of them alone.
        hook.Next = () =>
        {
            Add(queue, 1, 1, 1, 1, 1, 1);
            taken = queue.Take();
        };
        Add(queue, 1);
        idle.Join();
        Assert.Equal((3, 4), (taken!.Count, left!.Count));
    }

    [Fact]
    public void A_request_that_does_not_fit_any_more_is_the_next_batchs_first()
    {
        var queue = Queue(maxRows: 4);
        var requests = Add(queue, 2, 3, 1);
        Assert.Equal([requests[0]], queue.Take()!);
        Assert.Equal([requests[1], requests[2]], queue.Take()!);
    }

    [Fact]
    public void A_request_as_large_as_the_limit_runs_alone()
    {
        var queue = Queue(maxRows: 4);
        var requests = Add(queue, 4, 1);
        Assert.Equal([requests[0]], queue.Take()!);
    }

    [Fact]
    public void Other_shapes_wait_for_a_batch_of_their_own()
    {
        var queue = Queue(maxRows: 4);
        var (a, b, c) = (Request(1, 5), Request(1, 7), Request(1, 5));
        foreach (var request in (PendingRequest[])[a, b, c])
            Assert.True(queue.TryAdd(request));
        Assert.Equal([a, c], queue.Take()!);
        Assert.Equal([b], queue.Take()!);
    }

    [Fact]
    public void A_full_queue_takes_nothing_until_one_leaves()
    {
        var queue = Queue(capacity: 2);
        var requests = Add(queue, 1, 1);
        Assert.False(queue.TryAdd(Request(1)));
        Assert.True(queue.Remove(requests[0]));
        Assert.False(queue.Remove(requests[0]));
        Assert.True(queue.TryAdd(Request(1)));
        Assert.Equal(2, queue.Take()!.Count);
        Assert.False(queue.Remove(requests[1])); // it runs
    }

    [Fact]
    public async Task Requests_that_nobody_waits_for_any_more_are_dropped()
    {
        var queue = Queue(capacity: 2);
        var late = Request(1, deadline: clock.GetTimestamp() + (clock.TimestampFrequency / 10));
        Assert.True(queue.TryAdd(late));
        Assert.True(queue.TryAdd(Request(1)));
        clock.Advance(TimeSpan.FromSeconds(1));
        // Its place is free, also for one that comes when the queue is full.
        Assert.True(queue.TryAdd(Request(1)));
        Assert.Equal(2, queue.Take()!.Count);
        Assert.Equal(
            RefusalKind.Expired,
            (await Assert.ThrowsAsync<RequestRefusedException>(() => late.Completion)).Kind
        );
    }

    [Fact]
    public async Task A_delay_holds_back_an_incomplete_batch_and_counts_from_its_oldest_request()
    {
        var queue = Queue(maxRows: 4, delay: TimeSpan.FromMilliseconds(10));
        Add(queue, 1);
        var taken = Task.Run(queue.Take, TestContext.Current.CancellationToken);
        clock.Advance(TimeSpan.FromMilliseconds(6));
        Add(queue, 1);
        clock.Advance(TimeSpan.FromMilliseconds(3));
        Assert.False(taken.IsCompleted);
        // Ten milliseconds after the first, not after the second. The worker may not have set its timer yet: the
        // clock goes on until it has.
        while (!taken.IsCompleted)
            clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(2, (await taken)!.Count);
    }

    [Fact]
    public async Task A_complete_batch_does_not_wait()
    {
        var queue = Queue(maxRows: 2, delay: TimeSpan.FromDays(1));
        Add(queue, 1);
        var taken = Task.Run(queue.Take, TestContext.Current.CancellationToken);
        Add(queue, 1);
        Assert.Equal(2, (await taken)!.Count);
    }

    [Fact]
    public async Task A_closed_queue_is_run_to_its_end()
    {
        var queue = Queue(delay: TimeSpan.FromDays(1));
        Add(queue, 1);
        queue.Close();
        Assert.False(queue.TryAdd(Request(1)));
        Assert.Single((await Task.Run(queue.Take, TestContext.Current.CancellationToken))!);
        Assert.Null(await Task.Run(queue.Take, TestContext.Current.CancellationToken));
    }

    private BatchQueue Queue(int maxRows = 8, TimeSpan delay = default, int capacity = 100) =>
        new(new BatchSettings(maxRows, delay, capacity), clock);

    private static PendingRequest[] Add(BatchQueue queue, params int[] rows)
    {
        PendingRequest[] requests = [.. rows.Select(count => Request(count))];
        foreach (var request in requests)
            Assert.True(queue.TryAdd(request));
        return requests;
    }

    private static PendingRequest Request(int rows, int width = 3, long deadline = long.MaxValue) =>
        new([new Tensor("x", TensorType.FP32, [rows, width])], [0], rows, deadline);

    /// <summary>Does something when it is asked for the time.</summary>
    private sealed class ClockWithHook : TimeProvider
    {
        public Action? Next { get; set; }

        public override long GetTimestamp()
        {
            var next = Next;
            Next = null;
            next?.Invoke();
            return 0;
        }
    }
}
