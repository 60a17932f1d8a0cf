using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Optimization;

/// <summary>Compares the orthogonalization with singular values computed in float64.</summary>
public class OrthogonalizationTests
{
    [Theory]
    [InlineData(6, 18)]
    [InlineData(18, 6)]
    [InlineData(7, 7)]
    [InlineData(1, 5)]
    public void It_is_the_polynomial_of_the_singular_values(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(4);
        var matrix = randn(rows, columns);
        var expected = MuonReference.Orthogonalized(Read(matrix));
        Close.To(
            [.. expected.Cast<double>().Select(value => (float)value)],
            Orthogonalization.Of(matrix, ScalarType.Float32).contiguous().data<float>().ToArray(),
            2e-5,
            0,
            "three rounds of float32 sums; each round may multiply an error by 3.4"
        );
    }

    [Theory]
    [InlineData(24, 216)]
    [InlineData(64, 27)]
    public void In_bfloat16_the_result_is_nearly_orthogonal(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        var matrix = randn(rows, columns);
        var values = MuonReference.SingularValues(Read(Orthogonalization.Of(matrix, ScalarType.BFloat16)));
        // The polynomial's range over what such a matrix holds, and bfloat16's 2^-9 some ten times.
        Assert.InRange(values[0], 0.68, 1.16);
        Assert.InRange(values[^1], 0.66, 1.16);
        var before = MuonReference.SingularValues(Read(matrix));
        Assert.True(before[0] / before[^1] > 1.5, "the matrix was orthogonal to begin with");
    }

    [Fact]
    public void Zeros_stay_zeros() =>
        Assert.All(Orthogonalization.Of(zeros(3, 5), ScalarType.Float32).data<float>().ToArray(), value =>
            Assert.Equal(0, value)
        );

    [Fact]
    public void The_order_of_columns_changes_the_order_only()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(6);
        var matrix = randn(4, 9);
        var order = randperm(9);
        Close.To(
            Orthogonalization
                .Of(matrix, ScalarType.Float32)
                .index_select(1, order)
                .contiguous()
                .data<float>()
                .ToArray(),
            Orthogonalization.Of(matrix.index_select(1, order), ScalarType.Float32).data<float>().ToArray(),
            1e-5,
            0,
            "sums in another order"
        );
    }

    private static double[,] Read(Tensor matrix)
    {
        var values = matrix.to(ScalarType.Float64).contiguous().data<double>().ToArray();
        var read = new double[matrix.shape[0], matrix.shape[1]];
        Buffer.BlockCopy(values, 0, read, 0, values.Length * sizeof(double));
        return read;
    }
}
