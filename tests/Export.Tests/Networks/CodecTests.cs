using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>A sound codec as ports of DAC and SNAC write it: weight norm written out, snake, codebooks, a length that
/// is padded to whole frames.</summary>
public class CodecTests
{
    [Fact]
    public void Any_length()
    {
        using var model = new Codec();
        Unseen.Check(
            model,
            inputs => model.call(inputs[0]) is var (sound, codes) ? [sound, codes] : [],
            [randn(1, 1, 64)],
            Unseen.Free(("audio", [0, 2])),
            [randn(2, 1, 32)],
            [randn(1, 1, 91)],
            [randn(3, 1, 133)]
        );
    }

    [Fact]
    public void A_layer_whose_weight_is_replaced_in_forward()
    {
        using var model = new Reparametrized();
        Unseen.Check(
            model,
            inputs => [model.call(inputs[0])],
            [randn(2, 3, 20)],
            Unseen.Free(("x", [0, 2])),
            [randn(1, 3, 9)],
            [randn(5, 3, 33)]
        );
    }

    private sealed class WnConv1d : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight_g;
        private readonly Parameter weight_v;
        private readonly Parameter bias;
        private readonly long stride;
        private readonly long padding;
        private readonly long dilation;

        public WnConv1d(long from, long to, long kernel, long stride = 1, long padding = 0, long dilation = 1)
            : base(nameof(WnConv1d))
        {
            weight_v = nn.Parameter(randn(to, from, kernel));
            weight_g = nn.Parameter(rand(to, 1, 1) + 0.5);
            bias = nn.Parameter(randn(to) * 0.1);
            (this.stride, this.padding, this.dilation) = (stride, padding, dilation);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            var norm = weight_v.contiguous().flatten(1).norm(1, keepdim: true, p: 2f).view(-1, 1, 1);
            var weight = weight_g * (weight_v / norm);
            return F.conv1d(x, weight, bias, stride: stride, padding: padding, dilation: dilation)
                .MoveToOuterDisposeScope();
        }
    }

    private sealed class WnConvTranspose1d : nn.Module<Tensor, Tensor>
    {
        private readonly ParameterDict parametrizations = [];
        private readonly Parameter bias;
        private readonly long stride;

        public WnConvTranspose1d(long from, long to, long stride)
            : base(nameof(WnConvTranspose1d))
        {
            parametrizations.Add("original0", nn.Parameter(rand(from, 1, 1) + 0.5));
            parametrizations.Add("original1", nn.Parameter(randn(from, to, 2 * stride)));
            bias = nn.Parameter(randn(to) * 0.1);
            this.stride = stride;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var weight = _weight_norm(parametrizations["original1"], parametrizations["original0"]);
            return F.conv_transpose1d(x, weight, bias, stride: stride, padding: stride / 2);
        }

        private static Tensor _weight_norm(Tensor v, Tensor g)
        {
            var length = v.pow(2).sum([1, 2], keepdim: true).sqrt();
            return v.div(length).mul(g);
        }
    }

    private sealed class Snake1d : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter alpha;

        public Snake1d(long channels)
            : base(nameof(Snake1d))
        {
            alpha = nn.Parameter(rand(1, channels, 1) + 0.5);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var shape = x.shape;
            x = x.reshape(shape[0], shape[1], -1);
            x = x + (alpha + 1e-9).reciprocal() * sin(alpha * x).pow(2);
            return x.reshape(shape);
        }
    }

    private sealed class ResidualUnit : nn.Module<Tensor, Tensor>
    {
        private readonly Sequential block;

        public ResidualUnit(int channels, int dilation)
            : base(nameof(ResidualUnit))
        {
            var pad = (7 - 1) * dilation / 2;
            block = nn.Sequential(
                new Snake1d(channels),
                new WnConv1d(channels, channels, 7, dilation: dilation, padding: pad),
                new Snake1d(channels),
                new WnConv1d(channels, channels, 1)
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var y = block.forward(x);
            var pad = (x.shape[^1] - y.shape[^1]) / 2;
            if (pad > 0)
                x = x[TensorIndex.Ellipsis, TensorIndex.Slice(pad, -pad)];
            return x + y;
        }
    }

    private sealed class VectorQuantize : nn.Module<Tensor, (Tensor quantized, Tensor codes)>
    {
        private readonly WnConv1d in_proj;
        private readonly WnConv1d out_proj;
        private readonly Embedding codebook;

        public VectorQuantize(int channels, int codes, int width)
            : base(nameof(VectorQuantize))
        {
            in_proj = new WnConv1d(channels, width, 1);
            out_proj = new WnConv1d(width, channels, 1);
            codebook = nn.Embedding(codes, width);
            RegisterComponents();
        }

        public override (Tensor quantized, Tensor codes) forward(Tensor z)
        {
            var latents = in_proj.forward(z);
            var (quantized, codes) = DecodeLatents(latents);
            quantized = latents + (quantized - latents).detach();
            return (out_proj.forward(quantized), codes);
        }

        private (Tensor, Tensor) DecodeLatents(Tensor latents)
        {
            var (b, d, t) = (latents.shape[0], latents.shape[1], latents.shape[2]);
            var encodings = F.normalize(latents.permute(0, 2, 1).reshape(b * t, d));
            var words = F.normalize(codebook.weight!);
            var dist =
                encodings.pow(2).sum(1, keepdim: true)
                - (2 * encodings.matmul(words.t()))
                + words.pow(2).sum(1, keepdim: true).t();
            var indices = (-dist).max(1).indexes.view(b, t);
            return (codebook.forward(indices).transpose(1, 2), indices);
        }
    }

    private sealed class Codec : nn.Module<Tensor, (Tensor audio, Tensor codes)>
    {
        private readonly Sequential encoder;
        private readonly ModuleList<VectorQuantize> quantizers;
        private readonly Sequential decoder;
        private readonly int hopLength = 8;

        public Codec()
            : base(nameof(Codec))
        {
            encoder = nn.Sequential(
                new WnConv1d(1, 4, 7, padding: 3),
                new ResidualUnit(4, 1),
                new ResidualUnit(4, 3),
                new Snake1d(4),
                new WnConv1d(4, 8, 4, stride: 2, padding: 1),
                new Snake1d(8),
                new WnConv1d(8, 8, 8, stride: 4, padding: 2)
            );
            quantizers = nn.ModuleList(Enumerable.Range(0, 2).Select(_ => new VectorQuantize(8, 16, 4)).ToArray());
            decoder = nn.Sequential(
                new WnConvTranspose1d(8, 8, 4),
                new Snake1d(8),
                new WnConvTranspose1d(8, 4, 2),
                new ResidualUnit(4, 1),
                new WnConv1d(4, 1, 7, padding: 3),
                nn.Tanh()
            );
            RegisterComponents();
        }

        private Tensor Preprocess(Tensor audio)
        {
            var length = audio.shape[^1];
            var right = (long)(Math.Ceiling(length / (double)hopLength) * hopLength) - length;
            return F.pad(audio, (0, right));
        }

        public override (Tensor audio, Tensor codes) forward(Tensor audio)
        {
            var length = audio.shape[^1];
            var z = encoder.forward(Preprocess(audio));
            Tensor quantized = zeros_like(z);
            var residual = z;
            var codes = new List<Tensor>();
            foreach (var quantizer in quantizers)
            {
                var (part, indices) = quantizer.forward(residual);
                quantized += part;
                residual -= part;
                codes.Add(indices);
            }

            var sound = decoder.forward(quantized);
            return (sound[TensorIndex.Ellipsis, TensorIndex.Slice(stop: length)], stack(codes, dim: 1));
        }
    }

    private sealed class Reparametrized : nn.Module<Tensor, Tensor>
    {
        private readonly Conv1d conv;
        private readonly Parameter g;
        private readonly Parameter v;

        public Reparametrized()
            : base(nameof(Reparametrized))
        {
            conv = nn.Conv1d(3, 4, 3, padding: 1);
            v = nn.Parameter(conv.weight.clone());
            g = nn.Parameter(rand(4, 1, 1) + 0.5);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            conv.weight = nn.Parameter(v / v.pow(2).sum([1, 2], keepdim: true).sqrt() * g);
            return conv.call(x);
        }
    }
}
