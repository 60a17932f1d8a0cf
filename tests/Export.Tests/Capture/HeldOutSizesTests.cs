using System.Globalization;
using System.Text.RegularExpressions;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

public partial class HeldOutSizesTests
{
    /// <summary>A network over pictures of any size is cheap at its example; many rows of a large picture are
    /// not.</summary>
    [Fact]
    public void Rows_and_areas_are_not_large_at_the_same_time()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        random.manual_seed(1);
        using var module = new HalvedAndEnlarged();
        module.eval();
        var report = OnnxExporter.Export(
            module,
            rand(1, 3, 16, 24),
            folder["model.onnx"],
            new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["x"] = [0, 2, 3] } }
        );
        var points = report
            .Parity!.Runs.Select(run => Sizes().Match(run))
            .Where(match => match.Success)
            .Select(match => (Rows: Number(match, 1), Pixels: Number(match, 2) * Number(match, 3)))
            .Distinct()
            .ToArray();
        Assert.True(points.Length > 30);
        // Few rows of the largest pictures are intended, and are among them.
        Assert.Contains(points, point => point.Rows <= 3 && point.Pixels > 4 * 16 * 24);
        Assert.All(points.Where(point => point.Rows > 3), point =>
            Assert.InRange(point.Rows * point.Pixels * HalvedAndEnlarged.WorkOfAPixel, 0, 1.1e9)
        );
    }

    private static long Number(Match match, int group) =>
        long.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex("random, batch = ([0-9]+), x_2 = ([0-9]+), x_3 = ([0-9]+)")]
    private static partial Regex Sizes();

    private sealed class HalvedAndEnlarged : nn.Module<Tensor, Tensor>
    {
        /// <summary>Multiply-adds per pixel of the input: 9 x 3 x 64, and 9 x 64 x 64.</summary>
        public const double WorkOfAPixel = 1728 + 36864;

        private readonly Conv2d first = nn.Conv2d(3, 64, 3, padding: 1);
        private readonly Conv2d second = nn.Conv2d(64, 64, 3, padding: 1);

        public HalvedAndEnlarged()
            : base(nameof(HalvedAndEnlarged)) => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            var y = nn.functional.relu(first.call(x));
            var half = nn.functional.max_pool2d(y, 2);
            return second.call(
                nn.functional.interpolate(half, size: [x.size(2), x.size(3)], mode: InterpolationMode.Nearest)
            );
        }
    }
}
