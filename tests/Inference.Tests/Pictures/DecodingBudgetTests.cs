using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests.Pictures;

public class DecodingBudgetTests
{
    [Fact]
    public void Many_threads_never_hold_more_than_the_limit()
    {
        var budget = new DecodingBudget(100);
        var held = 0L;
        Parallel.For(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 8 }, turn =>
        {
            var bytes = (turn % 60) + 1;
            using (budget.Take(bytes))
            {
                Assert.InRange(Interlocked.Add(ref held, bytes), 1, 100);
                Thread.Yield();
                Interlocked.Add(ref held, -bytes);
            }
        });
        Assert.Equal(0, held);
        Assert.InRange(budget.Peak, 60, 100);
    }

    /// <summary>Small pictures would pass a large one for ever, were it not first come, first served.</summary>
    [Fact]
    public async Task A_large_picture_is_not_passed_by_small_ones_that_came_later()
    {
        var budget = new DecodingBudget(100);
        var first = budget.Take(60);
        var large = Task.Run(() => budget.Take(90), TestContext.Current.CancellationToken);
        await Task.Delay(100, TestContext.Current.CancellationToken);
        var small = Task.Run(() => budget.Take(10), TestContext.Current.CancellationToken);
        await Task.Delay(100, TestContext.Current.CancellationToken);
        Assert.False(large.IsCompleted);
        Assert.False(small.IsCompleted);
        first.Dispose();
        (await large).Dispose();
        (await small).Dispose();
    }
}
