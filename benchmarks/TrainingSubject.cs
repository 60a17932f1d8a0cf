using System.Diagnostics;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Training speed: our trainer compared with a plain loop as a TorchSharp user would write it today (NCHW, float32,
/// the stock AdamW), with the same network, batches and recipe; the loader alone; and the machine's bfloat16 matrix
/// product, as a measure of what is possible.
/// </summary>
internal static class TrainingSubject
{
    private const int Rounds = 4,
        Steps = 8,
        BatchSize = 128;

    /// <summary>Arithmetic of the forward pass of one picture, in GFLOP. A training step needs three times as much:
    /// forward, gradient of the inputs, gradient of the weights.</summary>
    private const double ForwardGflop = 0.343;

    /// <summary>
    /// Each peer runs in a separate process, because the settings of the allocator and of OpenMP apply to a whole
    /// process, and the plain loop must have the settings that a user has today.
    /// </summary>
    public static IReadOnlyDictionary<string, Func<string[], double>> Peers { get; } =
        new Dictionary<string, Func<string[], double>>(StringComparer.Ordinal)
        {
            ["plain_ours"] = _ => Ours(BlockForm.Plain, Best),
            ["plain_ours_float32"] = _ => Ours(BlockForm.Plain, Precision.Float32),
            ["plain_loop"] = _ => PlainLoop(BlockForm.Plain),
            ["residual_ours"] = _ => Ours(BlockForm.Residual, Best),
            ["residual_loop"] = _ => PlainLoop(BlockForm.Residual),
            ["loader"] = _ => Loader(),
            ["bf16_matmul"] = _ => Bfloat16MatrixProduct(),
        };

    public static Measurement Run() =>
        new Measurement("training")
            .Rounds(
                Rounds,
                warmUps: 0,
                ("plain_ours_images_per_second", () => Peer.Run("plain_ours")),
                ("plain_loop_images_per_second", () => Peer.Run("plain_loop")),
                ("plain_ours_float32_images_per_second", () => Peer.Run("plain_ours_float32")),
                ("residual_ours_images_per_second", () => Peer.Run("residual_ours")),
                ("residual_loop_images_per_second", () => Peer.Run("residual_loop")),
                ("loader_images_per_second", () => Peer.Run("loader")),
                ("bf16_matmul_gflops", () => Peer.Run("bf16_matmul"))
            )
            .Derive("plain_ours_gflops", "plain_ours_images_per_second", rate => rate * 3 * ForwardGflop)
            .Ratio("ours_vs_plain_loop", "plain_ours_images_per_second", "plain_loop_images_per_second")
            .Ratio("ours_vs_plain_loop_residual", "residual_ours_images_per_second", "residual_loop_images_per_second")
            .Ratio("ours_float32_vs_plain_loop", "plain_ours_float32_images_per_second", "plain_loop_images_per_second")
            .Ratio("share_of_bf16_matmul", "plain_ours_gflops", "bf16_matmul_gflops")
            .Ratio("loader_vs_training", "loader_images_per_second", "plain_ours_images_per_second");

    private static Recipe Recipe { get; } = new() { Epochs = 1, BatchSize = BatchSize };

    private static Precision Best => ComputeOptions.HasBfloat16 ? Precision.Bfloat16 : Precision.Float32;

    private static PictureData Pictures()
    {
        const int count = Steps * BatchSize;
        var pixels = new byte[(count + 16) * 3 * 32 * 32];
        new Random(1).NextBytes(pixels);
        var all = new PictureSet(pixels, [.. Enumerable.Range(0, count + 16).Select(i => i % 10)], 32, 32);
        var few = all.Select([.. Enumerable.Range(count, 16)]);
        return new PictureData(
            "noise",
            [.. Enumerable.Range(0, 10).Select(i => $"class {i}")],
            all.Select([.. Enumerable.Range(0, count)]),
            few,
            few
        );
    }

    private static TrainedModel Model(PictureData data, Recipe recipe, BlockForm form, Precision precision) =>
        new(
            new ModelSettings(
                new NetworkOptions { Form = form },
                recipe,
                ComputeOptions.Default with
                {
                    Precision = precision,
                },
                1,
                "noise",
                null,
                data.ClassNames,
                ChannelStatistics.Of(data.Training)
            )
        );

    /// <summary>Images per second of the second epoch. The first one is for warming up, as in the plain
    /// loop.</summary>
    private static double Ours(BlockForm form, Precision precision)
    {
        NativeTuning.Apply();
        var data = Pictures();
        using var model = Model(data, Recipe with { Epochs = 2 }, form, precision);
        return new Trainer(model, new SilentObserver()).Train(data).History[1].ImagesPerSecond;
    }

    private static double PlainLoop(BlockForm form)
    {
        var data = Pictures();
        using var network = new ModernCnn(new NetworkOptions { Form = form });
        using var optimizer = optim.AdamW(network.parameters(), Recipe.LearningRate, weight_decay: Recipe.WeightDecay);
        network.train();
        PlainEpoch(data, network, optimizer);
        return data.Training.Count / Measurement.Seconds(() => PlainEpoch(data, network, optimizer));
    }

    private static void PlainEpoch(PictureData data, ModernCnn network, optim.Optimizer optimizer)
    {
        // Avoids TorchSharp's race with the garbage collector, as our trainer does; it costs nothing measurable.
        using var pause = new CollectionPause();
        foreach (var batch in BatchLoader.Training(data.Training, Recipe, 1, 1))
        {
            using var scope = NewDisposeScope();
            using (batch)
            {
                pause.BetweenSteps();
                optimizer.zero_grad();
                var logits = network.forward(((batch.Pixels.contiguous() / 255) - 0.5) / 0.25);
                var loss = SoftTargets.CrossEntropy(
                    logits,
                    SoftTargets.Smooth(batch.Labels, 10, Recipe.LabelSmoothing)
                );
                loss.backward();
                nn.utils.clip_grad_norm_(network.parameters(), Recipe.GradientClipping);
                optimizer.step();
                if (!double.IsFinite(loss.ToDouble()))
                    throw new InvalidOperationException("the plain loop diverged");
            }
        }
    }

    private static double Loader()
    {
        var data = Pictures();
        var started = Stopwatch.GetTimestamp();
        var count = 0L;
        foreach (var batch in BatchLoader.Training(data.Training, Recipe, 1, 1))
        {
            using (batch)
                count += batch.Labels.shape[0];
        }

        return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static double Bfloat16MatrixProduct()
    {
        const int size = 2048,
            repeats = 8;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var a = rand(size, size).to(ScalarType.BFloat16);
        var b = rand(size, size).to(ScalarType.BFloat16);
        a.mm(b).Dispose();
        var seconds = Measurement.Seconds(() =>
        {
            for (var i = 0; i < repeats; i++)
                a.mm(b).Dispose();
        });
        return repeats * 2.0 * size * size * size / seconds / 1e9;
    }
}
