using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>Every free axis is right at sizes that were never traced, or the export is refused.</summary>
public class FreeAxesTests
{
    private static readonly Dictionary<string, (Func<Tensor, Tensor> Function, long[] Example)> Functions = new(
        StringComparer.Ordinal
    )
    {
        ["height and width of a square, batch fixed"] = (
            x => F.interpolate(F.avg_pool2d(x, 2), [x.size(2), x.size(3)]),
            [1, 3, 64, 64]
        ),
        ["height and width change places"] = (
            x => (x.flatten(2) * 2).view(x.size(0), 3, x.size(3), x.size(2)),
            [1, 3, 32, 32]
        ),
        ["rounded up to a multiple of 16"] = (x => x.amax() + zeros((x.size(2) + 15) / 16 * 16), [1, 3, 48, 48]),
        ["the smaller of both"] = (x => x.amax() + zeros(Math.Min(x.size(2), x.size(3))), [2, 3, 16, 16]),
        ["half of an odd size, twice"] = (
            x => x[TensorIndex.Colon, TensorIndex.Colon, TensorIndex.Slice(0, x.size(2) / 2 * 2)],
            [2, 3, 11, 16]
        ),
        ["patches of 16"] = (
            x => x.narrow(2, 0, x.size(2) / 16 * 16).reshape(x.size(0), 3, x.size(2) / 16, 16, x.size(3)),
            [1, 3, 224, 20]
        ),
        ["padded to a multiple of 32"] = (
            x => cat([x, x.new_zeros(x.size(0), 3, (32 - (x.size(2) % 32)) % 32, x.size(3))], 2),
            [2, 3, 12, 12]
        ),
        ["cropped to at most 20"] = (
            x => x[TensorIndex.Colon, TensorIndex.Colon, TensorIndex.Slice(0, Math.Min(20, x.size(2)))],
            [2, 3, 12, 12]
        ),
        ["mean by hand behind strides"] = (
            x =>
            {
                var y = F.avg_pool2d(x, 32, 32);
                return y.sum([2, 3]) / (y.size(2) * y.size(3));
            },
            [1, 3, 64, 96]
        ),
        ["divided by the root of a size"] = (x => x / Math.Sqrt(x.size(3)), [1, 3, 14, 14]),
        ["divided by a size as a double"] = (x => x / (double)(x.size(2) * x.size(3)), [1, 3, 14, 14]),
        ["two halves"] = (
            x =>
            {
                var t = x.size(2) / 2;
                return x.narrow(2, 0, t) + x.narrow(2, t, t);
            },
            [2, 4, 12, 10]
        ),
        ["the first part of a split, however many there are"] = (
            x => x.split(8, 2)[0] + x.unbind(2)[0].unsqueeze(2),
            [2, 4, 12, 10]
        ),
        ["chunks of a free axis"] = (x => x.chunk(2, 2)[0], [2, 4, 12, 10]),
        ["relative positions"] = (x => x.amax() + zeros((2 * x.size(2)) - 1), [2, 4, 9, 10]),
        ["at most the number of the code"] = (x => x.amax() + zeros(Math.Min(x.size(2) + 1, 57)), [2, 3, 12, 12]),
    };

    public static TheoryData<string> Names => [.. Functions.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_formula_of_sizes_holds_at_sizes_never_traced(string name)
    {
        var (function, example) = Functions[name];
        foreach (
            var axes in (int[][])
                [
                    [2, 3],
                    [0, 2, 3],
                ]
        )
        {
            var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = axes } };
            // Wide, high and square, by the batch.
            (long Height, long Width) Sizes(long batch) =>
                batch switch
                {
                    1 => (96, 160),
                    2 => (71, 33),
                    _ => (64, 64),
                };
            Exported.Check(new Function(function), [randn(example)], options, shapes: batch => [
                    [axes.Length == 3 ? batch : example[0], example[1], Sizes(batch).Height, Sizes(batch).Width],
                ]);
        }
    }

    [Fact]
    public void A_division_by_a_difference_of_sizes_has_the_same_infinities_where_they_are_equal()
    {
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 1, 2] } };
        foreach (
            var function in (Func<Tensor, Tensor>[])
                [x => x / (double)(x.size(2) - x.size(0)), x => x / (double)(x.size(1) - x.size(2))]
        )
        {
            Exported.Check(new Function(function), [randn(4, 17, 23)], options, shapes: batch => [
                    [5 * batch, 5 * batch, 5 * batch],
                ]);
        }
    }

    /// <summary>The branch cannot be seen: for most sizes the result is h * w, and only for few small ones
    /// another.</summary>
    [Fact]
    public void A_formula_that_changes_where_all_sizes_are_small_is_right_or_refused()
    {
        static long Size(long h, long w) => Math.Max(9, ((w > 12 ? w : 13) + (w * h) - 1) / (w * h) * (w * h));
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 1, 2] } };
        try
        {
            foreach (var (height, width) in (ReadOnlySpan<(long, long)>)[(1, 13), (2, 3), (1, 1), (30, 40)])
            {
                Exported.Check(
                    new Function(x => x * Size(x.size(1), x.size(2))),
                    [randn(3, 82, 51)],
                    options,
                    shapes: batch =>
                        [
                            [batch, height, width],
                        ]
                );
            }
        }
        catch (ExportException refusal)
        {
            Assert.Contains("found no formula", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_branch_on_a_size_is_refused_with_its_line()
    {
        foreach (
            var branch in (Func<Tensor, Tensor>[])
                [
                    x => x.size(0) > 5 ? x * 2 : x.relu(),
                    x => x.size(0) == 23 ? x * 2 : x.relu(),
                    x => cat(x.split(8, 0).Select(part => part.sum(0, keepdim: true)).ToArray()),
                ]
        )
        {
            using var folder = new TempFolder();
            var error = Assert.Throws<ExportException>(() =>
                OnnxExporter.Export(new Function(branch), randn(2, 4), folder["m.onnx"])
            );
            Assert.Contains("different operations", error.Message, StringComparison.Ordinal);
            Assert.Contains("line", error.Place, StringComparison.Ordinal);
            Assert.Empty(folder.Files);
        }
    }

    [Fact]
    public void An_unrolled_loop_over_frames_is_refused_with_its_line()
    {
        using var folder = new TempFolder();
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 2] } };
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new FrameLoop(), randn(2, 1, 64), folder["m.onnx"], options)
        );
        Assert.Contains("different operations", error.Message, StringComparison.Ordinal);
        Assert.Contains("FrameLoop.forward", error.Place, StringComparison.Ordinal);
    }

    [Fact]
    public void Axes_of_different_inputs_are_not_tied()
    {
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 1], ["other"] = [0, 1] },
        };
        var cross = new Function2((query, keys) => (query.matmul(keys.transpose(1, 2)) / keys.size(1)).matmul(keys));
        var report = Exported.Check(cross, [randn(2, 9, 4), randn(2, 9, 4)], options, shapes: batch => [
                [batch, 9, 4],
                [batch, 5, 4],
            ]);
        Assert.Equal(
            ["input[0] = batch", "input[1] = input_1", "other[0] = batch", "other[1] = other_1"],
            report.FreeAxes
        );
        Assert.Empty(report.Notes);
    }

    [Fact]
    public void Axes_that_forward_wants_equal_are_tied_and_the_report_says_so()
    {
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [2, 3] } };
        var square = new Function(x =>
            x.size(2) == x.size(3) ? x.transpose(2, 3) * 2 : throw new ArgumentException("square pictures only")
        );
        var report = Exported.Check(square, [randn(1, 3, 32, 32)], options, shapes: batch => [
                [1, 3, 16 * batch, 16 * batch],
            ]);
        Assert.Equal(["input[2] = input_2", "input[3] = input_2"], report.FreeAxes);
        Assert.Contains(
            "input[2] and input[3] are tied to one size",
            Assert.Single(report.Notes),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void The_caller_ties_axes_by_their_names()
    {
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]> { ["input"] = [2, 3] },
            AxisNames = new Dictionary<(string Input, int Axis), string>
            {
                [("input", 2)] = "side",
                [("input", 3)] = "side",
            },
        };
        var report = Exported.Check(
            new Function(x => x + x.transpose(2, 3)),
            [randn(1, 3, 8, 8)],
            options,
            shapes: batch =>
                [
                    [1, 3, 5 * batch, 5 * batch],
                ]
        );
        Assert.Equal(["input[2] = side", "input[3] = side"], report.FreeAxes);
    }

    [Fact]
    public void Pictures_that_must_be_multiples_of_32_are_exported()
    {
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 2, 3] } };
        Exported.Check(new FiveHalvings(), [randn(1, 3, 64, 64)], options, shapes: batch => [
                [batch, 3, 96, 32 * (batch + 2)],
            ]);
    }

    [Fact]
    public void A_batch_that_forward_does_not_take_stays_fixed_and_the_report_says_why()
    {
        var report = Exported.Check(
            x => x.size(0) == 2 ? x.reshape(8) : throw new ArgumentException("two rows only"),
            randn(2, 4)
        );
        Assert.Empty(report.FreeAxes);
        Assert.Contains("two rows only", Assert.Single(report.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void An_axis_that_was_asked_for_and_cannot_be_free_is_refused()
    {
        using var folder = new TempFolder();
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [1] } };
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(
                new Function(x =>
                    x.reshape(-1, 4)[TensorIndex.Ellipsis, TensorIndex.Slice(0, 2)] + x.reshape(2, 4).sum()
                ),
                randn(2, 4),
                folder["m.onnx"],
                options
            )
        );
        Assert.Contains(
            "forward accepts no other size of input[1] than the example's 4",
            error.Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Integers_with_a_structure_are_kept_as_they_are()
    {
        // A list of edges names nodes that there are.
        using var folder = new TempFolder();
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]> { ["input"] = [], ["other"] = [] },
            MoreExamples =
            [
                [randn(5, 3), tensor(new long[] { 4, 4, 0, 1 })],
            ],
        };
        var report = OnnxExporter.Export(
            new Function2((nodes, list) => nodes.index_select(0, list)),
            [randn(5, 3), tensor(new long[] { 0, 1, 2, 4 })],
            folder["m.onnx"],
            options
        );
        Assert.Contains(report.Parity!.Runs, run => run.Contains("example 2", StringComparison.Ordinal));
    }

    [Fact]
    public void Shapes_that_end_the_process_in_native_code_are_refused_instead()
    {
        // TorchSharp's matmul does not catch native errors. The default frees the rows of both inputs, but those of
        // the second are not a batch.
        var report = Exported.Check(new Function2((x, matrix) => x.matmul(matrix)), [randn(3, 3), randn(3, 3)]);
        Assert.DoesNotContain("other[0] = batch", report.FreeAxes);
    }

    private sealed class FrameLoop : nn.Module<Tensor, Tensor>
    {
        private readonly Conv1d conv = nn.Conv1d(1, 4, 32, stride: 32);
        private readonly Linear fc = nn.Linear(4, 4);

        public FrameLoop()
            : base(nameof(FrameLoop)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            var frames = conv.call(F.pad(input, (0, 31)));
            var state = frames.select(2, 0);
            for (var t = 1; t < frames.shape[2]; t++)
                state = fc.call(state).tanh() + frames.select(2, t);
            return state;
        }
    }

    private sealed class FiveHalvings : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d stem = nn.Conv2d(3, 4, 3, padding: 1);
        private readonly AvgPool2d pool = nn.AvgPool2d(2);
        private readonly Upsample up = nn.Upsample(scale_factor: [2, 2]);

        public FiveHalvings()
            : base(nameof(FiveHalvings)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            var levels = new List<Tensor> { stem.call(input) };
            for (var i = 0; i < 5; i++)
                levels.Add(pool.call(levels[^1]));
            var y = levels[5];
            for (var i = 4; i >= 0; i--)
                y = up.call(y) + levels[i];
            return y;
        }
    }
}
