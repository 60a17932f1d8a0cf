using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

/// <summary>Compares the network with PyTorch's results: forward, gradients, three training steps, both
/// forms.</summary>
public class ModernCnnTests
{
    private const string NoGolden = "../shared/golden is not there";

    [Theory]
    [InlineData("plain")]
    [InlineData("residual")]
    public void Eval_logits_at_the_initial_state_are_PyTorchs(string form)
    {
        var golden = GoldenCase.Find($"tiny_{form}_eval_at_init");
        Assert.SkipWhen(golden is null, NoGolden);
        using var scope = NewDisposeScope();
        using var network = Load(golden, form);
        network.eval();
        golden.Check("eval_logits", Values(network.forward(Floats(golden.Input("X_eval")))));
    }

    [Theory]
    [InlineData("plain", false)]
    [InlineData("residual", false)]
    [InlineData("residual", true)]
    public void Training_logits_loss_and_gradients_are_PyTorchs(string form, bool channelsLast)
    {
        var golden = GoldenCase.Find($"tiny_{form}_grad_step1");
        Assert.SkipWhen(golden is null, NoGolden);
        using var scope = NewDisposeScope();
        using var network = Load(golden, form);
        if (channelsLast)
            ChannelsLast.Convert(network);
        network.train();
        var x = Floats(golden.Input("X"))[0];
        var logits = network.forward(channelsLast ? ChannelsLast.Of(x) : x);
        golden.Check("train_logits", Values(logits));
        var loss = SoftTargets.CrossEntropy(logits, SoftTargets.Smooth(Integers(golden.Input("Y"))[0], 10, 0.1));
        golden.Check("loss", Values(loss));
        loss.backward();
        var checkedGradients = 0;
        foreach (var (name, parameter) in network.named_parameters())
        {
            golden.Check($"grad.{name}", Values(parameter.grad!));
            checkedGradients++;
        }

        Assert.Equal(form == "plain" ? 30 : 39, checkedGradients);
    }

    [Theory]
    [InlineData("plain", "sgd", false)]
    [InlineData("residual", "sgd", false)]
    [InlineData("plain", "adamw_eps1e-3", false)]
    [InlineData("residual", "adamw_eps1e-3", false)]
    [InlineData("residual", "adamw_eps1e-3", true)]
    public void Three_training_steps_end_in_PyTorchs_state(string form, string optimizerName, bool channelsLast)
    {
        var golden = GoldenCase.Find($"tiny_{form}_train3_{optimizerName}");
        Assert.SkipWhen(golden is null, NoGolden);
        using var scope = NewDisposeScope();
        using var network = Load(golden, form);
        if (channelsLast)
            ChannelsLast.Convert(network);
        network.train();
        // The golden SGD has plain momentum, ours has Nesterov's: there the network is what is tested.
        using var sgd = optim.SGD(network.parameters(), 0.05, momentum: 0.9, weight_decay: 5e-4);
        using var adamW = new ParameterOptimizer(network, new Recipe { WeightDecay = 0.01 }, epsilon: 1e-3);
        for (var step = 0; step < 3; step++)
        {
            adamW.ZeroGradients();
            var x = Floats(golden.Input("X"))[step];
            SoftTargets
                .CrossEntropy(
                    network.forward(channelsLast ? ChannelsLast.Of(x) : x),
                    SoftTargets.Smooth(Integers(golden.Input("Y"))[step], 10, 0.1)
                )
                .backward();
            if (optimizerName == "sgd")
            {
                foreach (var group in sgd.ParamGroups)
                    group.LearningRate = LearningRateSchedule.At(ScheduleKind.Cosine, 0.05, step, 20);
                nn.utils.clip_grad_norm_(network.parameters(), 1.0);
                sgd.step();
            }
            else
            {
                adamW.Step(LearningRateSchedule.At(ScheduleKind.Cosine, 1e-3, step, 20));
            }
        }

        var compared = 0;
        foreach (var (name, value) in network.state_dict().Where(pair => pair.Value.dtype == ScalarType.Float32))
        {
            golden.Check($"state3.{name}", Values(value));
            compared++;
        }

        Assert.Equal(form == "plain" ? 44 : 59, compared);
        network.eval();
        golden.Check("eval_logits", Values(network.forward(Floats(golden.Input("X_eval")))));
    }

    [Theory]
    [InlineData(BlockForm.Plain, NormKind.Batch, 4_657_290)]
    [InlineData(BlockForm.Residual, NormKind.Batch, 4_831_114)]
    [InlineData(BlockForm.Plain, NormKind.Layer, 5_014_026)]
    [InlineData(BlockForm.Residual, NormKind.Layer, 5_300_746)]
    [InlineData(BlockForm.Plain, NormKind.Group, 4_657_290)]
    [InlineData(BlockForm.Residual, NormKind.Group, 4_831_114)]
    [InlineData(BlockForm.Plain, NormKind.Instance, 4_653_578)]
    [InlineData(BlockForm.Residual, NormKind.Instance, 4_825_610)]
    [InlineData(BlockForm.Plain, NormKind.None, 4_653_578)]
    [InlineData(BlockForm.Residual, NormKind.None, 4_825_610)]
    internal void Has_the_parameters_that_PyTorch_counts(BlockForm form, NormKind norm, long expected)
    {
        using var network = new ModernCnn(new NetworkOptions { Form = form, Norm = norm });
        Assert.Equal(expected, network.parameters().Sum(parameter => parameter.numel()));
    }

    [Theory]
    [InlineData(33, 47, 3, NormKind.Layer)]
    [InlineData(8, 8, 2, NormKind.Batch)]
    [InlineData(64, 48, 17, NormKind.Group)]
    internal void Size_and_class_count_are_free(int height, int width, int classes, NormKind norm)
    {
        using var scope = NewDisposeScope();
        using var network = new ModernCnn(
            new NetworkOptions
            {
                Height = height,
                Width = width,
                Classes = classes,
                Norm = norm,
                Channels = 8,
            }
        );
        Assert.Equal([2, classes], network.forward(rand(2, 3, height, width)).shape);
    }

    [Fact]
    public void State_dict_keys_are_the_lessons()
    {
        using var network = new ModernCnn(new NetworkOptions { Channels = 8 });
        string[] norm = ["bias", "num_batches_tracked", "running_mean", "running_var", "weight"];
        string[] conv = ["bias", "weight"];
        var expected = conv.Select(key => $"conv1.{key}")
            .Concat(norm.Select(key => $"bn1.{key}"))
            .Concat(conv.Select(key => $"fc.{key}"))
            .Concat(
                Enumerable
                    .Range(1, 3)
                    .SelectMany(i =>
                        ((int[])[0, 3])
                            .SelectMany(at => conv.Select(key => $"res_block{i}.{at}.{key}"))
                            .Concat(((int[])[1, 4]).SelectMany(at => norm.Select(key => $"res_block{i}.{at}.{key}")))
                            .Append($"shortcut{i}.0.weight")
                            .Concat(norm.Select(key => $"shortcut{i}.1.{key}"))
                    )
            );
        Assert.Equal(expected.Order(StringComparer.Ordinal), network.state_dict().Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Initialization_has_the_lessons_statistics()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        using var network = new ModernCnn(new NetworkOptions());
        var state = network.state_dict();
        // std of n normal draws has a standard error of std / sqrt(2 n): 5 of these for n = 1.2 and 0.59 million
        // weights and 5,120.
        Within(Math.Sqrt(2.0 / (512 * 9)), state["res_block3.3.weight"], 5);
        Within(Math.Sqrt(2.0 / (256 * 9)), state["res_block2.3.weight"], 5);
        Within(0.01, state["fc.weight"], 5);
        Assert.Equal(0, state["conv1.bias"].abs().max().item<float>());
        Assert.Equal(1, state["bn1.weight"].min().item<float>());

        static void Within(double std, Tensor weights, double errors)
        {
            var allowed = errors * std / Math.Sqrt(2.0 * weights.numel());
            Assert.InRange(weights.std().item<float>(), std - allowed, std + allowed);
            Assert.InRange(
                weights.mean().item<float>(),
                -errors * std / Math.Sqrt(weights.numel()),
                errors * std / Math.Sqrt(weights.numel())
            );
        }
    }

    [Theory]
    [InlineData(InitializationKind.KaimingNormal, 2.0 / (128 * 9))]
    [InlineData(InitializationKind.KaimingUniform, 2.0 / (256 * 9))]
    [InlineData(InitializationKind.XavierNormal, 2.0 / ((256 + 128) * 9))]
    [InlineData(InitializationKind.XavierUniform, 2.0 / ((256 + 128) * 9))]
    [InlineData(InitializationKind.LecunNormal, 1.0 / (256 * 9))]
    [InlineData(InitializationKind.Orthogonal, 2.0 / (256 * 9))]
    internal void Initializations_have_the_variance_of_theory(InitializationKind kind, double variance)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(2);
        var weight = empty(128, 256, 3, 3);
        WeightInitialization.Weight(weight, kind);
        // A variance of n draws has the relative standard error sqrt(2 / n): 0.26 % here, five of these.
        Assert.InRange(weight.var().item<float>() / variance, 1 - 0.013, 1 + 0.013);
        if (kind != InitializationKind.Orthogonal)
            return;
        var rows = weight.reshape(128, -1);
        Assert.InRange((rows.mm(rows.t()) - (eye(128) * 2)).abs().max().item<float>(), 0, 1e-4f);
    }

    [Theory]
    [InlineData(6, 4, 3)]
    [InlineData(3, 5, 3)]
    [InlineData(4, 4, 1)]
    public void Dirac_passes_as_many_channels_on_as_there_are_on_both_sides(int to, int from, int kernel)
    {
        using var scope = NewDisposeScope();
        var weight = empty(to, from, kernel, kernel);
        WeightInitialization.Weight(weight, InitializationKind.Dirac);
        var x = randn(2, from, 7, 7);
        var y = nn.functional.conv2d(x, weight, padding: [kernel / 2, kernel / 2]);
        var passed = Math.Min(to, from);
        Assert.Equal(x.narrow(1, 0, passed), y.narrow(1, 0, passed));
        if (to > from)
        {
            var rest = weight.narrow(0, from, to - from);
            Assert.InRange(
                rest.abs().max().item<float>(),
                0.1f / (kernel * 2),
                (float)(1 / Math.Sqrt(from * kernel * kernel))
            );
        }
    }

    [Theory]
    [InlineData(BlockForm.Plain)]
    [InlineData(BlockForm.Residual)]
    internal void In_bfloat16_it_computes_the_same_to_eight_bits_and_gradients_are_float32(BlockForm form)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        using var network = new ModernCnn(
            new NetworkOptions
            {
                Channels = 16,
                Dropout = 0,
                Form = form,
            }
        );
        var x = randn(16, 3, 32, 32);
        var exact = network.forward(x);
        var half = network.forward(x.to(ScalarType.BFloat16));
        Assert.Equal(ScalarType.Float32, half.dtype);
        // Some eight roundings of 2^-9 on the way, against the spread of the logits.
        Assert.InRange((half - exact).abs().max().item<float>() / exact.abs().max().item<float>(), 1e-5, 0.1);
        half.sum().backward();
        Assert.All(network.parameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.grad!.dtype));
        Assert.All(
            network.named_buffers().Where(pair => pair.name.Contains("running", StringComparison.Ordinal)),
            pair => Assert.Equal(ScalarType.Float32, pair.buffer.dtype)
        );
    }

    [Fact]
    public void Stochastic_depth_leaves_out_branches_in_training_only_and_keeps_the_mean()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        using var depth = new StochasticDepth(0.25);
        var x = ones(4000, 2, 1, 1);
        var y = depth.forward(x);
        var kept = y[TensorIndex.Colon, 0, 0, 0].data<float>().ToArray();
        Assert.All(kept, value => Assert.True(value is 0 || Math.Abs(value - (1 / 0.75f)) < 1e-6));
        Assert.Equal(y[TensorIndex.Colon, 0], y[TensorIndex.Colon, 1]);
        Assert.InRange(kept.Average(), 1 - 0.046, 1 + 0.046); // five standard errors of a share of 0.75, over 0.75
        depth.eval();
        Assert.Equal(x, depth.forward(x));
    }

    [Theory]
    [InlineData(DropoutKind.Standard, ActivationKind.Relu)]
    [InlineData(DropoutKind.Spatial, ActivationKind.Relu)]
    [InlineData(DropoutKind.Alpha, ActivationKind.Selu)]
    internal void Every_dropout_acts_in_training_only(DropoutKind kind, ActivationKind activation)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        using var network = new ModernCnn(
            new NetworkOptions
            {
                Channels = 8,
                Dropout = 0.5,
                DropoutKind = kind,
                Activation = activation,
                Norm = NormKind.None,
            }
        );
        var x = randn(2, 3, 16, 16);
        Assert.False(network.forward(x).equal(network.forward(x)).all().item<bool>());
        network.eval();
        Assert.True(network.forward(x).equal(network.forward(x)).all().item<bool>());
    }

    private static ModernCnn Load(GoldenCase golden, string form)
    {
        var network = new ModernCnn(
            new NetworkOptions
            {
                Channels = 8,
                Dropout = 0,
                Form = form == "plain" ? BlockForm.Plain : BlockForm.Residual,
            }
        );
        using var noGrad = no_grad();
        foreach (var (name, target) in network.state_dict())
        {
            var array = golden.Input($"init.{name}");
            target.copy_(array.Floats is not null ? Floats(array) : Integers(array));
        }

        return network;
    }

    private static Tensor Floats(Npy array) => tensor(array.Floats!).reshape(array.Shape);

    private static Tensor Integers(Npy array) => tensor(array.Integers!).reshape(array.Shape);

    private static float[] Values(Tensor value) => value.detach().contiguous().data<float>().ToArray();

    [Theory]
    [InlineData(7, 8)]
    [InlineData(8, 9)]
    public void A_narrow_convolution_with_a_stride_gives_the_same_sums_by_its_detour(int side, int batch)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(3);
        using var conv = new CastingConv2d(8, 16, 1, stride: 2, bias: false);
        using (no_grad())
            conv.Weight.copy_(randn_like(conv.Weight));
        var x = ChannelsLast.Of(randn(batch, 8, side, side)).requires_grad_();
        conv.train();
        var detour = conv.forward(x);
        // The plain layout is right in every version of oneDNN.
        var plain = x.detach().contiguous().requires_grad_();
        var weight = conv.Weight.detach().clone().requires_grad_();
        var direct = nn.functional.conv2d(plain, weight, null, [2, 2]);
        var gradient = randn_like(direct);
        detour.backward([gradient]);
        direct.backward([gradient]);
        // Sums of 8 or 144 products in another order.
        Assert.True(detour.allclose(direct, 1e-5, 1e-6));
        Assert.True(x.grad!.allclose(plain.grad!, 1e-5, 1e-6));
        Assert.True(conv.Weight.grad!.allclose(weight.grad!, 1e-4, 1e-5));
        conv.eval();
        Assert.True(conv.forward(x.detach()).allclose(direct, 1e-5, 1e-6));
    }
}
