using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>An export has no side effects: models, modes, weights and the random state are unchanged, whatever
/// <c>forward</c> does, and whatever other exports run.</summary>
public class IsolationTests
{
    [Fact]
    public async Task Models_that_share_a_child_are_exported_at_once()
    {
        using var folder = new TempFolder();
        using var child = new Child();
        using var first = new Parent(child, 2);
        using var second = new Parent(child, 3);
        first.train();
        second.train();
        var token = TestContext.Current.CancellationToken;
        var before = Bytes(child);
        for (var i = 0; i < 10; i++)
        {
            var (one, other) = (folder[$"{i}a.onnx"], folder[$"{i}b.onnx"]);
            await Task.WhenAll(
                Task.Run(() => OnnxExporter.Export(first, ones(2, 4), one), token),
                Task.Run(() => OnnxExporter.Export(second, ones(2, 4), other), token)
            );
            Assert.True(first.training && second.training && child.modules().All(module => module.training));
        }

        Assert.Equal(before, Bytes(child));
        Assert.Equal(20, folder.Files.Length);
    }

    /// <summary>train() reaches children: a child in another mode than a later parent keeps its own.</summary>
    [Theory]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, true, false)]
    [InlineData(false, false, true)]
    public void Each_module_gets_its_own_mode_back(bool first, bool second, bool childs)
    {
        using var folder = new TempFolder();
        using var child = new Child();
        using var model = new TwoParents(child);
        model.First.train(first);
        model.Second.train(second);
        child.train(childs);
        OnnxExporter.Export(model, ones(2, 4), folder["m.onnx"]);
        Assert.Equal((first, second, childs), (model.First.training, model.Second.training, child.training));
    }

    [Fact]
    public void A_module_that_a_lambda_keeps_is_followed_and_gets_its_mode_back()
    {
        using var folder = new TempFolder();
        using var child = new Child();
        child.train();
        var report = OnnxExporter.Export(new Function(x => child.call(x)), randn(2, 4), folder["m.onnx"]);
        Assert.Single(report.Folded);
        Assert.True(child.training);
    }

    [Fact]
    public void An_export_inside_of_forward_is_refused()
    {
        using var folder = new TempFolder();
        using var inner = nn.Linear(4, 4);
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(
                new Function(x =>
                {
                    OnnxExporter.Export(inner, ones(2, 4), folder["inner.onnx"]);
                    return x.relu();
                }),
                ones(2, 4),
                folder["m.onnx"]
            )
        );
        Assert.Contains("inside forward", error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    /// <summary>An exporter that is waited for by the forward that it waits for would never end.</summary>
    [Fact]
    public void So_is_one_of_the_same_model_on_another_thread()
    {
        using var folder = new TempFolder();
        nn.Module<Tensor, Tensor>? model = null;
        model = new Function(x =>
        {
            Task.Run(() => OnnxExporter.Export(model!, ones(2, 4), folder["inner.onnx"])).GetAwaiter().GetResult();
            return x.relu();
        });
        Assert.Throws<ExportException>(() => OnnxExporter.Export(model, ones(2, 4), folder["m.onnx"]));
        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(9)]
    public void A_forward_that_throws_at_a_later_call_is_an_error_that_says_so(int call)
    {
        using var folder = new TempFolder();
        using var child = new Child();
        child.train();
        var counter = new int[1]; // no field of the model: an export puts those back after each run
        Calls.Value = counter;
        var state = random.get_rng_state().bytes.ToArray();
        var error = Record.Exception(() =>
            OnnxExporter.Export(
                new Function(x =>
                    Interlocked.Increment(ref Calls.Value![0]) >= call
                        ? throw new InvalidDataException("the lookup table is closed")
                        : child.call(x)
                ),
                ones(2, 4),
                folder["m.onnx"]
            )
        );
        Assert.IsAssignableFrom<ExportException>(error);
        Assert.True(error!.Message.Contains("the lookup table is closed", StringComparison.Ordinal), error.Message);
        Assert.Empty(folder.Files);
        Assert.Equal(state, random.get_rng_state().bytes.ToArray());
    }

    [Fact]
    public void A_forward_that_changes_a_weight_is_refused_and_the_weight_stays()
    {
        using var folder = new TempFolder();
        using var model = new Spoiler();
        var before = model.Weight.data<float>().ToArray();
        var error = Assert.ThrowsAny<ExportException>(() => OnnxExporter.Export(model, ones(2, 4), folder["m.onnx"]));
        Assert.Contains("changes the parameter 'Weight' in forward", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, model.Weight.data<float>().ToArray());
        Assert.Empty(folder.Files);
    }

    private static readonly AsyncLocal<int[]?> Calls = new();

    private static byte[] Bytes(nn.Module module) =>
        [.. module.state_dict().Values.SelectMany(tensor => tensor.bytes.ToArray())];

    private sealed class Child : nn.Module<Tensor, Tensor>
    {
        private readonly Linear layer = nn.Linear(4, 4);
        private readonly BatchNorm1d norm = nn.BatchNorm1d(4);

        public Child()
            : base(nameof(Child)) => RegisterComponents();

        public override Tensor forward(Tensor input) =>
            nn.functional.dropout(norm.call(layer.call(input)), 0.5, training);
    }

    private sealed class Parent : nn.Module<Tensor, Tensor>
    {
        private readonly Child child;
        private readonly double factor;

        public Parent(Child child, double factor)
            : base(nameof(Parent))
        {
            this.child = child;
            this.factor = factor;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => child.call(input) * factor;
    }

    private sealed class TwoParents : nn.Module<Tensor, Tensor>
    {
        public readonly Parent First;
        public readonly Parent Second;

        public TwoParents(Child child)
            : base(nameof(TwoParents))
        {
            First = new Parent(child, 2);
            Second = new Parent(child, 3);
            register_module("first", First);
            register_module("second", Second);
        }

        public override Tensor forward(Tensor input) => First.call(input) + Second.call(input);
    }

    private sealed class Spoiler : nn.Module<Tensor, Tensor>
    {
        public readonly Parameter Weight = nn.Parameter(ones(4));

        public Spoiler()
            : base(nameof(Spoiler)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            Weight.mul_(0.5);
            return input * Weight;
        }
    }
}
