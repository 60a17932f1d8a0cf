using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>A graph network over a dense adjacency matrix: graph convolution, then attention over neighbours.</summary>
public class GraphTests
{
    [Fact]
    public void Any_number_of_nodes()
    {
        using var model = new GraphNet(5, 8, 3);
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]> { ["x"] = [0], ["adj"] = [0, 1] },
            AxisNames = new Dictionary<(string, int), string>
            {
                [("x", 0)] = "nodes",
                [("adj", 0)] = "nodes",
                [("adj", 1)] = "nodes",
            },
        };
        Unseen.Check(
            model,
            inputs => [model.call(inputs[0], inputs[1])],
            [randn(6, 5), Adjacency(6)],
            options,
            [randn(1, 5), Adjacency(1)],
            [randn(4, 5), Adjacency(4)],
            [randn(17, 5), Adjacency(17)]
        );
    }

    [Fact]
    public void The_axes_find_each_other_where_nobody_names_them()
    {
        using var model = new GraphNet(5, 8, 3);
        var report = Unseen.Check(
            model,
            inputs => [model.call(inputs[0], inputs[1])],
            [randn(6, 5), Adjacency(6)],
            Unseen.Free(("x", [0]), ("adj", [0, 1])),
            [randn(4, 5), Adjacency(4)],
            [randn(17, 5), Adjacency(17)]
        );
        Assert.NotEmpty(report.Notes);
    }

    private static Tensor Adjacency(int nodes)
    {
        using var scope = NewDisposeScope();
        var edges = (rand(nodes, nodes) > 0.6).to(ScalarType.Float32);
        return ((edges + edges.t()) > 0).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    private sealed class GraphConvolution : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Parameter weight;
        private readonly Parameter? bias;

        public GraphConvolution(int from, int to, bool bias = true)
            : base(nameof(GraphConvolution))
        {
            var std = 1 / Math.Sqrt(to);
            weight = nn.Parameter(empty(from, to));
            nn.init.uniform_(weight, -std, std);
            if (bias)
                this.bias = nn.Parameter(randn(to) * 0.1);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input, Tensor adj)
        {
            var support = mm(input, weight);
            var output = mm(adj, support);
            return bias is null ? output : output + bias;
        }
    }

    private sealed class GraphAttention : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Parameter w;
        private readonly Parameter a;
        private readonly LeakyReLU leakyRelu = nn.LeakyReLU(0.2);
        private readonly int to;

        public GraphAttention(int from, int to)
            : base(nameof(GraphAttention))
        {
            this.to = to;
            w = nn.Parameter(empty(from, to));
            nn.init.xavier_uniform_(w, gain: 1.414);
            a = nn.Parameter(empty(2 * to, 1));
            nn.init.xavier_uniform_(a, gain: 1.414);
            RegisterComponents();
        }

        public override Tensor forward(Tensor h, Tensor adj)
        {
            var wh = mm(h, w);
            var wh1 = matmul(wh, a[..to, ..]);
            var wh2 = matmul(wh, a[to.., ..]);
            var e = leakyRelu.call(wh1 + wh2.T);
            var zero = -9e15f * ones_like(e);
            var attention = where(adj > 0, e, zero);
            attention = F.softmax(attention, dim: 1);
            attention = F.dropout(attention, 0.6, training: training);
            return F.elu(matmul(attention, wh), 1.0);
        }
    }

    private sealed class GraphNet : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly GraphConvolution gc1;
        private readonly GraphConvolution gc2;
        private readonly List<GraphAttention> attentions;
        private readonly Linear head;

        public GraphNet(int features, int hidden, int classes)
            : base(nameof(GraphNet))
        {
            gc1 = new GraphConvolution(features, hidden);
            gc2 = new GraphConvolution(hidden, hidden, bias: false);
            attentions = [new GraphAttention(hidden, hidden), new GraphAttention(hidden, hidden)];
            for (var i = 0; i < attentions.Count; i++)
                register_module($"attention_{i}", attentions[i]);
            head = nn.Linear(2 * hidden, classes);
            RegisterComponents();
        }

        private static Tensor Normalize(Tensor adj)
        {
            var a = adj + eye(adj.size(0), device: adj.device);
            var d = a.sum(1).pow(-0.5);
            d[d.isinf()] = 0;
            var diagonal = d.diag();
            return diagonal.mm(a).mm(diagonal);
        }

        public override Tensor forward(Tensor x, Tensor adj)
        {
            var normalized = Normalize(adj);
            x = F.relu(gc1.call(x, normalized));
            x = F.dropout(x, 0.5, training);
            x = F.relu(gc2.call(x, normalized));
            x = cat(attentions.ConvertAll(attention => attention.call(x, adj + eye(adj.size(0)))), dim: 1);
            return F.log_softmax(head.call(x), dim: 1);
        }
    }
}
