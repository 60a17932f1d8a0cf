using TorchBridge.Serving.Batching;

namespace TorchBridge.Serving.Tests.Batching;

public class BatchStatisticsTests
{
    [Fact]
    public void Runs_rows_and_times_add_up_and_what_was_read_stays()
    {
        var statistics = new BatchStatistics();
        statistics.Add(4, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(8));
        statistics.Add(1, TimeSpan.FromSeconds(1), TimeSpan.Zero);
        statistics.Add(4, TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(1));
        statistics.AddFailure();
        var figures = statistics.Read();
        statistics.Add(9, TimeSpan.Zero, TimeSpan.Zero);
        Assert.Equal(
            new BatchFigures(9, 3, 1, TimeSpan.FromSeconds(9), TimeSpan.FromSeconds(6), figures.RunsBySize),
            figures
        );
        Assert.Equal([(1, 1L), (4, 2L)], figures.RunsBySize.Select(pair => (pair.Key, pair.Value)));
    }
}
