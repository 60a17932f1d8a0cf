using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

public class DataPruningTests
{
    private static readonly Recipe Half = new() { Epochs = 16, BatchSize = 10, Pruning = 0.5 };

    [Fact]
    public void Only_easy_pictures_are_left_out_and_those_that_stay_weigh_for_them()
    {
        using var pruning = new DataPruning(1000, Half with { Pruning = 0.75 });
        NoteRamp(pruning, 1000);
        var plan = pruning.Plan(1, 2);
        // The mean of 0 to 999 is 499.5: the first 500 are easy.
        Assert.All(Enumerable.Range(0, 1000), i => Assert.Equal(i < 500 ? 4 : 1, plan.Weights![i]));
        Assert.Equal(plan.Order.Length, plan.Order.Distinct().Count());
        Assert.Equal(0, plan.Order.Length % 10);
        var easy = plan.Order.Count(i => i < 500);
        Assert.InRange(easy, 125 - 49 - 9, 125 + 49); // 5 standard deviations of 500 draws, and the rest of a batch
        Assert.InRange(plan.Order.Length - easy, 500 - 9, 500);
    }

    [Fact]
    public void The_expected_sum_is_that_of_the_whole_set()
    {
        using var pruning = new DataPruning(1000, Half with { BatchSize = 1, Epochs = 1000 });
        NoteRamp(pruning, 1000);
        var sums = Enumerable.Range(2, 400).Select(epoch => pruning.Plan(1, epoch)).Select(plan => plan.Order.Sum(i => (double)i * plan.Weights![i])).ToArray();
        // An easy picture i adds 2 i or 0: variance i^2 each, 500^3 / 3 in all.
        Assert.Equal(999 * 500.0, sums.Average(), 5 * Math.Sqrt(500.0 * 500 * 500 / 3 / 400));
    }

    [Fact]
    public void The_first_epoch_and_the_last_eighth_see_everything()
    {
        using var pruning = new DataPruning(1000, Half);
        Assert.Equal(1000, pruning.Plan(1, 1).Order.Length);
        NoteRamp(pruning, 1000);
        Assert.True(pruning.Plan(1, 14).Order.Length < 800);
        foreach (var epoch in (int[])[15, 16])
        {
            var plan = pruning.Plan(1, epoch);
            Assert.Null(plan.Weights);
            Assert.Equal(Enumerable.Range(0, 1000), plan.Order.Order());
        }

        using var off = new DataPruning(1000, Half with { Pruning = 0 });
        NoteRamp(off, 1000);
        Assert.Equal((1000, null), (off.Plan(1, 2).Order.Length, off.Plan(1, 2).Weights));
    }

    [Fact]
    public void The_choice_is_decided_by_seed_epoch_and_losses()
    {
        using var one = new DataPruning(300, Half);
        using var two = new DataPruning(300, Half);
        NoteRamp(one, 300);
        NoteRamp(two, 300);
        Assert.Equal(one.Plan(1, 2).Order, two.Plan(1, 2).Order);
        Assert.NotEqual(one.Plan(1, 2).Order.Order(), one.Plan(1, 3).Order.Order());
        Assert.NotEqual(one.Plan(1, 2).Order.Order(), one.Plan(2, 2).Order.Order());
    }

    [Fact]
    public void The_trainer_takes_the_steps_of_a_loop_written_out()
    {
        using var scope = NewDisposeScope();
        var data = ResumeTests.Pictures;
        var recipe = new Recipe { Epochs = 3, BatchSize = 16, Optimizer = OptimizerKind.Sgd, LearningRate = 0.02, Schedule = ScheduleKind.Constant, GradientClipping = 0, Patience = 0, Pruning = 0.6 };
        var settings = ResumeTests.Settings(recipe);
        settings = settings with { Network = settings.Network with { Dropout = 0, StochasticDepth = 0 }, Compute = settings.Compute with { Precision = Precision.Float32 } };
        using var trained = new TrainedModel(settings);
        new Trainer(trained, new SilentObserver()).Train(data, stop: TestContext.Current.CancellationToken);

        using var expected = new TrainedModel(settings);
        using var optimizer = new ParameterOptimizer(expected.Classifier, recipe);
        var losses = Enumerable.Repeat(float.PositiveInfinity, data.Training.Count).ToArray();
        expected.Classifier.train();
        var seen = 0;
        for (var epoch = 1; epoch <= 3; epoch++)
        {
            var mean = losses.Average();
            // Three epochs: the last is the whole eighth.
            var easy = losses.Select(loss => epoch == 2 && loss < mean).ToArray();
            var order = new Draw(5, 11, epoch).Permutation(losses.Length).Where(i => !easy[i] || new Draw(5, 23, epoch, i).Uniform() >= 0.6).ToArray();
            foreach (var batch in BatchLoader.Training(data.Training, order[..(order.Length / 16 * 16)], recipe, 5, epoch, TestContext.Current.CancellationToken))
            {
                optimizer.ZeroGradients();
                var each = SoftTargets.CrossEntropies(expected.Classifier.Logits(batch.Pixels), SoftTargets.Smooth(batch.Labels, 10, recipe.LabelSmoothing));
                each.mul(tensor(batch.Indices.Select(i => easy[i] ? 1 / 0.4f : 1).ToArray())).mean().backward();
                optimizer.Step(0.02);
                foreach (var (index, loss) in batch.Indices.Zip(each.detach().data<float>().ToArray())) losses[index] = loss;
                seen += batch.Indices.Length;
                batch.Dispose();
            }
        }

        Assert.InRange(seen, (2 * 96) + 16, (3 * 96) - 16);
        foreach (var (name, value) in expected.Network.state_dict())
        {
            // The same operations in the same order; 1 / 0.4 is rounded from float64 there, and computed in float32 here.
            Assert.True(trained.Network.state_dict()[name].allclose(value, 1e-5, 1e-6), name);
        }
    }

    private static void NoteRamp(DataPruning pruning, int count)
    {
        using var losses = arange(count, ScalarType.Float32);
        pruning.Note([.. Enumerable.Range(0, count)], losses);
    }
}
