using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>A GPT as the C# ports of nanoGPT write it: optional targets, a mask in a buffer, tied weights, a config.</summary>
public class GptTests
{
    private static readonly GptConfig Config = new(BlockSize: 24, VocabSize: 31, Layers: 2, Heads: 3, Width: 24);

    [Fact]
    public void Without_targets_it_gives_the_logits_of_the_last_token()
    {
        using var model = new NanoGpt(Config);
        var report = Unseen.Check(
            model,
            inputs => [model.call(inputs[0], null).logits],
            [randint(0, 31, [2, 8], ScalarType.Int64)],
            Unseen.Free(("idx", [0, 1])),
            [randint(0, 31, [1, 1], ScalarType.Int64)],
            [randint(0, 31, [3, 13], ScalarType.Int64)],
            [randint(0, 31, [7, 24], ScalarType.Int64)]
        );
        Assert.Equal(["idx[0] = batch", "idx[1] = idx_1"], report.FreeAxes);
    }

    [Fact]
    public void With_targets_it_gives_all_logits_and_the_loss()
    {
        using var model = new NanoGpt(Config);
        Unseen.Check(
            model,
            inputs => model.call(inputs[0], inputs[1]) is var (logits, loss) ? [logits, loss] : [],
            [randint(0, 31, [2, 8], ScalarType.Int64), randint(0, 31, [2, 8], ScalarType.Int64)],
            new ExportOptions(),
            [randint(0, 31, [5, 8], ScalarType.Int64), randint(0, 31, [5, 8], ScalarType.Int64)]
        );
    }

    private sealed record GptConfig(
        int BlockSize,
        int VocabSize,
        int Layers,
        int Heads,
        int Width,
        double Dropout = 0.1
    );

    private sealed class CausalSelfAttention : nn.Module<Tensor, Tensor>
    {
        private readonly Linear c_attn;
        private readonly Linear c_proj;
        private readonly Dropout attn_dropout;
        private readonly int n_head;
        private readonly int n_embd;

        public CausalSelfAttention(GptConfig config)
            : base("attn")
        {
            c_attn = nn.Linear(config.Width, 3 * config.Width);
            c_proj = nn.Linear(config.Width, config.Width);
            attn_dropout = nn.Dropout(config.Dropout);
            (n_head, n_embd) = (config.Heads, config.Width);
            register_buffer(
                "bias",
                tril(ones(config.BlockSize, config.BlockSize)).view(1, 1, config.BlockSize, config.BlockSize)
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            var (B, T, C) = (x.size(0), x.size(1), x.size(2));
            var qkv = c_attn.forward(x).split(n_embd, dim: 2);
            var q = qkv[0].view(B, T, n_head, C / n_head).transpose(1, 2);
            var k = qkv[1].view(B, T, n_head, C / n_head).transpose(1, 2);
            var v = qkv[2].view(B, T, n_head, C / n_head).transpose(1, 2);
            var att = q.matmul(k.transpose(-2, -1)) * (1.0 / Math.Sqrt(k.size(-1)));
            att = att.masked_fill(
                get_buffer("bias")!.slice(2, 0, T, 1).slice(3, 0, T, 1).eq(0),
                double.NegativeInfinity
            );
            att = F.softmax(att, dim: -1);
            att = attn_dropout.forward(att);
            var y = att.matmul(v);
            y = y.transpose(1, 2).contiguous().view(B, T, C);
            return c_proj.forward(y).MoveToOuterDisposeScope();
        }
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly LayerNorm ln_1;
        private readonly CausalSelfAttention attn;
        private readonly LayerNorm ln_2;
        private readonly Sequential mlp;

        public Block(GptConfig config)
            : base("block")
        {
            ln_1 = nn.LayerNorm(config.Width);
            attn = new CausalSelfAttention(config);
            ln_2 = nn.LayerNorm(config.Width);
            mlp = nn.Sequential(
                ("c_fc", nn.Linear(config.Width, 4 * config.Width)),
                ("act", nn.GELU()),
                ("c_proj", nn.Linear(4 * config.Width, config.Width)),
                ("dropout", nn.Dropout(config.Dropout))
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            x = x + attn.forward(ln_1.forward(x));
            x = x + mlp.forward(ln_2.forward(x));
            return x;
        }
    }

    private sealed class NanoGpt : nn.Module<Tensor, Tensor?, (Tensor logits, Tensor? loss)>
    {
        private readonly GptConfig config;
        private readonly Embedding wte;
        private readonly Embedding wpe;
        private readonly Dropout drop;
        private readonly ModuleList<Block> h;
        private readonly LayerNorm ln_f;
        private readonly Linear lm_head;

        public NanoGpt(GptConfig config)
            : base("gpt")
        {
            this.config = config;
            wte = nn.Embedding(config.VocabSize, config.Width);
            wpe = nn.Embedding(config.BlockSize, config.Width);
            drop = nn.Dropout(config.Dropout);
            h = nn.ModuleList(Enumerable.Range(0, config.Layers).Select(_ => new Block(config)).ToArray());
            ln_f = nn.LayerNorm(config.Width);
            lm_head = nn.Linear(config.Width, config.VocabSize, hasBias: false);
            RegisterComponents();
            lm_head.weight = wte.weight!;
        }

        public override (Tensor logits, Tensor? loss) forward(Tensor idx, Tensor? targets = null)
        {
            var device = idx.device;
            var t = idx.shape[1];
            if (t > config.BlockSize)
                throw new ArgumentException($"Cannot forward sequence of length {t}, block size is {config.BlockSize}");
            var pos = arange(0, t, dtype: ScalarType.Int64, device: device);
            var x = drop.forward(wte.forward(idx) + wpe.forward(pos));
            foreach (var block in h)
                x = block.forward(x);
            x = ln_f.forward(x);
            if (targets is not null)
            {
                var all = lm_head.forward(x);
                var loss = F.cross_entropy(all.view(-1, all.size(-1)), targets.view(-1), ignore_index: -1);
                return (all, loss);
            }

            return (
                lm_head.forward(x[TensorIndex.Colon, TensorIndex.Tensor(tensor(new long[] { -1 })), TensorIndex.Colon]),
                null
            );
        }
    }
}
