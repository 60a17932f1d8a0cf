using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>Every kind of refusal says where the fault is (module path, method and line), what it is, and what to do
/// instead.</summary>
public class RefusalMessageTests
{
    private static int turn;

    /// <summary>For each kind: the code in forward, and the cause and the way out that the message must
    /// contain.</summary>
    private static readonly Dictionary<string, (Func<Tensor, Tensor> Forward, string Cause, string WayOut)> Kinds = new(
        StringComparer.Ordinal
    )
    {
        ["a number read"] = (x => x * x.mean().item<float>(), "reads numbers out of a tensor", "torch.where"),
        ["a branch on data"] = (x => x.sum().ToSingle() > 0 ? x : -x, "reads numbers out of a tensor", "torch.where"),
        ["another path at another size"] = (
            x => x.size(0) > 3 ? x.relu() : x.sigmoid(),
            "executes different operations at another size",
            "ExportOptions.FreeAxes"
        ),
        ["another path in every run"] = (
            x => turn++ % 2 == 0 ? x.relu() : x.exp().relu(),
            "executes different operations",
            "torch.where"
        ),
        ["an operation that is not known"] = (x => x.digamma(), "digamma has no lowering", "ExportOptions.Lowerings"),
        ["random numbers"] = (x => x + randn_like(x), "draws random numbers", "as an input"),
        ["a size that follows the data"] = (x => x.nonzero(), "depends on the data", "mask"),
        ["a solver"] = (x => linalg.inv(x.matmul(x.t())), "iterative solver", "outside the model"),
        ["dropout in training"] = (x => F.dropout(x), "training is true", "training: this.training"),
        ["a lambda inside of TorchSharp"] = (
            x => F.triplet_margin_with_distance_loss(x, x * 2, x * 3, (a, b) => (a - b).abs().sum([1])),
            "is given a delegate",
            "write the loop out"
        ),
        ["a sparse tensor"] = (x => x.to_sparse().relu(), "sparse tensor", "to_dense()"),
        ["a rank that follows a size"] = (x => x[..1].squeeze() + x.squeeze(), "another rank", "FreeAxes"),
        ["a dropout made in forward"] = (x => nn.Dropout(0.5).call(x), "created in forward", "register it"),
        ["weights made in forward"] = (x => nn.Linear(4, 4).call(x), "created in forward", "in the constructor"),
        ["recursion without end"] = (Endless, "recurses endlessly", "thousands of calls deep"),
        ["a tensor from outside"] = (x => x + FreshNoise.Value, "no recorded operation created", "parameter or buffer"),
        ["a size that is no formula"] = (
            x => zeros([20 + (long)(Math.Sin(x.size(0)) * 10)]) + x.sum(),
            "found no formula",
            "ExportOptions.FreeAxes"
        ),
        ["complex numbers"] = (
            x => view_as_real(view_as_complex(x.view(-1, 2, 2)).tanh()),
            "complex numbers",
            "real and the imaginary part"
        ),
        ["a tensor that was disposed"] = (Disposed, "has been disposed", "MoveToOuterDisposeScope"),
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Says_where_and_why_and_what_to_do(string kind)
    {
        using var folder = new TempFolder();
        var (forward, cause, wayOut) = Kinds[kind];
        var model = nn.Sequential(("body", nn.Sequential(("first", nn.Linear(4, 4)), ("odd", new Function(forward)))));
        var error = Assert.Throws<ExportException>(() => OnnxExporter.Export(model, randn(2, 4), folder["model.onnx"]));
        Assert.StartsWith("body.odd", error.ModulePath, StringComparison.Ordinal);
        Assert.Matches(@"line \d+ of (RefusalMessageTests|RefusalsTests)\.cs", error.Message);
        Assert.Contains(cause, error.Message, StringComparison.Ordinal);
        Assert.Contains(wayOut, error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void A_parameter_that_forward_changes_is_named()
    {
        var error = Refused(new WritesParameter(), randn(2, 4));
        Assert.Contains("changes the parameter 'weight'", error.Message, StringComparison.Ordinal);
        Assert.Contains("without the underscore", error.Message, StringComparison.Ordinal);
        Assert.Contains("line ", error.Place, StringComparison.Ordinal);
    }

    [Fact]
    public void A_buffer_that_forward_disposes_is_named_and_still_there_afterwards()
    {
        var model = new DisposesBuffer();
        var error = Refused(model, randn(2, 4));
        Assert.Contains("disposes 'scale'", error.Message, StringComparison.Ordinal);
        Assert.Contains("Omit disposeAfter", error.Message, StringComparison.Ordinal);
        Assert.Contains("line ", error.Place, StringComparison.Ordinal);
        Assert.Equal(new float[] { 2, 2, 2, 2 }, model.get_buffer("scale")!.data<float>().ToArray());
    }

    [Fact]
    public void A_tensor_in_a_plain_field_that_forward_disposes_is_followed()
    {
        var model = new DisposesField();
        Exported.Check(model, [randn(2, 4)]);
    }

    [Fact]
    public void State_from_call_to_call_is_named()
    {
        var error = Refused(new Accumulates(), randn(2, 4));
        Assert.Contains("Accumulates.sum", error.Message, StringComparison.Ordinal);
        Assert.Contains("as an argument and return the new state", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_argument_without_a_value_is_named_with_the_option_that_gives_it()
    {
        var error = Refused(new NeedsNumber(), randn(2, 4));
        Assert.Contains("'startPos' (int) has no default", error.Message, StringComparison.Ordinal);
        Assert.Contains("ExportOptions.Arguments[\"startPos\"]", error.Message, StringComparison.Ordinal);
        Networks.Unseen.Check(
            new NeedsNumber(),
            inputs => [inputs[0] + 2],
            [randn(2, 4)],
            new ExportOptions { Arguments = new Dictionary<string, object?> { ["startPos"] = 2 } },
            [randn(7, 4)]
        );
    }

    [Fact]
    public void An_axis_that_forward_does_not_let_free_is_named()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(
                nn.Sequential(nn.Linear(4, 2)),
                randn(2, 4),
                folder["m.onnx"],
                new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["tensor"] = [0, 1] } }
            )
        );
        Assert.Contains("tensor[1]", error.Message, StringComparison.Ordinal);
        Assert.Contains("ExportOptions.FreeAxes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_that_was_found_is_reported()
    {
        var check = OnnxExporter.Check(
            nn.Sequential(
                ("a", new Function(x => x.digamma())),
                ("b", nn.ReLU()),
                ("c", new Function(x => F.dropout(x))),
                ("d", new Function(x => x + rand_like(x)))
            ),
            randn(2, 4)
        );
        Assert.False(check.Exports);
        Assert.Equal(["a", "c", "d"], check.Refusals.Select(refusal => refusal.ModulePath));
        Assert.All(check.Refusals, refusal => Assert.Contains("line ", refusal.Place, StringComparison.Ordinal));
        Assert.Contains("3 reasons", check.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_check_tells_sizes_and_nodes_and_leaves_no_file()
    {
        var before = Directory.GetDirectories(Path.GetTempPath(), "torchbridge-check-*");
        var check = OnnxExporter.Check(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), randn(2, 4));
        Assert.True(check.Exports);
        Assert.Contains("[0] = batch", check.ToString(), StringComparison.Ordinal);
        Assert.Contains("1 Relu", check.ToString(), StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(Path.GetTempPath(), "torchbridge-check-*").Except(before));
    }

    private static ExportException Refused(nn.Module model, Tensor example)
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() => OnnxExporter.Export(model, example, folder["m.onnx"]));
        Assert.Empty(folder.Files);
        return error;
    }

    private static Tensor Endless(Tensor x) => Endless(x + 1);

    private static Tensor Disposed(Tensor x)
    {
        Tensor y;
        using (NewDisposeScope())
            y = x * 2;
        return y + 1;
    }

    private sealed class WritesParameter : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight = nn.Parameter(ones(4));

        public WritesParameter()
            : base(nameof(WritesParameter)) => RegisterComponents();

        public override Tensor forward(Tensor x) => x * weight.mul_(0.5);
    }

    private sealed class DisposesBuffer : nn.Module<Tensor, Tensor>
    {
        private Tensor scale = full(4, 2.0f);

        public DisposesBuffer()
            : base(nameof(DisposesBuffer)) => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            scale = scale.to(x.device, copy: true, disposeAfter: true).DetachFromDisposeScope();
            return x * scale;
        }
    }

    private sealed class DisposesField : nn.Module<Tensor, Tensor>
    {
        private Tensor scale = full(4, 2.0f);

        public DisposesField()
            : base(nameof(DisposesField)) { }

        public override Tensor forward(Tensor x)
        {
            scale = scale.to(x.device, copy: true, disposeAfter: true).DetachFromDisposeScope();
            return x * scale;
        }
    }

    private sealed class Accumulates : nn.Module<Tensor, Tensor>
    {
        private Tensor sum = zeros(4);

        public Accumulates()
            : base(nameof(Accumulates)) => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            sum = (sum + x.mean([0])).DetachFromDisposeScope();
            return x + sum;
        }
    }

    private sealed class NeedsNumber : nn.Module<Tensor, int, Tensor>
    {
        public NeedsNumber()
            : base(nameof(NeedsNumber)) { }

        public override Tensor forward(Tensor x, int startPos) => x + startPos;
    }
}
