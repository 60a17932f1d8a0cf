// The code in docs/your-model.md. Each region between `// <name>` and `// </name>` is copied in the document; the tests
// check what the document says about it.
using System.Text.RegularExpressions;
using TorchBridge.Export.Tests.Networks;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

public partial class YourModelTests
{
    [Fact]
    public void The_code_in_the_document_is_this_code()
    {
        var document = File.ReadAllText(Path.Combine(Shared.Repository, "docs", "your-model.md"))
            .ReplaceLineEndings("\n");
        var source = File.ReadAllText(Path.Combine(Shared.Repository, "tests", "Export.Tests", "YourModelTests.cs"));
        var regions = Regions()
            .Matches(source.ReplaceLineEndings("\n"))
            .ToDictionary(match => match.Groups[1].Value, match => Unindented(match.Groups[2].Value));
        var embedded = Embedded().Matches(document);
        Assert.Equal(
            regions.Keys.Order(StringComparer.Ordinal),
            embedded.Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal)
        );
        Assert.All(embedded, match => Assert.Equal(regions[match.Groups[1].Value], match.Groups[2].Value));
    }

    [Fact]
    public void The_five_lines()
    {
        var output = new StringWriter();
        Check(output);
        Assert.StartsWith("exports", output.ToString(), StringComparison.Ordinal);
    }

    private static void Check(TextWriter Console)
    {
        // <check>
        using var model = new OptionalTarget();
        var check = OnnxExporter.Check(model, randn(2, 4));
        Console.WriteLine(check); // whether it exports, at which sizes and with which nodes; or every reason why not
        foreach (var refusal in check.Refusals)
            Console.WriteLine($"{refusal.ModulePath} {refusal.Place}: {refusal.Reason}");
        // </check>
    }

    [Fact]
    public void Optional_arguments_take_their_defaults()
    {
        Exported.Check(new OptionalTarget(), [randn(2, 4)]);
        // <arguments>
        var options = new ExportOptions { Arguments = new Dictionary<string, object?> { ["startPos"] = 3 } };
        // </arguments>
        Unseen.Check(new FromPosition(), inputs => [inputs[0] + 3], [randn(2, 4)], options, [randn(5, 4)]);
    }

    [Fact]
    public void Overloads_are_chosen_as_call_does() => Exported.Check(new Overloads(), [randn(2, 4)]);

    [Fact]
    public void Lists_and_LINQ_are_followed() => Exported.Check(new Heads(), [randn(2, 4)]);

    [Fact]
    public void Free_axes()
    {
        // <free>
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]> { ["x"] = [0, 1] },
            AxisNames = new Dictionary<(string, int), string> { [("x", 1)] = "length" },
        };
        // </free>
        using var model = new Pooled();
        Unseen.Check(
            model,
            inputs => [model.call(inputs[0])],
            [randn(2, 7, 4)],
            options,
            [randn(1, 1, 4)],
            [randn(5, 23, 4)]
        );
    }

    [Fact]
    public void A_branch_on_data_becomes_where()
    {
        Refused(new Branches(), randn(2, 4), "reads numbers out of a tensor", "torch.where");
        Exported.Check(new Chooses(), [randn(2, 4)]);
    }

    [Fact]
    public void State_becomes_an_argument()
    {
        Refused(new RunningMean(), randn(2, 4), "as an argument and return the new state");
        Exported.Check(new RunningMeanOutside(), [randn(2, 4), randn(4)]);
    }

    [Fact]
    public void In_place_and_views() => Exported.Check(new WritesSlices(), [randn(2, 6)]);

    [Fact]
    public void Dropout_and_noise()
    {
        Refused(new AddsNoise(), randn(2, 4), "draws random numbers", "as an input");
        Exported.Check(new TakesNoise(), [randn(2, 4), randn(2, 4)]);
    }

    [Fact]
    public void Inputs_with_a_structure_of_their_own()
    {
        // <structure>
        Tensor[] example = [tensor(new long[] { 4, 1, 7, 3, 2 }), tensor(new long[] { 0, 2 })];
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]> { ["words"] = [], ["offsets"] = [] },
            MoreExamples =
            [
                [tensor(new long[] { 9, 9, 0, 5, 6 }), tensor(new long[] { 0, 4 })],
            ],
        };
        // </structure>
        using var model = new Bag();
        Unseen.Check(
            model,
            inputs => [model.call(inputs[0], inputs[1])],
            example,
            options,
            [tensor(new long[] { 0, 8, 8, 1, 2 }), tensor(new long[] { 0, 3 })]
        );
    }

    [Fact]
    public void Rotary_embeddings_with_complex_numbers() => Exported.Check(new Rotary(), [randn(2, 5, 8)]);

    private static void Refused(nn.Module model, Tensor example, params string[] words)
    {
        var check = OnnxExporter.Check(model, example);
        Assert.False(check.Exports);
        Assert.All(words, word => Assert.Contains(word, check.ToString(), StringComparison.Ordinal));
    }

    private static string Unindented(string code)
    {
        var lines = code.Split('\n');
        var indent = lines.Where(line => line.Length > 0).Min(line => line.Length - line.TrimStart().Length);
        return string.Join('\n', lines.Select(line => line.Length == 0 ? line : line[indent..]));
    }

    [GeneratedRegex(@"^ *// <([a-z-]+)>\n(.*?)\n *// </\1>$", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Regions();

    [GeneratedRegex("<!-- code: ([a-z-]+) -->\n```csharp\n(.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Embedded();

    // <optional>
    private sealed class OptionalTarget : nn.Module<Tensor, Tensor?, (Tensor logits, Tensor? loss)>
    {
        private readonly Linear fc = nn.Linear(4, 3);

        public OptionalTarget()
            : base(nameof(OptionalTarget)) => RegisterComponents();

        public override (Tensor logits, Tensor? loss) forward(Tensor x, Tensor? target = null)
        {
            var logits = fc.call(x);
            return (logits, target is null ? null : F.cross_entropy(logits, target));
        }
    }

    // </optional>

    private sealed class FromPosition : nn.Module<Tensor, int, Tensor>
    {
        public FromPosition()
            : base(nameof(FromPosition)) { }

        public override Tensor forward(Tensor x, int startPos) => x + startPos;
    }

    // <overloads>
    private sealed class Overloads : nn.Module<Tensor, Tensor>
    {
        private readonly Linear fc = nn.Linear(4, 4);

        public Overloads()
            : base(nameof(Overloads)) => RegisterComponents();

        public override Tensor forward(Tensor x) => fc.call(x); // what call(x) reaches: one example

        public Tensor forward(Tensor x, Tensor mask) => forward(x) * mask; // two examples
    }

    // </overloads>

    // <linq>
    private sealed class Heads : nn.Module<Tensor, Tensor>
    {
        private readonly List<Linear> heads = [nn.Linear(4, 2), nn.Linear(4, 2)]; // not registered

        public Heads()
            : base(nameof(Heads)) => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            var parts = heads.Select((head, i) => head.call(x) * (i + 1)).ToArray();
            return nn.Softmax(-1).call(cat(parts, dim: -1)); // made in forward
        }
    }

    // </linq>

    // <sizes>
    private sealed class Pooled : nn.Module<Tensor, Tensor>
    {
        public Pooled()
            : base(nameof(Pooled)) { }

        public override Tensor forward(Tensor x)
        {
            var (batch, length, width) = (x.shape[0], x.shape[1], x.shape[2]);
            var positions = arange(length).view(1, length, 1);
            return (x + positions).reshape(batch, length * width / 2, 2).sum([1]) / Math.Sqrt(length);
        }
    }

    // </sizes>

    // <branch>
    private sealed class Branches : nn.Module<Tensor, Tensor>
    {
        public Branches()
            : base(nameof(Branches)) { }

        public override Tensor forward(Tensor x) => x.mean().item<float>() > 0 ? x.relu() : -x; // refused
    }

    private sealed class Chooses : nn.Module<Tensor, Tensor>
    {
        public Chooses()
            : base(nameof(Chooses)) { }

        public override Tensor forward(Tensor x) => where(x.mean() > 0, x.relu(), -x); // exports
    }

    // </branch>

    // <state>
    private sealed class RunningMean : nn.Module<Tensor, Tensor>
    {
        private Tensor mean = zeros(4);

        public RunningMean()
            : base(nameof(RunningMean)) => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            mean = ((mean * 0.9) + (x.mean([0]) * 0.1)).DetachFromDisposeScope(); // refused: the next call uses it
            return x - mean;
        }
    }

    private sealed class RunningMeanOutside : nn.Module<Tensor, Tensor, (Tensor output, Tensor mean)>
    {
        public RunningMeanOutside()
            : base(nameof(RunningMeanOutside)) { }

        public override (Tensor output, Tensor mean) forward(Tensor x, Tensor mean)
        {
            mean = (mean * 0.9) + (x.mean([0]) * 0.1);
            return (x - mean, mean); // exports: the caller passes it to the next call
        }
    }

    // </state>

    // <inplace>
    private sealed class WritesSlices : nn.Module<Tensor, Tensor>
    {
        public WritesSlices()
            : base(nameof(WritesSlices)) { }

        public override Tensor forward(Tensor x)
        {
            var y = x.clone();
            y[.., ..2] = y[.., 2..4].exp();
            y.transpose(0, 1).add_(1);
            return y.relu_();
        }
    }

    // </inplace>

    // <random>
    private sealed class AddsNoise : nn.Module<Tensor, Tensor>
    {
        public AddsNoise()
            : base(nameof(AddsNoise)) { }

        public override Tensor forward(Tensor x) => x + randn_like(x); // refused by default
    }

    private sealed class TakesNoise : nn.Module<Tensor, Tensor, Tensor>
    {
        public TakesNoise()
            : base(nameof(TakesNoise)) { }

        // exports; without `training` it would always drop
        public override Tensor forward(Tensor x, Tensor noise) => F.dropout(x, 0.1, training: training) + noise;
    }

    // </random>

    private sealed class Bag : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly EmbeddingBag bag = nn.EmbeddingBag(10, 4);

        public Bag()
            : base(nameof(Bag)) => RegisterComponents();

        public override Tensor forward(Tensor words, Tensor offsets) => bag.call(words, offsets);
    }

    // <rotary>
    private sealed class Rotary : nn.Module<Tensor, Tensor>
    {
        private readonly Tensor table = polar(ones(32, 4), outer(arange(32, dtype: float32), pow(0.1f, arange(4))));

        public Rotary()
            : base(nameof(Rotary)) { }

        public override Tensor forward(Tensor x)
        {
            var pairs = view_as_complex(x.reshape(x.shape[0], x.shape[1], -1, 2));
            return view_as_real(pairs * table[..(int)x.shape[1]]).flatten(2);
        }
    }
    // </rotary>
}
