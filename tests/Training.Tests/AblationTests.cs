using TorchBridge.Onnx.Files;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Reports;
using RunResult = TorchBridge.Training.Ablation.RunResult;

namespace TorchBridge.Training.Tests;

public class AblationTests
{
    [Fact]
    public void Each_variant_is_its_reference_but_for_one_technique()
    {
        var variants = AblationPlan.Variants(5, 8, []);
        Assert.Equal(34, variants.Count);
        Assert.Equal(variants.Count, variants.Select(variant => variant.Name).Distinct().Count());
        var byName = variants.ToDictionary(variant => variant.Name, variant => Json.Text(variant.Configuration));
        foreach (var variant in variants.Where(variant => variant.Reference is not null))
        {
            string[] own = byName[variant.Name].Split('\n'),
                reference = byName[variant.Reference!].Split('\n');
            Assert.Equal(own.Length, reference.Length);
            var changed = own.Zip(reference)
                .Where(pair => pair.First != pair.Second)
                .Select(pair => pair.First.Trim().Split(':')[0])
                .ToArray();
            Assert.True(changed.Length >= 1, $"{variant.Name} changes nothing");
            // Augmentation is crop, flip and jitter in one.
            Assert.True(
                changed.Length <= (variant.Name.Contains("augmentation", StringComparison.Ordinal) ? 3 : 1),
                $"{variant.Name} changes {string.Join(", ", changed)}"
            );
        }

        // Taking out and adding are the same difference from both sides.
        var (full, bare) = (AblationPlan.FullStack(5, 8), AblationPlan.BareNetwork(5, 8));
        var rebuilt = AblationPlan.Techniques.Aggregate(bare, (configuration, technique) =>
            technique.Copy(full, configuration)
        );
        Assert.Equal(
            Json.Text(full.Training with { Epochs = 0 }),
            Json.Text(rebuilt.Training with { Epochs = 0, DecayNormsAndBiases = full.Training.DecayNormsAndBiases })
        );
        Assert.Equal(Json.Text(full.Network), Json.Text(rebuilt.Network));
        Assert.Contains(
            "the techniques are BatchNorm, residual",
            Assert.Throws<UserException>(() => AblationPlan.Variants(5, 8, ["magic"])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Effects_and_intervals_equal_a_textbook_example()
    {
        // Differences 1, 2, 4: mean 7/3, s = 1.527525; t(0.975, 2) = 4.303; half width 4.303 * 1.527525 / sqrt 3 =
        // 3.794922.
        var effect = Effect.Of([1, 2, 4]);
        Assert.Equal(7.0 / 3, effect.Mean, 12);
        Assert.Equal(3.794922, effect.HalfWidth, 4);
        Assert.False(effect.IsSignificant);
        Assert.True(Effect.Of([2, 2.1, 1.9]).IsSignificant);
        Assert.True(double.IsNaN(Effect.Of([5]).HalfWidth));
        Assert.False(Effect.Of([5]).IsSignificant);
        Assert.Equal(0, Effect.Of([3, 3, 3]).HalfWidth);
    }

    [Fact]
    public void A_row_is_what_its_runs_say()
    {
        var variants = AblationPlan.Variants(2, 8, ["dropout"]);
        var accuracies = new Dictionary<(string, int), double>
        {
            [("full", 1)] = 0.8,
            [("full", 2)] = 0.7,
            [("full", 3)] = 0.75,
            [("without dropout", 1)] = 0.78,
            [("without dropout", 2)] = 0.69,
            [("without dropout", 3)] = 0.70,
        };
        var results = accuracies.ToDictionary(pair => pair.Key, pair => Result(pair.Key.Item2, pair.Value));
        (double Validation, double Calibration)[] others = [(0.05, 0.06), (0.02, 0.05), (0.05, 0.07)];
        foreach (var seed in (int[])[1, 2, 3])
        {
            results[("full", seed)] = results[("full", seed)] with
            {
                ValidationAccuracy = 0.8 + others[seed - 1].Validation,
            };
            results[("without dropout", seed)] = results[("without dropout", seed)] with
            {
                CalibrationError = others[seed - 1].Calibration,
            };
        }

        var row = AblationSummary.Of(variants, results).Single(row => row.Variant == "without dropout");
        Assert.Equal((3, 0), (row.Runs, row.Diverged));
        Assert.Equal((0.78 + 0.69 + 0.70) / 3, row.Test.Mean, 12);
        // Dropout brought what is lost without it: 0.02, 0.01, 0.05.
        Assert.Equal(0.08 / 3, row.Effect!.Mean, 12);
        Assert.Equal(
            4.303
                * Math.Sqrt(
                    (Math.Pow(0.02 - (0.08 / 3), 2) + Math.Pow(0.01 - (0.08 / 3), 2) + Math.Pow(0.05 - (0.08 / 3), 2))
                        / 2
                )
                / Math.Sqrt(3),
            row.Effect.HalfWidth,
            9
        );
        Assert.Equal("not significant", row.Verdict);
        // Gaps with dropout 0.05, 0.08, 0.05, without it 0.1 each; calibration errors with it 0.05 each, without
        // 0.06, 0.05, 0.07.
        Assert.Equal(-0.12 / 3, row.GapEffect!.Mean, 12);
        Assert.Equal(-0.03 / 3, row.CalibrationEffect!.Mean, 12);
        Assert.Contains(
            "Not significant, one way or the other: dropout in the full stack.",
            AblationReport.Findings([row]),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Two_schedulings_give_the_same_table_and_a_second_start_repeats_no_run()
    {
        using var folder = new TempFolder();
        var variants = AblationPlan.Variants(2, 8, ["mixup", "BatchNorm"]);
        var requests = (
            from seed in (int[])[1, 2]
            from variant in variants
            select (variant.Name, new RunRequest(variant.Configuration, DataSource.Drawn, 60, seed))
        ).ToArray();
        AblationWork Work(string store, IRunScheduler scheduler) =>
            new(variants, requests, new RunStore(folder[store]), scheduler);
        string Table(AblationWork work) => Json.Text(work.Rows());

        var inOrder = Work("a", new InProcessScheduler());
        var done = 0;
        await inOrder.Do((_, _) => done++, TestContext.Current.CancellationToken);
        Assert.Equal(requests.Length, done);

        // Backwards, and stopped in the middle.
        using var stop = new CancellationTokenSource();
        var half = Work("b", new Backwards(new InProcessScheduler()));
        var before = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            half.Do(
                (_, _) =>
                {
                    if (++before == 4)
                        stop.Cancel();
                },
                stop.Token
            )
        );
        var rest = Work("b", new Backwards(new InProcessScheduler()));
        Assert.Equal(4, rest.Stored);
        var after = 0;
        await rest.Do((_, _) => after++, TestContext.Current.CancellationToken);
        Assert.Equal(requests.Length - 4, after);
        Assert.Equal(Table(inOrder), Table(rest));
        var third = 0;
        await Work("b", new InProcessScheduler()).Do((_, _) => third++, TestContext.Current.CancellationToken);
        Assert.Equal(0, third);

        // One row, recomputed from the stored files.
        var row = rest.Rows().Single(row => row.Variant == "mixup alone");
        double[] Stored(string variant, string figure = "test_accuracy") =>
            [
                .. requests
                    .Where(item => item.Name == variant)
                    .Select(item =>
                        System
                            .Text.Json.JsonDocument.Parse(File.ReadAllText(folder["b", $"{item.Item2.Key}.json"]))
                            .RootElement.GetProperty(figure)
                            .GetDouble()
                    ),
            ];
        Assert.Equal(Stored("mixup alone").Average(), row.Test.Mean, 12);
        Assert.Equal(
            Stored("mixup alone").Zip(Stored("bare"), (with, without) => with - without).Average(),
            row.Effect!.Mean,
            12
        );
        double[] Gaps(string variant) =>
            [
                .. Stored(variant, "training_accuracy")
                    .Zip(Stored(variant, "validation_accuracy"), (training, validation) => training - validation),
            ];
        Assert.Equal(
            Gaps("mixup alone").Zip(Gaps("bare"), (with, without) => with - without).Average(),
            row.GapEffect!.Mean,
            12
        );
        Assert.Equal(
            Stored("mixup alone", "calibration_error")
                .Zip(Stored("bare", "calibration_error"), (with, without) => with - without)
                .Average(),
            row.CalibrationEffect!.Mean,
            12
        );

        var files = AblationReport.Write(folder.Path, "about", rest.Rows());
        Assert.All(files, file => Assert.True(new FileInfo(file).Length > 200, file));
        Assert.Equal(3, PageCheck.StandsAlone(File.ReadAllText(folder["ablation.html"])));
        PlotStyleTests.EverySeriesHasALookOfItsOwn(AblationReport.Pages(rest.Rows()).SelectMany(page => page.Figures));
        Assert.Equal(variants.Count + 1, File.ReadAllLines(folder["ablation.csv"]).Length);
    }

    [Fact]
    public async Task Processes_give_the_bits_that_this_process_gives()
    {
        var request = new RunRequest(AblationPlan.FullStack(1, 8), DataSource.Drawn, 60, 3);
        var inBfloat16 = request with { Precision = Precision.Bfloat16 };
        var here = new[] { request, inBfloat16 }.ToDictionary(
            each => each.Key,
            each => AblationRun.Do(each, TestContext.Current.CancellationToken) with { Seconds = 0 }
        );
        var there = new Dictionary<string, RunResult>();
        await foreach (
            var result in new ProcessScheduler(2).Run([request, inBfloat16], TestContext.Current.CancellationToken)
        )
            there.Add(result.Request.Key, result with { Seconds = 0 });
        Assert.Equal(2, there.Count);
        foreach (var (key, result) in here)
            Assert.Equal(Json.Text(result), Json.Text(there[key]));
        // Another precision is another run, in its name and in its sums.
        Assert.NotEqual(here[request.Key].CalibrationError, here[inBfloat16.Key].CalibrationError);
    }

    [Fact]
    public void A_child_whose_parent_is_gone_ends_without_a_result_and_one_whose_parent_lives_goes_on()
    {
        using var folder = new TempFolder();
        void Serve(int epochs, Stream parent)
        {
            var request = new RunRequest(AblationPlan.BareNetwork(epochs, 8), DataSource.Drawn, 60, 3);
            File.WriteAllText(folder["request"], Json.Text(request));
            ProcessScheduler.Serve(folder["request"], folder["result"], parent, TestContext.Current.CancellationToken);
        }

        Assert.ThrowsAny<OperationCanceledException>(() => Serve(10_000, Stream.Null));
        Assert.False(File.Exists(folder["result"]));
        using var living = new LivingParent();
        Serve(1, living);
        Assert.True(File.Exists(folder["result"]));
    }

    [Fact]
    public void A_report_is_the_new_one_or_the_one_before()
    {
        using var folder = new TempFolder();
        var variants = AblationPlan.Variants(1, 8, ["dropout"]);
        var rows = AblationSummary.Of(
            variants,
            variants.ToDictionary(
                variant => (variant.Name, 1),
                variant => new RunResult(
                    new RunRequest(variant.Configuration, DataSource.Drawn, 60, 1),
                    0.9,
                    0.8,
                    0.7,
                    0.1,
                    1,
                    [0.8],
                    Diverged: false,
                    1
                )
            )
        );
        var files = AblationReport.Write(folder.Path, "one", rows);
        Assert.Equal(files.Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal), folder.Files);
        byte[][] Contents() => [.. files.Select(file => File.ReadAllBytes(file))];
        var before = Contents();
        AtomicFile.BeforeRename = path =>
        {
            if (path.EndsWith("ablation.html", StringComparison.Ordinal))
                throw new IOException("No space left on device");
        };
        try
        {
            Assert.Throws<UserException>(() => AblationReport.Write(folder.Path, "two", rows));
        }
        finally
        {
            AtomicFile.BeforeRename = null;
        }

        Assert.Equal(before, Contents());
        Assert.Equal(files.Count, folder.Files.Length);
        AblationReport.Write(folder.Path, "two", rows);
        Assert.Contains("two", File.ReadAllText(folder["ablation.html"]), StringComparison.Ordinal);
        Assert.Contains("two", File.ReadAllText(folder["ablation.md"]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_diverges_counts_as_guessing_and_says_so()
    {
        var bare = AblationPlan.BareNetwork(2, 8);
        var result = AblationRun.Do(
            new RunRequest(
                bare with
                {
                    Training = bare.Training with { LearningRate = 1e30 },
                },
                DataSource.Drawn,
                60,
                1
            ),
            TestContext.Current.CancellationToken
        );
        Assert.True(result.Diverged);
        Assert.Equal(0.1, result.TestAccuracy, 12);
    }

    private static RunResult Result(int seed, double test) =>
        new(
            new RunRequest(AblationPlan.FullStack(2, 8), DataSource.Drawn, 60, seed),
            0.9,
            0.8,
            test,
            0.05,
            2,
            [0.5, 0.8],
            false,
            1
        );

    [Fact]
    public void The_page_opens_with_one_picture_and_three_sentences()
    {
        var pages = AblationReport.Pages([
            Row("full", null, null),
            Row("without dropout", "full", new Effect(0.05, 0.02)),
            Row("mixup alone", "bare", new Effect(-0.03, 0.01)),
            Row("without mixup", "full", new Effect(0.01, 0.02)),
        ]);
        Assert.True(pages[0].OpensWithPicture);
        Assert.Single(pages[0].Figures);
        Assert.Empty(pages[0].Tables);
        Assert.Equal(
            "Test accuracy certainly rose with: dropout in the full stack (+5.0 points). It certainly fell with: mixup "
                + "alone (-3.0 points). In the other 1 of 3 comparisons the interval contains zero: with so few seeds, these "
                + "techniques may help, harm, or have no effect.",
            pages[0].Paragraph
        );
        Assert.NotEmpty(pages[1].Tables);

        static AblationRow Row(string variant, string? reference, Effect? effect)
        {
            var none = new Spread(0.5, 0);
            return new AblationRow(
                variant,
                reference,
                3,
                0,
                none,
                none,
                none,
                none,
                none,
                none,
                effect,
                effect,
                effect,
                [0.5],
                AblationPlan.FullStack(1, 8)
            );
        }
    }

    private sealed class Backwards(IRunScheduler inner) : IRunScheduler
    {
        public IAsyncEnumerable<RunResult> Run(IReadOnlyList<RunRequest> requests, CancellationToken stop) =>
            inner.Run([.. requests.Reverse()], stop);
    }

    /// <summary>Says nothing until it is disposed.</summary>
    private sealed class LivingParent : MemoryStream
    {
        private readonly ManualResetEventSlim end = new();

        public override int ReadByte()
        {
            end.Wait();
            return -1;
        }

        protected override void Dispose(bool disposing)
        {
            end.Set();
            base.Dispose(disposing);
        }
    }
}
