using System.Text.Json;
using TorchBridge.Onnx;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Tests;

public class NumbersTests
{
    [Theory]
    [InlineData(9.54e-7, 3, "9.54e-7")]
    [InlineData(9.54e-7, 2, "9.5e-7")]
    [InlineData(-1.2345e-12, 3, "-1.23e-12")]
    [InlineData(1e-5, 3, "1e-5")]
    [InlineData(0.0001, 3, "0.0001")]
    [InlineData(0, 3, "0")]
    [InlineData(123.4, 3, "123")]
    [InlineData(1e10, 6, "1e10")]
    [InlineData(123456, 3, "1.23e5")]
    [InlineData(double.NaN, 3, "NaN")]
    [InlineData(double.NegativeInfinity, 3, "-Infinity")]
    public void A_number_is_written_as_people_write_it(double value, int digits, string expected) =>
        Assert.Equal(expected, Numbers.Short(value, digits));

    [Fact]
    public void Every_number_in_json_is_readable_and_read_back_is_the_same()
    {
        double[] values =
        [
            9.54e-7,
            5e-324,
            double.MaxValue,
            -0.0,
            0.1,
            1e21,
            1e-5,
            double.NaN,
            double.PositiveInfinity,
        ];
        var text = Json.Text(values);
        Assert.DoesNotContain("E", text.Replace("NaN", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("9.54e-7", text, StringComparison.Ordinal);
        var read = JsonSerializer.Deserialize<double[]>(text, Json.Options)!;
        Assert.Equal(values.Select(BitConverter.DoubleToInt64Bits), read.Select(BitConverter.DoubleToInt64Bits));
    }
}
