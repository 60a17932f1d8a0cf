using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>SAM's picture encoder: windows, relative positions looked up with a tensor of two axes, einsum.</summary>
public class SamTests
{
    [Fact]
    public void Windows_and_relative_positions()
    {
        using var model = new ImageEncoder(width: 16, heads: 2, size: 6, window: 4);
        Unseen.Check(
            model,
            inputs => [model.call(inputs[0])],
            [randn(1, 3, 24, 24)],
            new ExportOptions(),
            [randn(2, 3, 24, 24)],
            [randn(5, 3, 24, 24)]
        );
    }

    private static Tensor GetRelPos(long qSize, long kSize, Tensor relPos)
    {
        var maxRelDist = (int)(2 * Math.Max(qSize, kSize) - 1);
        Tensor resized;
        if (relPos.shape[0] != maxRelDist)
        {
            resized = F.interpolate(
                relPos.reshape(1, relPos.shape[0], -1).permute(0, 2, 1),
                size: [maxRelDist],
                mode: InterpolationMode.Linear
            );
            resized = resized.reshape(-1, maxRelDist).permute(1, 0);
        }
        else
        {
            resized = relPos;
        }

        var qCoords = arange(qSize)[.., TensorIndex.None] * Math.Max(kSize / (float)qSize, 1.0f);
        var kCoords = arange(kSize)[TensorIndex.None, ..] * Math.Max(qSize / (float)kSize, 1.0f);
        var relative = qCoords - kCoords + ((kSize - 1) * Math.Max(qSize / (float)kSize, 1.0f));
        return resized[relative.to(ScalarType.Int64)];
    }

    private static Tensor AddDecomposedRelPos(
        Tensor attn,
        Tensor q,
        Tensor relH,
        Tensor relW,
        (long h, long w) qSize,
        (long h, long w) kSize
    )
    {
        var rh = GetRelPos(qSize.h, kSize.h, relH);
        var rw = GetRelPos(qSize.w, kSize.w, relW);
        var (b, dim) = (q.shape[0], q.shape[2]);
        var r = q.reshape(b, qSize.h, qSize.w, dim);
        var h = einsum("bhwc,hkc->bhwk", r, rh);
        var w = einsum("bhwc,wkc->bhwk", r, rw);
        attn = (attn.view(b, qSize.h, qSize.w, kSize.h, kSize.w) + h.unsqueeze(-1) + w.unsqueeze(-2)).view(
            b,
            qSize.h * qSize.w,
            kSize.h * kSize.w
        );
        return attn;
    }

    private static (Tensor windows, (long hp, long wp)) Partition(Tensor x, long window)
    {
        var (b, h, w, c) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3]);
        var padH = (window - (h % window)) % window;
        var padW = (window - (w % window)) % window;
        if (padH > 0 || padW > 0)
            x = F.pad(x, [0, 0, 0, padW, 0, padH]);
        var (hp, wp) = (h + padH, w + padW);
        x = x.view(b, hp / window, window, wp / window, window, c);
        return (x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, window, window, c), (hp, wp));
    }

    private static Tensor Unpartition(Tensor windows, long window, (long hp, long wp) padded, (long h, long w) size)
    {
        var b = windows.shape[0] / (padded.hp * padded.wp / window / window);
        var x = windows.view(b, padded.hp / window, padded.wp / window, window, window, -1);
        x = x.permute(0, 1, 3, 2, 4, 5).contiguous().view(b, padded.hp, padded.wp, -1);
        if (padded.hp > size.h || padded.wp > size.w)
            x = x[.., ..(int)size.h, ..(int)size.w, ..].contiguous();
        return x;
    }

    private sealed class Attention : nn.Module<Tensor, Tensor>
    {
        private readonly Linear qkv;
        private readonly Linear proj;
        private readonly Parameter rel_pos_h;
        private readonly Parameter rel_pos_w;
        private readonly int heads;
        private readonly float scale;

        public Attention(int width, int heads, int size)
            : base(nameof(Attention))
        {
            this.heads = heads;
            scale = (float)Math.Pow(width / heads, -0.5);
            qkv = nn.Linear(width, width * 3);
            proj = nn.Linear(width, width);
            rel_pos_h = nn.Parameter(randn((2 * size) - 1, width / heads));
            rel_pos_w = nn.Parameter(randn((2 * size) - 1, width / heads));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var (b, h, w) = (x.shape[0], x.shape[1], x.shape[2]);
            var parts = qkv.forward(x).reshape(b, h * w, 3, heads, -1).permute(2, 0, 3, 1, 4);
            var all = parts.reshape(3, b * heads, h * w, -1).unbind(0);
            var (q, k, v) = (all[0], all[1], all[2]);
            var attn = (q * scale).matmul(k.transpose(-2, -1));
            attn = AddDecomposedRelPos(attn, q, rel_pos_h, rel_pos_w, (h, w), (h, w));
            attn = attn.softmax(-1);
            x = attn.matmul(v).view(b, heads, h, w, -1).permute(0, 2, 3, 1, 4).reshape(b, h, w, -1);
            return proj.forward(x);
        }
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private readonly LayerNorm norm1;
        private readonly Attention attn;
        private readonly LayerNorm norm2;
        private readonly Linear lin1;
        private readonly Linear lin2;
        private readonly int window;

        public Block(int width, int heads, int size, int window)
            : base(nameof(Block))
        {
            norm1 = nn.LayerNorm(width, 1e-6);
            attn = new Attention(width, heads, window == 0 ? size : window);
            norm2 = nn.LayerNorm(width, 1e-6);
            lin1 = nn.Linear(width, width * 2);
            lin2 = nn.Linear(width * 2, width);
            this.window = window;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var shortcut = x;
            x = norm1.forward(x);
            if (window > 0)
            {
                var (h, w) = (x.shape[1], x.shape[2]);
                (var windows, var padded) = Partition(x, window);
                x = Unpartition(attn.forward(windows), window, padded, (h, w));
            }
            else
            {
                x = attn.forward(x);
            }

            x = shortcut + x;
            return x + lin2.forward(F.gelu(lin1.forward(norm2.forward(x))));
        }
    }

    private sealed class LayerNorm2d : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight;
        private readonly Parameter bias;

        public LayerNorm2d(int channels)
            : base(nameof(LayerNorm2d))
        {
            (weight, bias) = (nn.Parameter(rand(channels) + 0.5), nn.Parameter(randn(channels)));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var u = x.mean([1], keepdim: true);
            var s = (x - u).pow(2).mean([1], keepdim: true);
            x = (x - u) / sqrt(s + 1e-6);
            return (weight[.., TensorIndex.None, TensorIndex.None] * x) + bias[.., TensorIndex.None, TensorIndex.None];
        }
    }

    private sealed class ImageEncoder : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d patch_embed;
        private readonly Parameter pos_embed;
        private readonly ModuleList<Block> blocks = [];
        private readonly Sequential neck;

        public ImageEncoder(int width, int heads, int size, int window)
            : base(nameof(ImageEncoder))
        {
            patch_embed = nn.Conv2d(3, width, 4, stride: 4);
            pos_embed = nn.Parameter(randn(1, size, size, width) * 0.1);
            blocks.Add(new Block(width, heads, size, window));
            blocks.Add(new Block(width, heads, size, 0));
            neck = nn.Sequential(
                nn.Conv2d(width, 8, 1, bias: false),
                new LayerNorm2d(8),
                nn.Conv2d(8, 8, 3, padding: 1, bias: false),
                new LayerNorm2d(8)
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            x = patch_embed.forward(x).permute(0, 2, 3, 1);
            x = x + pos_embed;
            foreach (var block in blocks)
                x = block.forward(x);
            return neck.forward(x.permute(0, 3, 1, 2));
        }
    }
}
