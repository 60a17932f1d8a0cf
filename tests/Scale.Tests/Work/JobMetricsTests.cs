using System.Diagnostics.Metrics;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Work;

namespace TorchBridge.Scale.Tests.Work;

public class JobMetricsTests
{
    [Fact]
    public void Every_item_is_in_one_state_and_failed_attempts_are_a_count()
    {
        const string job = "job of the metrics' test";
        using var metrics = new JobMetrics(job);
        metrics.Set(
            new JobProgress
            {
                Count = 20,
                Done = 4,
                Leased = 3,
                SetAside = 1,
                Held = 2,
                FailedAttempts = 7,
            }
        );
        var seen = new SortedDictionary<string, int>(StringComparer.Ordinal);
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listening) =>
            {
                if (instrument.Meter.Name == JobMetrics.Name)
                    listening.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<int>(
            (instrument, count, tags, _) =>
            {
                // Jobs of other tests are reported too.
                if (tags.ToArray().Contains(new KeyValuePair<string, object?>("job", job)))
                    seen[$"{instrument.Name} {tags.ToArray().FirstOrDefault(tag => tag.Key == "state").Value}"] = count;
            }
        );
        listener.Start();
        listener.RecordObservableInstruments();
        Assert.Equal(
            new SortedDictionary<string, int>(StringComparer.Ordinal)
            {
                ["torchbridge.failed_attempts "] = 7,
                ["torchbridge.items done"] = 4,
                ["torchbridge.items held"] = 2,
                ["torchbridge.items leased"] = 3,
                ["torchbridge.items pending"] = 10,
                ["torchbridge.items set_aside"] = 1,
            },
            seen
        );
    }
}
