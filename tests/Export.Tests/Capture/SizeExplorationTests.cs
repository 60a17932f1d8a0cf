using TorchBridge.Export.Capture;
using TorchBridge.Export.Sizes;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>No run that only decides or verifies formulas may take the machine's memory.</summary>
public class SizeExplorationTests
{
    [Fact]
    public void An_input_that_forward_hardly_uses_is_bounded_too()
    {
        // forward takes one element, so its results stay small however long the input is.
        var runs = new List<long>();
        var exploration = Started(_ => 1, runs);
        Assert.True(exploration.Try(new SizePoint(2, 1000)));
        Assert.False(exploration.Try(new SizePoint(2, 1_000_000_000)));
        Assert.False(exploration.Try(new SizePoint(3, 200_000_000)));
        Assert.Equal([50, 1000], runs);
    }

    [Theory]
    [InlineData(1)] // results grow like the input
    [InlineData(2)] // like attention over a sequence
    [InlineData(4)] // like attention over the positions of a picture
    public void Growth_that_runs_have_shown_is_assumed_further_on(int power)
    {
        var runs = new List<long>();
        var exploration = Started(point => 4 * Math.Pow(point[1] / 10.0, power), runs);
        Assert.True(exploration.Try(new SizePoint(4, 100)));
        var most = Enumerable.Range(1, 60).Select(i => (long)Math.Pow(1.5, i)).Last(size => Fits(exploration, size));
        Assert.InRange(4 * Math.Pow(most / 10.0, power), 1.6e7, 2.5e8);
    }

    private static bool Fits(SizeExploration exploration, long size) => !exploration.IsTooLarge(new SizePoint(4, size));

    /// <summary>An exploration of one input [4, 50] with both axes free.</summary>
    /// <param name="largestResult">Elements of the largest result at a point.</param>
    /// <param name="runs">Receives the second axis of each run.</param>
    private static SizeExploration Started(Func<SizePoint, double> largestResult, List<long> runs)
    {
        var symbols = SizeSymbols.Name(
            [("input", zeros(4, 50))],
            new Dictionary<string, int[]> { ["input"] = [0, 1] },
            new Dictionary<(string, int), string>()
        );
        var exploration = new SizeExploration(
            symbols,
            (_, point, _) =>
            {
                runs.Add(point[1]);
                return new Trace { Work = 1000, LargestResult = largestResult(point) };
            },
            seed: 1
        );
        exploration.RunExample();
        return exploration;
    }
}
