using TorchBridge.Export.Capture;
using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Generated inputs have the example's dtype and range, and contain what their kind promises.</summary>
public class InputMakerTests
{
    public static TheoryData<ScalarType> FloatingTypes =>
        [ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64];

    [Theory]
    [MemberData(nameof(FloatingTypes))]
    public void Numbers_lie_within_the_range_of_the_example_to_the_last_block(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var example = (rand(2, 50) * 2 + 3).to(type);
        var made = Make(example, InputKind.Random, 5, 40_001);
        Assert.Equal(type, made.dtype);
        Assert.Equal([5, 40_001], made.shape);
        Assert.InRange(made.min().ToDouble(), example.min().ToDouble(), 3.1);
        Assert.InRange(made.max().ToDouble(), 4.9, example.max().ToDouble());
        Assert.InRange(made.to(ScalarType.Float64).mean().ToDouble(), 3.8, 4.2);
    }

    [Theory]
    [MemberData(nameof(FloatingTypes))]
    public void Even_one_number_is_special_where_the_kind_promises_it(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var example = rand(1, 4).to(type);
        Assert.True(Make(example, InputKind.NotANumber, 1, 1).isnan().all().ToBoolean());
        Assert.True(Make(example, InputKind.Infinities, 1, 1).isinf().all().ToBoolean());
        Assert.True((Make(example, InputKind.Zeros, 3, 3) == 0).all().ToBoolean());
        Assert.True((Make(example, InputKind.Ones, 3, 3) == 1).all().ToBoolean());
        var ties = Make(example, InputKind.Ties, 100, 9).to(ScalarType.Float32).data<float>();
        Assert.InRange(ties.Distinct().Count(), 1, 5);
    }

    [Fact]
    public void An_example_of_equal_numbers_stands_for_a_range_around_them()
    {
        using var scope = NewDisposeScope();
        var made = Make(zeros(2, 3), InputKind.Random, 40, 50);
        Assert.InRange(made.min().ToSingle(), -1, -0.9f);
        Assert.InRange(made.max().ToSingle(), 0.9f, 1);
        Assert.InRange(Make(full(2, 3, float.NaN), InputKind.Random, 40, 50).abs().max().ToSingle(), 0.9f, 1);
    }

    [Theory]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int64)]
    public void Integers_are_those_of_the_example_or_index_the_whole_table(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var example = tensor(new long[] { 5, 9, 5 }).reshape(1, 3).to(type);
        var maker = new InputMaker([example]);
        var values = Make(maker, example, InputKind.Random, 70, 1001).to(ScalarType.Int64).data<long>();
        Assert.Equal([5, 9], values.Distinct().Order());
        maker.Indexes(0, 7);
        values = Make(maker, example, InputKind.Random, 70, 1001).to(ScalarType.Int64).data<long>();
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], values.Distinct().Order());
    }

    [Fact]
    public void Masks_hide_everything_nothing_or_some()
    {
        using var scope = NewDisposeScope();
        var example = tensor(new[] { true, false }).reshape(1, 2);
        Assert.False(Make(example, InputKind.Zeros, 20, 30).any().ToBoolean());
        Assert.True(Make(example, InputKind.Ones, 20, 30).all().ToBoolean());
        var some = Make(example, InputKind.Random, 20, 30);
        Assert.Equal(ScalarType.Bool, some.dtype);
        Assert.True(some.any().ToBoolean());
        Assert.False(some.all().ToBoolean());
    }

    [Fact]
    public void An_axis_without_elements_makes_an_empty_tensor()
    {
        using var scope = NewDisposeScope();
        Assert.Equal([0, 30], Make(rand(1, 2), InputKind.NotANumber, 0, 30).shape);
    }

    private static Tensor Make(Tensor example, InputKind kind, long rows, long columns) =>
        Make(new InputMaker([example]), example, kind, rows, columns);

    private static Tensor Make(InputMaker maker, Tensor example, InputKind kind, long rows, long columns)
    {
        var symbols = SizeSymbols.Name(
            [("input", example)],
            new Dictionary<string, int[]> { ["input"] = [0, 1] },
            new Dictionary<(string, int), string>()
        );
        return maker.Make(symbols, new SizePoint(rows, columns), new Random(1), kind)[0];
    }
}
