using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>The blocks of Stable Diffusion's U-Net: time embedding, group norm, cross attention, GEGLU, skip
/// connections kept on a stack.</summary>
public class DiffusionTests
{
    [Fact]
    public void Free_picture_and_text_sizes()
    {
        using var model = new UNet();
        // TorchSharp 0.107 leaves the weights of a GroupNorm uninitialized; a real program loads weights.
        foreach (var norm in model.modules().OfType<GroupNorm>())
        {
            nn.init.uniform_(norm.weight, 0.5, 1.5);
            nn.init.normal_(norm.bias, 0, 0.2);
        }

        Unseen.Check(
            model,
            inputs => [model.call(inputs[0], inputs[1], inputs[2])],
            [randn(2, 4, 16, 16), tensor(new long[] { 1, 801 }), randn(2, 7, 12)],
            Unseen.Free(("latent", [0, 2, 3]), ("timestep", [0]), ("context", [0, 1])),
            [randn(1, 4, 8, 24), tensor(new long[] { 333 }), randn(1, 3, 12)],
            [randn(3, 4, 20, 12), tensor(new long[] { 5, 999, 40 }), randn(3, 11, 12)]
        );
    }

    private sealed class ResBlock : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Sequential in_layers;
        private readonly Sequential emb_layers;
        private readonly Sequential out_layers;
        private readonly nn.Module<Tensor, Tensor> skip_connection;

        public ResBlock(int from, int to, int time)
            : base(nameof(ResBlock))
        {
            in_layers = nn.Sequential(nn.GroupNorm(4, from), nn.SiLU(), nn.Conv2d(from, to, 3, padding: 1));
            emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, to));
            out_layers = nn.Sequential(nn.GroupNorm(4, to), nn.SiLU(), nn.Dropout(0), nn.Conv2d(to, to, 3, padding: 1));
            skip_connection = from == to ? nn.Identity() : nn.Conv2d(from, to, 1);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor emb)
        {
            var h = in_layers.call(x);
            var time = emb_layers.call(emb);
            while (time.shape.Length < h.shape.Length)
                time = time[TensorIndex.Ellipsis, TensorIndex.None];
            h = out_layers.call(h + time);
            return skip_connection.call(x) + h;
        }
    }

    private sealed class CrossAttention : nn.Module<Tensor, Tensor?, Tensor>
    {
        private readonly Linear to_q;
        private readonly Linear to_k;
        private readonly Linear to_v;
        private readonly Sequential to_out;
        private readonly int heads;
        private readonly double scale;

        public CrossAttention(int query, int? context, int heads, int width)
            : base(nameof(CrossAttention))
        {
            var inner = heads * width;
            to_q = nn.Linear(query, inner, hasBias: false);
            to_k = nn.Linear(context ?? query, inner, hasBias: false);
            to_v = nn.Linear(context ?? query, inner, hasBias: false);
            to_out = nn.Sequential(nn.Linear(inner, query), nn.Dropout(0.0));
            (this.heads, scale) = (heads, Math.Pow(width, -0.5));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor? context = null)
        {
            context ??= x;
            var h = heads;
            Func<Tensor, Tensor> split = t =>
                t.view(t.shape[0], t.shape[1], h, -1).permute(0, 2, 1, 3).reshape(t.shape[0] * h, t.shape[1], -1);
            var (q, k, v) = (split(to_q.call(x)), split(to_k.call(context)), split(to_v.call(context)));
            var sim = einsum("bid,bjd->bij", q, k) * scale;
            var y = einsum("bij,bjd->bid", sim.softmax(-1), v);
            y = y.view(-1, h, y.shape[1], y.shape[2]).permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], -1);
            return to_out.call(y);
        }
    }

    private sealed class Geglu : nn.Module<Tensor, Tensor>
    {
        private readonly Linear proj;

        public Geglu(int from, int to)
            : base(nameof(Geglu))
        {
            proj = nn.Linear(from, to * 2);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var parts = proj.call(x).chunk(2, dim: -1);
            return parts[0] * F.gelu(parts[1]);
        }
    }

    private sealed class SpatialTransformer : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly GroupNorm norm;
        private readonly Conv2d proj_in;
        private readonly LayerNorm norm1;
        private readonly CrossAttention attn1;
        private readonly LayerNorm norm2;
        private readonly CrossAttention attn2;
        private readonly LayerNorm norm3;
        private readonly Sequential ff;
        private readonly Conv2d proj_out;

        public SpatialTransformer(int channels, int context)
            : base(nameof(SpatialTransformer))
        {
            norm = nn.GroupNorm(4, channels, 1e-6);
            proj_in = nn.Conv2d(channels, channels, 1);
            (norm1, norm2, norm3) = (nn.LayerNorm(channels), nn.LayerNorm(channels), nn.LayerNorm(channels));
            attn1 = new CrossAttention(channels, null, 2, channels / 2);
            attn2 = new CrossAttention(channels, context, 2, channels / 2);
            ff = nn.Sequential(new Geglu(channels, channels * 2), nn.Linear(channels * 2, channels));
            proj_out = nn.Conv2d(channels, channels, 1);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor context)
        {
            var (b, c, h, w) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3]);
            var input = x;
            x = proj_in.call(norm.call(x)).view(b, c, h * w).permute(0, 2, 1).contiguous();
            x = attn1.call(norm1.call(x), null) + x;
            x = attn2.call(norm2.call(x), context) + x;
            x = ff.call(norm3.call(x)) + x;
            x = x.permute(0, 2, 1).view(b, c, h, w).contiguous();
            return proj_out.call(x) + input;
        }
    }

    private sealed class UNet : nn.Module<Tensor, Tensor, Tensor, Tensor>
    {
        private const int Channels = 8;
        private readonly Sequential time_embed;
        private readonly Conv2d conv_in;
        private readonly ModuleList<nn.Module> downs = [];
        private readonly ResBlock middle;
        private readonly ModuleList<nn.Module> ups = [];
        private readonly Sequential conv_out;

        public UNet()
            : base(nameof(UNet))
        {
            time_embed = nn.Sequential(
                nn.Linear(Channels, 4 * Channels),
                nn.SiLU(),
                nn.Linear(4 * Channels, 4 * Channels)
            );
            conv_in = nn.Conv2d(4, Channels, 3, padding: 1);
            downs.Add(new ResBlock(Channels, Channels, 4 * Channels));
            downs.Add(new SpatialTransformer(Channels, 12));
            downs.Add(nn.Conv2d(Channels, Channels, 3, stride: 2, padding: 1));
            downs.Add(new ResBlock(Channels, 2 * Channels, 4 * Channels));
            middle = new ResBlock(2 * Channels, 2 * Channels, 4 * Channels);
            ups.Add(new ResBlock(4 * Channels, Channels, 4 * Channels));
            ups.Add(nn.Conv2d(Channels, Channels, 3, padding: 1));
            ups.Add(new ResBlock(2 * Channels, Channels, 4 * Channels));
            ups.Add(new SpatialTransformer(Channels, 12));
            conv_out = nn.Sequential(nn.GroupNorm(4, Channels), nn.SiLU(), nn.Conv2d(Channels, 4, 3, padding: 1));
            RegisterComponents();
        }

        private static Tensor TimestepEmbedding(Tensor timesteps, int dim, int maxPeriod = 10000)
        {
            var half = dim / 2;
            var freqs = exp(-Math.Log(maxPeriod) * arange(0, half, dtype: float32) / half).to(timesteps.device);
            var args = timesteps[.., TensorIndex.None].to(float32) * freqs[TensorIndex.None];
            var embedding = cat([cos(args), sin(args)], dim: -1);
            if (dim % 2 != 0)
                embedding = cat([embedding, zeros_like(embedding[.., ..1])], dim: -1);
            return embedding;
        }

        public override Tensor forward(Tensor latent, Tensor timestep, Tensor context)
        {
            var emb = time_embed.call(TimestepEmbedding(timestep, Channels));
            var skips = new Stack<Tensor>();
            var h = conv_in.call(latent);
            foreach (var layer in downs)
            {
                h = layer switch
                {
                    ResBlock block => block.call(h, emb),
                    SpatialTransformer attention => attention.call(h, context),
                    nn.Module<Tensor, Tensor> other => other.call(h),
                    _ => throw new NotSupportedException(),
                };
                if (layer is SpatialTransformer || (layer is ResBlock && skips.Count == 1))
                    skips.Push(h);
            }

            h = middle.call(h, emb);
            foreach (var layer in ups)
            {
                switch (layer)
                {
                    case ResBlock block:
                        h = block.call(cat([h, skips.Pop()], dim: 1), emb);
                        break;
                    case SpatialTransformer attention:
                        h = attention.call(h, context);
                        break;
                    case Conv2d conv:
                        h = conv.call(F.interpolate(h, scale_factor: [2, 2], mode: InterpolationMode.Nearest));
                        break;
                }
            }

            return conv_out.call(h);
        }
    }
}
