using System.Collections;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>Code in <c>forward</c> by people who did not think of an exporter.</summary>
public class StrangersCodeTests
{
    private static readonly Func<Tensor, Tensor> StaticActivation = sin;
    private static readonly Func<Tensor, int, Tensor> Scale = (x, by) => x * by;

    private delegate void Stage(ref Tensor x, out long channels);

    private static readonly Dictionary<string, Func<Tensor, Tensor>> Functions = new(StringComparer.Ordinal)
    {
        ["Select and ToArray"] = x => cat(Enumerable.Range(1, 3).Select(i => x * i).ToArray(), 1),
        ["a lazy Select that TorchSharp enumerates"] = x => stack(new[] { 1, 2 }.Select(i => x.pow(i)), 1),
        ["Aggregate"] = x => new[] { 1.0, 2.0, 3.0 }.Aggregate(x, (sum, factor) => sum + (x * factor).sin()),
        ["Zip, Where, OrderBy"] = x =>
            x.chunk(3, 1)
                .Zip(Enumerable.Range(0, 3))
                .Where(pair => pair.Second != 1)
                .OrderByDescending(pair => pair.Second)
                .Select(pair => pair.First.relu() * (pair.Second + 1))
                .Aggregate((a, b) => a + b),
        ["ToDictionary and ToLookup"] = x =>
        {
            var parts = Enumerable.Range(0, 3).ToDictionary(i => $"p{i}", i => x + i);
            return parts["p0"] * parts["p2"];
        },
        ["List.ForEach with a captured tensor"] = x =>
        {
            var sum = zeros_like(x);
            new List<int> { 1, 2 }.ForEach(i => sum = sum + (x * i).tanh());
            return sum;
        },
        ["Array.ConvertAll"] = x => Array.ConvertAll(x.split(2, 1), part => part.exp())[1],
        ["an action without tensors in its signature"] = x =>
        {
            var y = x;
            Action twice = () => y = y * 2;
            twice();
            twice();
            return y;
        },
        ["a lambda that makes a lambda"] = x =>
        {
            Func<double, Func<Tensor, Tensor>> scale = factor => value => value * factor;
            return scale(3)(x) + scale(0.5)(x);
        },
        ["a static delegate of TorchSharp's"] = x => StaticActivation(x) + Scale(x, 2),
        ["a method group given to LINQ"] = x => new[] { x, x * 2 }.Select(sigmoid).Last(),
        ["local functions"] = x =>
        {
            Tensor Square(Tensor value) => value * value;
            Tensor Deep(Tensor value, int depth) => depth == 0 ? value : Deep(Square(value).sin(), depth - 1);
            return Deep(x, 3);
        },
        ["an iterator"] = x =>
        {
            var sum = x;
            foreach (var power in Powers(x, 3))
                sum = sum + power;
            return sum;
        },
        ["an iterator given to LINQ"] = x =>
            Powers(x, 4).Skip(1).Select(power => power.tanh()).Aggregate((a, b) => a * b),
        ["an iterator given to TorchSharp"] = x => cat(Powers(x, 2).ToList(), 1),
        ["a collection of the user's"] = x => new Pyramid(x).Aggregate((a, b) => a + b.cos()),
        ["out and ref"] = x =>
        {
            Tensor y = x;
            Double(ref y, out var channels);
            return y / channels;
        },
        ["a delegate with ref and out"] = x =>
        {
            Stage stage = Double;
            stage(ref x, out var channels);
            return x * channels;
        },
        ["deconstruction"] = x =>
        {
            var (rows, columns) = SizesOf(x);
            var (low, high) = new Bounds(x.amin(), x.amax());
            return (x - low) / (high - low) + (rows / rows) + columns;
        },
        ["a span of sizes"] = x =>
        {
            Span<long> sizes = stackalloc long[2];
            Fill(x, sizes);
            return x.reshape(x.size(0), sizes[1], sizes[0]) + Sum([1, 2, 3]);
        },
        ["a span that a helper returns"] = x => x + SpanOf(x)[1],
        ["IntShape"] = x => x.reshape(x.IntShape()[0], -1),
        ["a record and a struct of tensors"] = x =>
        {
            var pair = new Pair(x * 2, x.relu());
            pair = pair with { First = pair.First + 1 };
            var held = new Holder { Value = pair.Second };
            held.Negate();
            return pair.First + held.Value;
        },
        ["a class that computes in its constructor"] = x => new Standardized(x).Value,
        ["Lazy"] = x =>
        {
            var lazy = new Lazy<Tensor>(() => x.softmax(1));
            return lazy.Value + lazy.Value;
        },
        ["try, finally, using"] = x =>
        {
            try
            {
                using var scope = NewDisposeScope();
                return (x * 2).relu().MoveToOuterDisposeScope();
            }
            finally
            {
                _ = x.numel();
            }
        },
        ["an exception that forward catches"] = x =>
        {
            try
            {
                return x.reshape(-1, 7919).relu();
            }
            catch (Exception)
            {
                return x.sigmoid();
            }
        },
        ["WrappedTensorDisposeScope"] = x => WrappedTensorDisposeScope(() => (x * 3).tanh()),
        ["a switch over a type"] = x => Apply(x, [nn.ReLU(), "twice", (Func<Tensor, Tensor>)(value => value.cos())]),
        ["disposeAfter"] = x =>
            (x * 2).to(ScalarType.Float64, disposeAfter: true).sin().to(ScalarType.Float32, disposeAfter: true),
        ["numbers of a tensor that no input reaches"] = x =>
        {
            var strides = tensor(new float[] { 8, 16, 32 });
            return x * strides[1].item<float>()
                + strides.data<float>().ToArray().Max()
                + ones_like(x).sum().ToSingle() / x.numel();
        },
        ["a generic helper"] = x => Then(Then(x, value => value.relu()), value => value * 2),
        ["a dynamic number of layers"] = x =>
        {
            object value = x;
            foreach (var _ in Enumerable.Range(0, 2))
                value = ((Tensor)value).sin();
            return (Tensor)value;
        },
        ["a module made in forward"] = x => nn.Softmax(-1).forward(x) + nn.GELU().call(x),
        ["a tuple switch of functions"] = x =>
        {
            (string Name, Func<Tensor, Tensor> Run)[] steps = [("a", value => value.abs()), ("b", sqrt)];
            foreach (var (_, run) in steps)
                x = run(x);
            return x;
        },
    };

    public static TheoryData<string> Names => [.. Functions.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Is_followed(string name) => Exported.Check(Functions[name], randn(2, 6, 4));

    [Fact]
    public void Modules_in_plain_fields_lists_and_dictionaries_are_followed_and_reported()
    {
        var model = new Unregistered();
        model.Dropout.train();
        var report = Exported.Check(model, [randn(3, 4)]);
        var note = Assert.Single(report.Notes);
        Assert.Contains("not registered: ", note, StringComparison.Ordinal);
        Assert.Contains("layers.0", note, StringComparison.Ordinal);
        Assert.False(model.Dropout.training); // Exported.Check called eval() for what it compares with
    }

    [Fact]
    public void An_unregistered_module_gets_its_mode_back()
    {
        using var folder = new TempFolder();
        var model = new Unregistered();
        model.eval();
        model.Dropout.train();
        OnnxExporter.Export(model, randn(3, 4), folder["m.onnx"]);
        Assert.True(model.Dropout.training);
    }

    [Fact]
    public void A_dropout_that_forward_makes_is_refused_because_nothing_switches_it_off()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(x => nn.Dropout(0.5).call(x)), randn(2, 4), folder["m.onnx"])
        );
        Assert.Contains("created in forward", error.Message, StringComparison.Ordinal);
        Assert.Contains("line", error.Place, StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_with_weights_that_forward_makes_is_refused_because_each_call_has_others()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(x => nn.Linear(4, 4).call(x)), randn(2, 4), folder["m.onnx"])
        );
        Assert.Contains("created in forward", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_on_another_thread_is_refused()
    {
        using var folder = new TempFolder();
        var error = Assert.ThrowsAny<Exception>(() =>
            OnnxExporter.Export(new Function(x => Task.Run(() => x.relu()).Result), randn(2, 4), folder["m.onnx"])
        );
        Assert.Contains("another thread", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Recursion_without_end_is_an_error_and_not_the_end_of_the_process()
    {
        using var folder = new TempFolder();
        Tensor Endless(Tensor value) => Endless(value + 1);
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(Endless), randn(2, 4), folder["m.onnx"])
        );
        Assert.Contains("recurses endlessly", error.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<Tensor> Powers(Tensor x, int count)
    {
        var power = x;
        for (var i = 0; i < count; i++)
        {
            yield return power;
            power = power * x;
        }
    }

    private static void Double(ref Tensor x, out long channels)
    {
        x = x * 2;
        channels = x.size(1);
    }

    private static (long Rows, long Columns) SizesOf(Tensor x) => (x.size(0), x.size(1));

    private static void Fill(Tensor x, Span<long> sizes)
    {
        sizes[0] = x.size(1);
        sizes[1] = x.size(2);
    }

    private static double Sum(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (var value in values)
            sum += value;
        return sum;
    }

    private static ReadOnlySpan<long> SpanOf(Tensor x) => x.shape;

    private static TValue Then<TValue>(TValue value, Func<TValue, TValue> next) => next(value);

    private static Tensor Apply(Tensor x, object[] steps)
    {
        foreach (var step in steps)
        {
            x = step switch
            {
                nn.Module<Tensor, Tensor> module => module.call(x),
                Func<Tensor, Tensor> function => function(x),
                string => x * 2,
                _ => throw new InvalidOperationException(),
            };
        }

        return x;
    }

    private sealed record Pair(Tensor First, Tensor Second);

    private readonly record struct Bounds(Tensor Low, Tensor High);

    private struct Holder
    {
        public Tensor Value;

        public void Negate() => Value = -Value;
    }

    private sealed class Standardized
    {
        public Standardized(Tensor x) => Value = (x - x.mean()) / x.abs().amax();

        public Tensor Value { get; }
    }

    private sealed class Pyramid(Tensor x) : IEnumerable<Tensor>
    {
        public IEnumerator<Tensor> GetEnumerator()
        {
            for (var i = 1; i <= 3; i++)
                yield return x / i;
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }

    private sealed class Unregistered : nn.Module<Tensor, Tensor>
    {
        private readonly List<Linear> layers = [nn.Linear(4, 4), nn.Linear(4, 4)];
        private readonly Dictionary<string, nn.Module<Tensor, Tensor>> named = new() { ["act"] = nn.Tanh() };
        private readonly Block block = new();

        public Unregistered()
            : base(nameof(Unregistered)) { }

        public Dropout Dropout { get; } = nn.Dropout(0.5);

        public override Tensor forward(Tensor input)
        {
            foreach (var layer in layers)
                input = layer.forward(input);
            return Dropout.call(block.Norm.call(named["act"].call(input)));
        }

        protected override nn.Module _to(DeviceType deviceType, int deviceIndex, bool nonBlocking) => this;

        public override void train(bool on = true)
        {
            base.train(on);
            Dropout.train(on); // the author remembered this one
        }

        private sealed class Block
        {
            public LayerNorm Norm { get; } = nn.LayerNorm(4);
        }
    }
}
