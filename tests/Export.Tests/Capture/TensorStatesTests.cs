using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>A change in place is visible to every tensor that shares the memory, as in TorchSharp.</summary>
public class TensorStatesTests
{
    private static readonly TensorIndex All = TensorIndex.Colon;

    private static readonly Dictionary<string, Func<Tensor, Tensor>> Functions = new(StringComparer.Ordinal)
    {
        ["a view, and its base is read"] = x =>
        {
            var y = x * 1;
            y.narrow(1, 0, 2).add_(1);
            return y;
        },
        ["a base, and its view is read"] = x =>
        {
            var y = x * 1;
            var view = y.view(-1);
            y.add_(1);
            return view * 2;
        },
        ["a view, and another view is read"] = x =>
        {
            var y = x * 1;
            var view = y.select(1, 2);
            y[All, 2, All].mul_(3);
            return view;
        },
        ["a view of a view"] = x =>
        {
            var y = x * 1;
            y.transpose(1, 2).narrow(1, 1, 2)[All, All, 0].fill_(7);
            return y;
        },
        ["two views, one after the other"] = x =>
        {
            var y = x * 1;
            y[All, 0].add_(1);
            y[All, TensorIndex.Slice(0, 2)].mul_(2);
            return y + 1;
        },
        ["a view, twice, read between"] = x =>
        {
            var y = x * 1;
            var view = y[All, 1];
            view.add_(1);
            var sum = y.sum();
            view.add_(sum);
            return y;
        },
        ["chunks"] = x =>
        {
            var y = x * 1;
            var parts = y.chunk(2, 1);
            parts[0].add_(parts[1].mean());
            parts[1].zero_();
            return y;
        },
        ["a part that is first read after its base has changed"] = x =>
        {
            var y = x * 1;
            var parts = y.split(1, 2);
            y.mul_(2);
            return parts[0] + parts[^1];
        },
        ["unbind"] = x =>
        {
            var y = x * 1;
            y.unbind(1)[3].copy_(x.select(1, 0));
            return y.relu();
        },
        ["an element assigned"] = x =>
        {
            var y = zeros_like(x);
            y[All, 1] = x[All, 0];
            y[All, TensorIndex.Slice(2, 4), 0] = 5;
            return y;
        },
        ["a permuted view"] = x =>
        {
            var y = x * 1;
            y.permute(2, 0, 1).add_(x.permute(2, 0, 1));
            return y;
        },
        ["a reshaped copy is its own"] = x =>
        {
            var y = x.transpose(1, 2);
            var copy = y.reshape(x.size(0), -1);
            y.add_(1);
            return copy.sum() + y;
        },
        ["contiguous is the same tensor where it is contiguous"] = x =>
        {
            var y = x * 1;
            var same = y.contiguous();
            same.add_(1);
            return y;
        },
        ["squeeze and unsqueeze"] = x =>
        {
            var y = x * 1;
            y.unsqueeze(0).squeeze(0).unsqueeze(2).mul_(2);
            return y;
        },
        ["the input itself"] = x =>
        {
            x.relu_();
            x.narrow(2, 0, 1).sub_(1);
            return x;
        },
        ["a loop over rows of a fixed axis"] = x =>
        {
            var y = x * 1;
            for (var i = 1; i < 4; i++)
                y.select(1, i).add_(y.select(1, i - 1));
            return y;
        },
        ["operators with assignment make new tensors"] = x =>
        {
            var y = x;
            y += 1;
            y *= 2;
            return x + y;
        },
        ["nobody reads the base again"] = x =>
        {
            var view = (x * 1)[All, 1];
            view.add_(1);
            return view;
        },
        ["a write that follows a size"] = x =>
        {
            var y = x.repeat(1, 2, 1);
            y.narrow(1, x.size(1), x.size(1)).mul_(x.size(2));
            return y;
        },
    };

    public static TheoryData<string> Names => [.. Functions.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void In_place(string name) => Exported.Check(Functions[name], randn(3, 4, 5));

    [Fact]
    public void A_view_that_cannot_be_written_back_is_refused_where_its_base_is_read()
    {
        using var folder = new TempFolder();
        var function = new Function(x =>
        {
            var y = x * 1;
            y.diagonal(0, 1, 2).add_(1);
            return y;
        });
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(function, randn(2, 4, 4), folder["m.onnx"])
        );
        Assert.Contains("changed in place through Tensor.diagonal", error.Message, StringComparison.Ordinal);
        Assert.Contains("without the underscore", error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void A_cache_that_is_written_before_it_is_read_is_data_flow()
    {
        var report = Exported.Check(new Cache(), [randn(2, 3, 4)]);
        Assert.Contains(report.Notes, note => note.Contains("the buffer 'cache'", StringComparison.Ordinal));
    }

    [Fact]
    public void A_counter_that_no_result_follows_is_left_out()
    {
        var report = Exported.Check(new Counter(), [randn(2, 4)]);
        Assert.Contains(report.Notes, note => note.Contains("the buffer 'count'", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("running sum")]
    [InlineData("growing list")]
    [InlineData("last input")]
    public void State_that_a_result_follows_is_refused(string kind)
    {
        using var folder = new TempFolder();
        nn.Module module = kind switch
        {
            "running sum" => new RunningSum(),
            "growing list" => new GrowingList(),
            _ => new LastInput(),
        };
        var error = Assert.Throws<ExportException>(() => OnnxExporter.Export(module, randn(2, 4), folder["m.onnx"]));
        Assert.Contains("keeps state", error.Message, StringComparison.Ordinal);
        Assert.Contains("as an argument", error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void A_parameter_is_not_changed()
    {
        using var folder = new TempFolder();
        var model = new InPlaceOnParameter();
        var weight = model.weight.clone();
        var error = Assert.Throws<ExportException>(() => OnnxExporter.Export(model, randn(2, 4), folder["m.onnx"]));
        Assert.Contains("changes the parameter 'weight'", error.Message, StringComparison.Ordinal);
        Assert.True(weight.bytes.SequenceEqual(model.weight.bytes));
    }

    [Fact]
    public void A_table_that_is_made_at_the_first_call_is_part_of_the_graph_and_the_model_is_as_before()
    {
        var model = new LazyTable();
        var options = new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 1] } };
        using var folder = new TempFolder();
        OnnxExporter.Export(model, randn(2, 5, 4), folder["m.onnx"], options);
        Assert.False(model.HasTable);
        Exported.Check(model, [randn(2, 5, 4)], options, shapes: batch => [
                [batch, 4 + (3 * batch), 4],
            ]);
    }

    [Fact]
    public void Weights_that_forward_computes_are_computed_in_the_graph()
    {
        var model = new WeightNorm();
        Exported.Check(model, [randn(2, 4)]);
    }

    private sealed class Cache : nn.Module<Tensor, Tensor>
    {
        private readonly Tensor cache = zeros(8, 6, 4);

        public Cache()
            : base(nameof(Cache)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            cache[TensorIndex.Slice(0, input.size(0)), TensorIndex.Slice(1, 4)] = input;
            return cache[TensorIndex.Slice(0, input.size(0)), TensorIndex.Slice(1, 4)] * 2;
        }
    }

    private sealed class RunningSum : nn.Module<Tensor, Tensor>
    {
        private readonly Tensor sum = zeros(4);

        public RunningSum()
            : base(nameof(RunningSum)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            sum.add_(input.sum(0));
            return input + sum;
        }
    }

    private sealed class GrowingList : nn.Module<Tensor, Tensor>
    {
        private readonly List<Tensor> seen = [];

        public GrowingList()
            : base(nameof(GrowingList)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            seen.Add(input.sum());
            return input * seen.Count;
        }
    }

    private sealed class LastInput : nn.Module<Tensor, Tensor>
    {
        private Tensor? last;

        public LastInput()
            : base(nameof(LastInput)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            var result = last is null ? input : input + last;
            last = input.mean().DetachFromDisposeScope();
            return result;
        }
    }

    private sealed class InPlaceOnParameter : nn.Module<Tensor, Tensor>
    {
        public readonly TorchSharp.Modules.Parameter weight = nn.Parameter(randn(4, 4));

        public InPlaceOnParameter()
            : base(nameof(InPlaceOnParameter)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            weight.div_(weight.norm());
            return input.matmul(weight);
        }
    }

    private sealed class LazyTable : nn.Module<Tensor, Tensor>
    {
        private Tensor? table;

        public LazyTable()
            : base(nameof(LazyTable)) => RegisterComponents();

        public bool HasTable => table is not null;

        public override Tensor forward(Tensor input)
        {
            if (table is null || table.size(0) < input.size(1))
                table = arange(input.size(1), ScalarType.Float32).unsqueeze(1).DetachFromDisposeScope();
            return input + table.narrow(0, 0, input.size(1));
        }
    }

    private sealed class WeightNorm : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Linear linear = nn.Linear(4, 3);
        private readonly TorchSharp.Modules.Parameter direction = nn.Parameter(randn(3, 4));
        private readonly TorchSharp.Modules.Parameter size = nn.Parameter(rand(3, 1) + 0.5);

        public WeightNorm()
            : base(nameof(WeightNorm)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            linear.weight = nn.Parameter(size * direction / direction.norm(1, keepdim: true), requires_grad: false);
            return linear.forward(input);
        }
    }
}
