using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>A float16 model is computed in float32 where ONNX Runtime has no kernel; a value that TorchSharp stores
/// in float16 between two operations overflows in the file too. Each export compares the results for the
/// example.</summary>
public class LowPrecisionTests
{
    [Theory]
    [InlineData(0.5)]
    [InlineData(-0.5)]
    [InlineData(-1.0)]
    [InlineData(2.0)]
    public void Powers_of_zeros_and_infinities_have_libtorchs_sign(double exponent)
    {
        using var example = tensor((float[])[-0f, 0, float.NegativeInfinity, float.PositiveInfinity, 4]).half();
        Check(new Function(x => x.pow(exponent)), [example]);
    }

    [Theory]
    [InlineData(nn.Reduction.None)]
    [InlineData(nn.Reduction.Mean)]
    [InlineData(nn.Reduction.Sum)]
    public void A_margin_of_twenty_is_infinite(nn.Reduction reduction)
    {
        using var input = tensor((float[])[20, -20, 1, 0]).half();
        using var target = tensor((float[])[-1, 1, 1, -1]).half();
        Check(new Function2((x, t) => F.soft_margin_loss(x, t, reduction)), [input, target]);
    }

    [Fact]
    public void The_mean_of_a_square_that_overflows_is_infinite()
    {
        using var input = tensor((float[])[300, 1, 1, 1, 1, 1, 1, 1]).half();
        using var target = zeros(8, ScalarType.Float16);
        Check(new Function2((x, t) => F.mse_loss(x, t)), [input, target]);
    }

    [Fact]
    public void The_tolerance_goes_by_what_is_computed_and_not_by_the_outputs_dtype()
    {
        using var example = randn(4, 8);
        var report = Check(new Function(x => x.half().sin().@float()), [example]);
        Assert.Contains(report.Notes, note =>
            note.StartsWith("float16: computed in float32", StringComparison.Ordinal)
        );
        // half a unit in the last place of float16 is 2^-11
        Assert.InRange(report.Parity!.Outputs[0].Tolerance, Math.Pow(2, -11) * 0.5, 0.02);
    }

    private static ExportReport Check(nn.Module module, Tensor[] examples)
    {
        using var folder = new TempFolder();
        using (module)
            return OnnxExporter.Export(module, examples, folder["model.onnx"], new ExportOptions { Seed = 7 });
    }
}
