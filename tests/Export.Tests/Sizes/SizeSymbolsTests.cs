using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Which axes are free, which are tied together, and how that is described.</summary>
public class SizeSymbolsTests
{
    private static readonly Dictionary<string, int[]> NoFreeAxes = [];
    private static readonly Dictionary<(string Input, int Axis), string> NoNames = [];

    [Fact]
    public void By_default_axis_0_of_all_inputs_with_as_many_rows_is_the_batch()
    {
        using var scope = NewDisposeScope();
        var symbols = SizeSymbols.Name(
            [("x", zeros(4, 3)), ("scale", zeros(3)), ("y", zeros(4)), ("number", zeros([]))],
            NoFreeAxes,
            NoNames
        );
        Assert.Equal(["batch"], symbols.Names);
        Assert.Equal(["x[0]", "y[0]"], symbols.AxesOf(0));
        Assert.True(symbols.IsRows(0));
        Assert.Empty(symbols.Ties);
        Assert.Equal([4], symbols.Example.Sizes);
        // A model whose first input has no axes has no batch.
        Assert.Empty(SizeSymbols.Name([("number", zeros([])), ("x", zeros(4))], NoFreeAxes, NoNames).Names);
    }

    [Fact]
    public void Free_axes_have_names_of_their_own_and_may_count_from_the_end()
    {
        using var scope = NewDisposeScope();
        var symbols = SizeSymbols.Name(
            [("x", zeros(2, 3, 5, 7)), ("y", zeros(6, 2))],
            new Dictionary<string, int[]> { ["x"] = [-1, 0, 3, 2], ["y"] = [0, -2] },
            new Dictionary<(string Input, int Axis), string> { [("x", 2)] = "height" }
        );
        Assert.Equal(["batch", "height", "x_3", "y_0"], symbols.Names);
        Assert.Equal([2, 5, 7, 6], symbols.Example.Sizes);
        Assert.Equal("batch = 2, height = 5, x_3 = 7, y_0 = 6", symbols.Describe(symbols.Example));
        Assert.Equal([0, 1, 2, 3], symbols.Names.Select(symbols.IndexOf));
        Assert.Equal([true, false, false, true], Enumerable.Range(0, 4).Select(symbols.IsRows));
        var point = new SizePoint(9, 8, 11, 12);
        Assert.Equal([9, 3, 8, 11], symbols.ShapeOf(symbols.Inputs[0], point));
        Assert.Equal([12, 2], symbols.ShapeOf(symbols.Inputs[1], point));
        Assert.Equal("no symbol z", Assert.Throws<ArgumentException>(() => symbols.IndexOf("z")).Message);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-3)]
    public void An_axis_that_is_not_there_is_refused(int axis)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(
            $"ExportOptions.FreeAxes[\"x\"] names axis {axis}, but the example has 2 axes (0 to 1)",
            Assert
                .Throws<ExportException>(() =>
                    SizeSymbols.Name([("x", zeros(4, 3))], new Dictionary<string, int[]> { ["x"] = [axis] }, NoNames)
                )
                .Message
        );
        Assert.Equal(
            ["batch", "x_1"],
            SizeSymbols.Name([("x", zeros(4, 3))], new Dictionary<string, int[]> { ["x"] = [1, -2] }, NoNames).Names
        );
    }

    [Theory]
    [InlineData("x", 1)] // fixed
    [InlineData("x", 2)] // not there
    [InlineData("y", 0)] // another input has it
    public void A_name_for_what_is_no_free_axis_is_refused(string input, int axis)
    {
        using var scope = NewDisposeScope();
        var error = Assert.Throws<ExportException>(() =>
            SizeSymbols.Name(
                [("x", zeros(4, 3)), ("y", zeros(3))],
                NoFreeAxes,
                new Dictionary<(string Input, int Axis), string> { [(input, axis)] = "length" }
            )
        );
        Assert.Equal(
            $"ExportOptions.AxisNames names axis {axis} of '{input}', which is not a free axis. Add it to "
                + $"ExportOptions.FreeAxes[\"{input}\"].",
            error.Message
        );
    }

    [Fact]
    public void Axes_of_one_name_have_one_size()
    {
        using var scope = NewDisposeScope();
        var free = new Dictionary<string, int[]> { ["x"] = [0, 1], ["y"] = [0] };
        var names = new Dictionary<(string Input, int Axis), string> { [("x", 1)] = "length", [("y", 0)] = "length" };
        var symbols = SizeSymbols.Name([("x", zeros(4, 3)), ("y", zeros(3, 2))], free, names);
        Assert.Equal(["batch", "length"], symbols.Names);
        Assert.Equal(["x[1]", "y[0]"], symbols.AxesOf(1));
        Assert.False(symbols.IsRows(1));
        Assert.Equal(
            "axis 0 of 'y' has the same name, 'length', as another axis, but its size in the example is 5, and the other's "
                + "is 3. Axes with the same name must have the same size.",
            Assert
                .Throws<ExportException>(() => SizeSymbols.Name([("x", zeros(4, 3)), ("y", zeros(5, 2))], free, names))
                .Message
        );
    }

    [Fact]
    public void Tied_axes_are_one_and_the_report_says_why()
    {
        using var scope = NewDisposeScope();
        var symbols = Three();
        var tied = symbols.Tie([1, 2], "they are added");
        Assert.Equal(["batch", "x_1"], tied.Names);
        Assert.Equal(["x[1]", "y[1]"], tied.AxesOf(1));
        Assert.Equal(["x[0]", "y[0]"], tied.AxesOf(0));
        Assert.Equal(["x[1] and y[1] are tied to one size: they are added"], tied.Ties);
        // And once more: what was tied before is still said.
        var all = tied.Tie([0, 1], "all of it");
        Assert.Equal(["batch"], all.Names);
        Assert.Equal(
            [
                "x[1] and y[1] are tied to one size: they are added",
                "x[0] and y[0] and x[1] and y[1] are tied to one size: all of it",
            ],
            all.Ties
        );
        Assert.Equal(["batch", "x_1", "y_1"], symbols.Names);
    }

    [Fact]
    public void Axes_of_different_inputs_and_one_size_are_tied_together()
    {
        using var scope = NewDisposeScope();
        var tied = Three().TiedAcrossInputs(new InvalidOperationException("  shapes differ \n at line 3"));
        Assert.NotNull(tied);
        Assert.Equal(["batch", "x_1"], tied.Names);
        Assert.Equal(
            [
                "x[1] and y[1] are tied to one size: the file does not compute the same results if they differ (shapes differ)",
            ],
            tied.Ties
        );
    }

    [Fact]
    public void A_square_pictures_axes_stay_two()
    {
        using var scope = NewDisposeScope();
        var square = SizeSymbols.Name(
            [("x", zeros(2, 7, 7)), ("y", zeros(2, 5))],
            new Dictionary<string, int[]> { ["x"] = [0, 1, 2], ["y"] = [0, 1] },
            NoNames
        );
        Assert.Null(square.TiedAcrossInputs(new InvalidOperationException("no")));
    }

    [Fact]
    public void Fixed_axes_have_the_examples_size()
    {
        using var scope = NewDisposeScope();
        var symbols = Three().Tie([1, 2], "why");
        var left = symbols.Fix([1]);
        Assert.Equal(["batch"], left.Names);
        Assert.Equal(["x[1] and y[1] are tied to one size: why"], left.Ties);
        Assert.Equal([9, 5], left.ShapeOf(left.Inputs[0], new SizePoint(9)));
        Assert.Empty(symbols.Fix([0, 1]).Names);
    }

    /// <summary>A mask [S, S] beside tokens [S, B]: all first and second axes of one size change together.</summary>
    [Fact]
    public void Where_the_batch_cannot_be_free_the_axes_of_one_size_may_be()
    {
        using var scope = NewDisposeScope();
        var symbols = SizeSymbols.Name(
            [("tokens", zeros(6, 4, 6)), ("mask", zeros(6, 6)), ("one", zeros(1))],
            NoFreeAxes,
            NoNames
        );
        var fixedOnes = symbols.Fix([0]);
        var alternatives = symbols.Alternatives(0).Select(alternative => alternative(fixedOnes)).ToArray();
        // The size of axis 0 first; axes of size 1 are none.
        Assert.Equal(2, alternatives.Length);
        Assert.Equal(["tokens_0"], alternatives[0].Names);
        Assert.Equal(["tokens[0]", "mask[0]", "mask[1]"], alternatives[0].AxesOf(0));
        Assert.Equal(["tokens_0 is free: every first and second axis of size 6 varies with it"], alternatives[0].Ties);
        Assert.Equal(["tokens_1"], alternatives[1].Names);
        Assert.Equal(["tokens[1]"], alternatives[1].AxesOf(0));
    }

    [Fact]
    public void The_size_of_axis_0_is_tried_first_wherever_it_stands()
    {
        using var scope = NewDisposeScope();
        var symbols = SizeSymbols.Name(
            [("x", zeros(4, 6)), ("y", zeros(6, 4))],
            new Dictionary<string, int[]> { ["x"] = [1] },
            new Dictionary<(string Input, int Axis), string> { [("x", 1)] = "length" }
        );
        var first = symbols.Alternatives(0).First()(symbols);
        // An axis that is free already keeps its name.
        Assert.Equal(["length", "x_1"], first.Names);
        Assert.Equal(["y[0]"], first.AxesOf(1));
    }

    /// <summary>A batch of 2, and two inputs with a free second axis of 5.</summary>
    private static SizeSymbols Three() =>
        SizeSymbols.Name(
            [("x", zeros(2, 5)), ("y", zeros(2, 5))],
            new Dictionary<string, int[]> { ["x"] = [0, 1], ["y"] = [0, 1] },
            NoNames
        );
}
