using OxyPlot.Series;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Tests.Jobs;

public class SweepPlotsTests
{
    [Fact]
    public void Numbers_lie_by_their_size_draws_over_powers_of_ten_by_their_logarithm_and_names_side_by_side()
    {
        var plain = SweepScale.Of(["1", "3", "2"]);
        Assert.Equal((0, 0.5, 1), (plain.PlaceOf("1"), plain.PlaceOf("2"), plain.PlaceOf("3")));
        Assert.Equal([(0, "1"), (0.5, "2"), (1, "3")], plain.Marks(8));
        var wide = SweepScale.Of(["0.0001", "0.01", "0.001"]);
        Assert.True(wide.IsLogarithmic);
        Assert.Equal(0.5, wide.PlaceOf("0.001"), 12);
        var names = SweepScale.Of(["group", "batch", "", "group"]);
        Assert.Equal(["", "batch", "group"], names.Names);
        Assert.Equal(0.5, names.PlaceOf("batch"), 12);
        // A single value is in the middle.
        Assert.Equal(0.5, SweepScale.Of(["7"]).PlaceOf("7"));
        // Negative numbers and zero have no logarithm.
        Assert.False(SweepScale.Of(["0", "100"]).IsLogarithmic);
        Assert.False(SweepScale.Of(["-1", "100"]).IsLogarithmic);
    }

    [Fact]
    public void Many_values_have_a_few_marks_and_none_lies_on_another()
    {
        var drawn = SweepScale.Of([.. Enumerable.Range(0, 100).Select(i => $"{i}")]);
        Assert.Equal([0, 0.25, 0.5, 0.75, 1], drawn.Marks(8).Select(mark => mark.Place));
        Assert.Equal("24.8", drawn.Marks(8).ElementAt(1).Text);
        var close = SweepScale.Of(["1", "1.001", "2"]);
        Assert.Equal(["1", "2"], close.Marks(8).Select(mark => mark.Text));
    }

    [Fact]
    public void A_line_for_each_setting_the_best_on_top_and_those_that_ended_early_are_dashed()
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal) { ["network.dropout"] = "0.2" };
        var other = new Dictionary<string, string>(StringComparer.Ordinal) { ["network.dropout"] = "0" };
        var plot = SweepPlots.Parallel(
            ["network.dropout"],
            [new SweepLine(settings, 0.7, false), new SweepLine(other, 0.6, false), new SweepLine(other, 0.8, true)]
        );
        var lines = plot.Series.OfType<LineSeries>().ToArray();
        Assert.Equal(3, lines.Length);
        // One that ended early may have the highest figure: it is not the best.
        Assert.Equal(3, lines[^1].StrokeThickness);
        Assert.Equal(OxyPlot.LineStyle.Solid, lines[^1].LineStyle);
        Assert.Equal([(0, 1), (1, 0.5)], lines[^1].Points.Select(point => (point.X, Math.Round(point.Y, 9))));
        Assert.Single(lines, line => line.LineStyle == OxyPlot.LineStyle.Dash);
    }
}
