using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Tests.Optimization;

public class HeapGuardTests
{
    private const long Gigabyte = 1L << 30;

    [Fact]
    public void A_process_may_grow_by_half_and_a_small_one_to_a_gigabyte()
    {
        Assert.Equal(Gigabyte, HeapGuard.LimitOf(0));
        Assert.Equal(Gigabyte, HeapGuard.LimitOf(Gigabyte / 2));
        Assert.Equal(3 * Gigabyte, HeapGuard.LimitOf(2 * Gigabyte));
    }
}
