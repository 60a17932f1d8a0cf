using TorchBridge.Training.Data;

namespace TorchBridge.Training.Tests.Data;

public class ArchiveLimitsTests
{
    [Fact]
    public void A_few_bytes_that_unpack_to_many_are_refused_before_they_are()
    {
        var limits = new ArchiveLimits("bomb.zip", 1000);
        limits.Add("small.png", ArchiveLimits.Small, 10); // up to there the ratio does not matter
        Assert.Throws<UserException>(() =>
            new ArchiveLimits("bomb.zip", 1000).Add("a.png", ArchiveLimits.Small + 1, 10)
        );
        Assert.Throws<UserException>(() => new ArchiveLimits("bomb.zip", 1000).Add("a.png", -1, null));
        Assert.Throws<UserException>(() =>
            new ArchiveLimits("bomb.zip", 1000).Add("a.png", BoundedPicture.Largest + 1L, null)
        );
    }

    [Fact]
    public void Many_small_entries_count_together()
    {
        var limits = new ArchiveLimits("photos.tar.gz", 1 << 20);
        var error = Assert.Throws<UserException>(() =>
        {
            for (var entry = 0; entry < 1000; entry++)
                limits.Add("a.png", 1 << 20, null);
        });
        Assert.Contains("photos.tar.gz", error.Message, StringComparison.Ordinal);
        Assert.Contains($"{ArchiveLimits.MostRatio} times", error.Message, StringComparison.Ordinal);
    }
}
