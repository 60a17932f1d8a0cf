using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>CLIP: two towers, any numbers of pictures and texts, and a look-up of the last token of each
/// text.</summary>
public class ClipTests
{
    [Fact]
    public void Two_towers_with_batches_of_their_own()
    {
        using var model = new Clip();
        var report = Unseen.Check(
            model,
            inputs => model.call(inputs[0], inputs[1], 0) is var (image, text) ? [image, text] : [],
            [randn(3, 3, 16, 16), Tokens(2)],
            Unseen.Free(("image", [0]), ("text", [0])),
            [randn(1, 3, 16, 16), Tokens(4)],
            [randn(5, 3, 16, 16), Tokens(5)],
            [randn(4, 3, 16, 16), Tokens(1)]
        );
        Assert.Equal(2, report.FreeAxes.Count);
    }

    private static Tensor Tokens(int texts) => randint(0, 40, [texts, 9], ScalarType.Int64);

    private sealed class QuickGelu : nn.Module<Tensor, Tensor>
    {
        public QuickGelu()
            : base(nameof(QuickGelu)) { }

        public override Tensor forward(Tensor x) => x * sigmoid(1.702f * x);
    }

    private sealed class ResidualAttentionBlock : nn.Module<Tensor, Tensor?, Tensor>
    {
        private readonly MultiheadAttention attn;
        private readonly LayerNorm ln_1;
        private readonly Sequential mlp;
        private readonly LayerNorm ln_2;

        public ResidualAttentionBlock(long width, long heads)
            : base(nameof(ResidualAttentionBlock))
        {
            attn = nn.MultiheadAttention(width, heads);
            ln_1 = nn.LayerNorm(width);
            mlp = nn.Sequential(
                ("c_fc", nn.Linear(width, width * 4)),
                ("gelu", new QuickGelu()),
                ("c_proj", nn.Linear(width * 4, width))
            );
            ln_2 = nn.LayerNorm(width);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor? mask)
        {
            var y = ln_1.forward(x);
            x = x + attn.forward(y, y, y, null, false, mask).Item1;
            return x + mlp.forward(ln_2.forward(x));
        }
    }

    private sealed class Transformer : nn.Module<Tensor, Tensor?, int, Tensor>
    {
        private readonly ModuleList<ResidualAttentionBlock> resblocks;

        public Transformer(long width, int layers, long heads)
            : base(nameof(Transformer))
        {
            resblocks = nn.ModuleList(
                Enumerable.Range(0, layers).Select(_ => new ResidualAttentionBlock(width, heads)).ToArray()
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor? mask = null, int num_skip = 0) =>
            resblocks.Take(resblocks.Count - num_skip).Aggregate(x, (value, block) => block.forward(value, mask));
    }

    private sealed class VisionTower : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d conv1;
        private readonly Parameter class_embedding;
        private readonly Parameter positional_embedding;
        private readonly LayerNorm ln_pre;
        private readonly Transformer transformer;
        private readonly LayerNorm ln_post;
        private readonly Parameter proj;

        public VisionTower(int width, int output)
            : base(nameof(VisionTower))
        {
            conv1 = nn.Conv2d(3, width, 4, stride: 4, bias: false);
            class_embedding = nn.Parameter(randn(width) * 0.2);
            positional_embedding = nn.Parameter(randn(17, width) * 0.2);
            ln_pre = nn.LayerNorm(width);
            transformer = new Transformer(width, 2, 2);
            ln_post = nn.LayerNorm(width);
            proj = nn.Parameter(randn(width, output) * 0.2);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            x = conv1.forward(x);
            x = x.reshape(x.shape[0], x.shape[1], -1).permute(0, 2, 1);
            var cls = class_embedding.to(x.dtype) + zeros(x.shape[0], 1, x.shape[^1], dtype: x.dtype, device: x.device);
            x = cat([cls, x], dim: 1) + positional_embedding.to(x.dtype);
            x = ln_pre.forward(x).permute(1, 0, 2);
            x = transformer.forward(x);
            x = x.permute(1, 0, 2);
            x = ln_post.forward(x[.., 0, ..]);
            return x.matmul(proj);
        }
    }

    private sealed class Clip : nn.Module<Tensor, Tensor, int, (Tensor, Tensor)>
    {
        private readonly VisionTower visual;
        private readonly Embedding token_embedding;
        private readonly Parameter positional_embedding;
        private readonly Transformer transformer;
        private readonly LayerNorm ln_final;
        private readonly Parameter text_projection;
        private readonly Parameter logit_scale;

        public Clip()
            : base(nameof(Clip))
        {
            visual = new VisionTower(16, 12);
            token_embedding = nn.Embedding(40, 16);
            positional_embedding = nn.Parameter(randn(9, 16) * 0.1);
            transformer = new Transformer(16, 2, 2);
            ln_final = nn.LayerNorm(16);
            text_projection = nn.Parameter(randn(16, 12) * 0.2);
            logit_scale = nn.Parameter(ones([]) * Math.Log(1 / 0.07));
            RegisterComponents();
        }

        private static Tensor BuildAttentionMask(int length)
        {
            var mask = empty(length, length);
            mask.fill_(float.NegativeInfinity);
            return mask.triu_(1);
        }

        private Tensor EncodeText(Tensor text, int skip)
        {
            using var scope = NewDisposeScope();
            var x = token_embedding.forward(text) + positional_embedding;
            x = x.permute(1, 0, 2);
            x = transformer.forward(x, BuildAttentionMask((int)text.shape[1]), skip);
            x = ln_final.forward(x.permute(1, 0, 2));
            // the end of the text is the largest number in each row
            x = x[arange(x.shape[0]), text.argmax(-1)].matmul(text_projection);
            return x.MoveToOuterDisposeScope();
        }

        public override (Tensor, Tensor) forward(Tensor image, Tensor text, int num_skip = 0)
        {
            var imageFeatures = visual.forward(image);
            var textFeatures = EncodeText(text, num_skip);
            imageFeatures /= imageFeatures.norm(dim: 1, keepdim: true);
            textFeatures /= textFeatures.norm(dim: 1, keepdim: true);
            var perImage = logit_scale.exp() * imageFeatures.matmul(textFeatures.t());
            return (perImage, perImage.t());
        }
    }
}
