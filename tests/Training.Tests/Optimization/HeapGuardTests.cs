using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Tests.Optimization;

public class HeapGuardTests
{
    [Fact]
    public void Memory_is_returned_when_a_process_has_grown_by_half()
    {
        // It settles at 2 GB and grows by a hundredth of that with each batch, until memory is returned.
        const long settled = 2 * HeapGuard.Least;
        var size = settled;
        List<long> trimmedAt = [];
        HeapGuard guard = new(
            () => size,
            () =>
            {
                trimmedAt.Add(size);
                size = settled;
            }
        );
        for (var batch = 0; batch < 300; batch++)
        {
            guard.AfterBatch();
            size += settled / 100;
        }

        Assert.InRange(trimmedAt.Count, 3, 6);
        Assert.All(trimmedAt, at => Assert.InRange(at, settled * 3 / 2, settled * 17 / 10));
    }

    [Fact]
    public void A_small_process_is_left_alone()
    {
        var size = HeapGuard.Least / 4;
        HeapGuard guard = new(() => size, () => Assert.Fail("memory was returned"));
        for (var batch = 0; batch < 100; batch++)
        {
            guard.AfterBatch();
            size = Math.Min(HeapGuard.Least, size * 2);
        }
    }
}
