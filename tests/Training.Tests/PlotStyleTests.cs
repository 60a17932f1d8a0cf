using OxyPlot.Axes;
using OxyPlot.Series;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Tests;

public class PlotStyleTests
{
    [Fact]
    public void No_two_of_forty_lines_look_the_same()
    {
        var plot = PlotStyle.Plot("many");
        for (var i = 0; i < 40; i++)
            plot.Series.Add(PlotStyle.Line($"line {i}", i, [(0, i), (1, i)]));
        plot.Series.Add(PlotStyle.Line("dashed", 3, [(0, 0), (1, 0)], isDashed: true));
        EverySeriesHasALookOfItsOwn([new Figure("many", 100, 100) { Plot = () => plot }]);
    }

    [Theory]
    [InlineData("epoch", 1)]
    [InlineData("step", 1)]
    [InlineData("accuracy, %", 0)]
    public void What_is_counted_has_whole_marks(string title, double step) =>
        Assert.Equal(step, PlotStyle.Axis(false, AxisPosition.Bottom, title).MinimumMajorStep);

    [Fact]
    public void What_is_not_finite_is_a_gap()
    {
        var line = PlotStyle.Line("loss", 0, [(1, 2), (2, double.NaN), (3, double.PositiveInfinity), (4, 1)]);
        Assert.Equal([true, false, false, true], line.Points.Select(point => point.IsDefined()));
    }

    [Fact]
    public void Names_that_are_too_many_or_too_long_leave_room_for_the_others()
    {
        var few = PlotStyle.Names(AxisPosition.Left, ["a", "the first half of this name, and the second"], 100);
        Assert.Equal(["a", "the first half o… and the second"], few.Labels);
        var many = PlotStyle.Names(AxisPosition.Bottom, [.. Enumerable.Range(0, 100).Select(i => $"{i}")], 650);
        Assert.Equal(100, many.Labels.Count);
        Assert.Equal(50, many.Labels.Count(label => label.Length > 0));
    }

    [Fact]
    public void Each_of_the_32_groups_of_instance_normalization_has_its_own_colour() =>
        Assert.Equal(
            33,
            Enumerable
                .Range(-1, 33)
                .Select(number => TorchBridge.Training.Lab.LabPlots.Group(number))
                .Distinct()
                .Count()
        );

    /// <summary>Colour, dash and marker together tell the series of a plot's legend apart.</summary>
    internal static void EverySeriesHasALookOfItsOwn(IEnumerable<Figure> figures)
    {
        foreach (var figure in figures.Where(figure => figure.Plot is not null))
        {
            var looks = figure
                .Plot!()
                .Series.OfType<LineSeries>()
                .Where(series => series.Title is not null)
                .Select(series => (series.Color, series.LineStyle, series.MarkerType))
                .ToArray();
            Assert.True(
                looks.Distinct().Count() == looks.Length,
                $"{figure.Name}: two series of the legend look the same"
            );
        }
    }
}
