// Complete networks as TorchSharp users write them. Nothing in them is adapted to the exporter.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

internal sealed class BasicBlock : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d conv1,
        conv2;
    private readonly BatchNorm2d bn1,
        bn2;
    private readonly Sequential? downsample;

    public BasicBlock(int from, int to, int stride)
        : base(nameof(BasicBlock))
    {
        conv1 = nn.Conv2d(from, to, 3, stride: stride, padding: 1, bias: false);
        bn1 = nn.BatchNorm2d(to);
        conv2 = nn.Conv2d(to, to, 3, padding: 1, bias: false);
        bn2 = nn.BatchNorm2d(to);
        if (stride != 1 || from != to)
            downsample = nn.Sequential(
                ("0", nn.Conv2d(from, to, 1, stride: stride, bias: false)),
                ("1", nn.BatchNorm2d(to))
            );
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var identity = downsample is null ? x : downsample.forward(x);
        var y = bn1.forward(conv1.forward(x)).relu_();
        y = bn2.forward(conv2.forward(y));
        return y.add_(identity).relu_().MoveToOuterDisposeScope();
    }
}

internal sealed class Bottleneck : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d conv1,
        conv2,
        conv3;
    private readonly BatchNorm2d bn1,
        bn2,
        bn3;
    private readonly nn.Module<Tensor, Tensor> relu = nn.ReLU(inplace: true);
    private readonly Sequential? downsample;

    public Bottleneck(int from, int width, int stride)
        : base(nameof(Bottleneck))
    {
        conv1 = nn.Conv2d(from, width, 1, bias: false);
        bn1 = nn.BatchNorm2d(width);
        conv2 = nn.Conv2d(width, width, 3, stride: stride, padding: 1, bias: false);
        bn2 = nn.BatchNorm2d(width);
        conv3 = nn.Conv2d(width, 4 * width, 1, bias: false);
        bn3 = nn.BatchNorm2d(4 * width);
        if (stride != 1 || from != 4 * width)
            downsample = nn.Sequential(
                ("0", nn.Conv2d(from, 4 * width, 1, stride: stride, bias: false)),
                ("1", nn.BatchNorm2d(4 * width))
            );
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var identity = x;
        var y = relu.call(bn1.call(conv1.call(x)));
        y = relu.call(bn2.call(conv2.call(y)));
        y = bn3.call(conv3.call(y));
        if (downsample is not null)
            identity = downsample.call(x);
        y += identity;
        return relu.call(y);
    }
}

internal sealed class ResNet : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d conv1;
    private readonly BatchNorm2d bn1;
    private readonly MaxPool2d maxpool = nn.MaxPool2d(3, stride: 2, padding: 1);
    private readonly Sequential layer1,
        layer2,
        layer3,
        layer4;
    private readonly AdaptiveAvgPool2d avgpool = nn.AdaptiveAvgPool2d(1);
    private readonly Linear fc;

    public ResNet(bool bottleneck, int[] depths, int width, int classes)
        : base(nameof(ResNet))
    {
        conv1 = nn.Conv2d(3, width, 7, stride: 2, padding: 3, bias: false);
        bn1 = nn.BatchNorm2d(width);
        var from = width;
        Sequential Layer(int index)
        {
            var blocks = new List<nn.Module<Tensor, Tensor>>();
            for (var i = 0; i < depths[index]; i++)
            {
                var (to, stride) = (width << index, i == 0 && index > 0 ? 2 : 1);
                blocks.Add(bottleneck ? new Bottleneck(from, to, stride) : new BasicBlock(from, to, stride));
                from = bottleneck ? 4 * to : to;
            }

            return nn.Sequential([.. blocks]);
        }

        (layer1, layer2, layer3, layer4) = (Layer(0), Layer(1), Layer(2), Layer(3));
        fc = nn.Linear(from, classes);
        RegisterComponents();
    }

    public static ResNet ResNet18(int width = 64) => new(false, [2, 2, 2, 2], width, 10);

    public static ResNet ResNet50(int width = 64, int classes = 10) => new(true, [3, 4, 6, 3], width, classes);

    public override Tensor forward(Tensor x)
    {
        x = maxpool.forward(F.relu(bn1.forward(conv1.forward(x)), inplace: true));
        x = layer4.forward(layer3.forward(layer2.forward(layer1.forward(x))));
        x = avgpool.forward(x);
        return fc.forward(flatten(x, 1));
    }
}

internal sealed class SqueezeExcitation : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d reduce,
        expand;

    public SqueezeExcitation(int channels)
        : base(nameof(SqueezeExcitation))
    {
        reduce = nn.Conv2d(channels, channels / 4, 1);
        expand = nn.Conv2d(channels / 4, channels, 1);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var scale = F.adaptive_avg_pool2d(x, 1);
        scale = F.relu(reduce.forward(scale));
        return x * F.hardsigmoid(expand.forward(scale));
    }
}

internal sealed class InvertedResidual : nn.Module<Tensor, Tensor>
{
    private readonly Sequential conv;
    private readonly bool useShortcut;

    public InvertedResidual(int from, int to, int stride, int expand, bool v3)
        : base(nameof(InvertedResidual))
    {
        var hidden = from * expand;
        nn.Module<Tensor, Tensor> Activation() => v3 ? nn.Hardswish(inplace: true) : nn.ReLU6(inplace: true);
        var layers = new List<nn.Module<Tensor, Tensor>>
        {
            nn.Conv2d(from, hidden, 1, bias: false),
            nn.BatchNorm2d(hidden),
            Activation(),
            nn.Conv2d(hidden, hidden, 3, stride: stride, padding: 1, groups: hidden, bias: false),
            nn.BatchNorm2d(hidden),
            Activation(),
        };
        if (v3)
            layers.Add(new SqueezeExcitation(hidden));
        layers.AddRange([nn.Conv2d(hidden, to, 1, bias: false), nn.BatchNorm2d(to)]);
        conv = nn.Sequential([.. layers]);
        useShortcut = stride == 1 && from == to;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => useShortcut ? x + conv.forward(x) : conv.forward(x);
}

internal sealed class MobileNet : nn.Module<Tensor, Tensor>
{
    private readonly Sequential features;
    private readonly Sequential classifier;

    public MobileNet(bool v3)
        : base(nameof(MobileNet))
    {
        features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride: 2, padding: 1, bias: false),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            new InvertedResidual(8, 8, 1, 2, v3),
            new InvertedResidual(8, 16, 2, 4, v3),
            new InvertedResidual(16, 16, 1, 4, v3),
            new InvertedResidual(16, 24, 2, 4, v3)
        );
        classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(24, 10));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = features.forward(x);
        x = x.mean([2, 3]);
        return classifier.forward(x);
    }
}

internal sealed class Vgg : nn.Module<Tensor, Tensor>
{
    private readonly Sequential features,
        classifier;

    public Vgg()
        : base(nameof(Vgg))
    {
        var layers = new List<nn.Module<Tensor, Tensor>>();
        var from = 3;
        foreach (var width in (int[])[8, 0, 16, 0, 32, 32, 0])
        {
            if (width == 0)
            {
                layers.Add(nn.MaxPool2d(2, 2));
                continue;
            }

            layers.AddRange([nn.Conv2d(from, width, 3, padding: 1), nn.BatchNorm2d(width), nn.ReLU(inplace: true)]);
            from = width;
        }

        features = nn.Sequential([.. layers]);
        classifier = nn.Sequential(nn.Linear(32 * 4 * 4, 64), nn.ReLU(true), nn.Dropout(), nn.Linear(64, 10));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = features.call(x);
        x = x.view(x.size(0), -1);
        return classifier.call(x);
    }
}

internal sealed class InceptionBlock : nn.Module<Tensor, Tensor>
{
    private readonly Sequential branch1,
        branch3,
        branchPool;

    public InceptionBlock(int from)
        : base(nameof(InceptionBlock))
    {
        branch1 = nn.Sequential(nn.Conv2d(from, 8, 1), nn.BatchNorm2d(8, eps: 1e-3), nn.ReLU());
        branch3 = nn.Sequential(
            nn.Conv2d(from, 8, 1),
            nn.ReLU(),
            nn.Conv2d(8, 12, (1, 3), padding: (0, 1)),
            nn.Conv2d(12, 12, (3, 1), padding: (1, 0)),
            nn.BatchNorm2d(12, eps: 1e-3)
        );
        branchPool = nn.Sequential(
            nn.AvgPool2d(3, stride: 1, padding: 1, count_include_pad: false),
            nn.Conv2d(from, 4, 1)
        );
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var outputs = new List<Tensor> { branch1.forward(x), branch3.forward(x), branchPool.forward(x) };
        return cat(outputs.ToArray(), 1);
    }
}

internal sealed class Inception : nn.Module<Tensor, Tensor>
{
    private readonly ModuleList<InceptionBlock> blocks = new(
        new InceptionBlock(3),
        new InceptionBlock(24),
        new InceptionBlock(24)
    );
    private readonly Linear fc = nn.Linear(24, 10);

    public Inception()
        : base(nameof(Inception)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        for (var i = 0; i < blocks.Count; i++)
        {
            x = blocks[i].forward(x);
            if (i == 1)
                x = F.max_pool2d(x, [3, 3], strides: [2, 2]);
        }

        return fc.forward(Pool(x));
    }

    private static Tensor Pool(Tensor x) => F.adaptive_avg_pool2d(x, 1).flatten(1);
}

internal sealed class UNet : nn.Module<Tensor, Tensor>
{
    private readonly Sequential down1,
        down2,
        bottom,
        up2,
        up1;
    private readonly MaxPool2d pool = nn.MaxPool2d(2);
    private readonly ConvTranspose2d expand2,
        expand1;
    private readonly Conv2d head;

    public UNet()
        : base(nameof(UNet))
    {
        static Sequential Double(int from, int to) =>
            nn.Sequential(
                nn.Conv2d(from, to, 3, padding: 1),
                nn.BatchNorm2d(to),
                nn.ReLU(true),
                nn.Conv2d(to, to, 3, padding: 1),
                nn.BatchNorm2d(to),
                nn.ReLU(true)
            );
        (down1, down2, bottom, up2, up1) = (Double(3, 8), Double(8, 16), Double(16, 32), Double(32, 16), Double(16, 8));
        expand2 = nn.ConvTranspose2d(32, 16, 2, stride: 2);
        expand1 = nn.ConvTranspose2d(16, 8, 2, stride: 2);
        head = nn.Conv2d(8, 2, 1);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var a = down1.forward(x);
        var b = down2.forward(pool.forward(a));
        var y = bottom.forward(pool.forward(b));
        y = up2.forward(cat([b, expand2.forward(y)], 1));
        y = up1.forward(cat([a, expand1.forward(y)], 1));
        return head.forward(y);
    }
}

internal sealed class Tagger : nn.Module<Tensor, Tensor>
{
    private readonly Embedding embedding = nn.Embedding(50, 12);
    private readonly LSTM lstm = nn.LSTM(12, 16, numLayers: 2, batchFirst: true, dropout: 0.3, bidirectional: true);
    private readonly Dropout dropout = nn.Dropout(0.3);
    private readonly Linear tags = nn.Linear(32, 7);

    public Tagger()
        : base(nameof(Tagger)) => RegisterComponents();

    public override Tensor forward(Tensor tokens)
    {
        var (hidden, _, _) = lstm.forward(dropout.forward(embedding.forward(tokens)));
        return F.log_softmax(tags.forward(dropout.forward(hidden)), -1);
    }
}

internal sealed class GruClassifier : nn.Module<Tensor, Tensor>
{
    private readonly GRU gru = nn.GRU(6, 10, numLayers: 2, batchFirst: true);
    private readonly Linear fc = nn.Linear(10, 3);

    public GruClassifier()
        : base(nameof(GruClassifier)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        var (output, _) = gru.call(x, null!);
        return fc.forward(output[.., -1]);
    }
}

internal sealed class TransformerClassifier : nn.Module<Tensor, Tensor>
{
    private readonly Embedding embedding = nn.Embedding(50, 16);
    private readonly Parameter position = nn.Parameter(randn(32, 1, 16) * 0.1f);
    private readonly TransformerEncoder encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 4, 32, 0.1, nn.Activations.GELU),
        2
    );
    private readonly Linear fc = nn.Linear(16, 4);

    public TransformerClassifier()
        : base(nameof(TransformerClassifier)) => RegisterComponents();

    public override Tensor forward(Tensor tokens)
    {
        var x = embedding.forward(tokens).transpose(0, 1) * Math.Sqrt(16);
        x = x + position[..(int)x.size(0)];
        x = encoder.forward(x, null!, null!);
        return fc.forward(x.mean([0]));
    }
}

internal sealed class SelfAttention : nn.Module<Tensor, Tensor>
{
    private readonly Linear qkv,
        proj;
    private readonly int heads;
    private readonly bool causal;

    public SelfAttention(int width, int heads, bool causal)
        : base(nameof(SelfAttention))
    {
        (this.heads, this.causal) = (heads, causal);
        qkv = nn.Linear(width, 3 * width);
        proj = nn.Linear(width, width);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var (b, t, c) = (x.shape[0], x.shape[1], x.shape[2]);
        var parts = qkv.forward(x).reshape(b, t, 3, heads, c / heads).permute(2, 0, 3, 1, 4);
        var (q, k, v) = (parts[0], parts[1], parts[2]);
        var scores = q.matmul(k.transpose(-2, -1)) / Math.Sqrt(c / heads);
        if (causal)
        {
            var mask = ones([t, t], dtype: ScalarType.Bool).tril();
            scores = scores.masked_fill(mask.logical_not(), float.NegativeInfinity);
        }

        var y = F.softmax(scores, -1).matmul(v).transpose(1, 2).contiguous().view(b, t, c);
        return proj.forward(y);
    }
}

internal sealed class PreNormBlock : nn.Module<Tensor, Tensor>
{
    private readonly LayerNorm ln1,
        ln2;
    private readonly SelfAttention attention;
    private readonly Sequential mlp;

    public PreNormBlock(int width, int heads, bool causal)
        : base(nameof(PreNormBlock))
    {
        ln1 = nn.LayerNorm(width);
        ln2 = nn.LayerNorm(width);
        attention = new SelfAttention(width, heads, causal);
        mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = x + attention.forward(ln1.forward(x));
        return x + mlp.forward(ln2.forward(x));
    }
}

internal sealed class VisionTransformer : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d patches;
    private readonly Parameter classToken;
    private readonly Parameter position;
    private readonly ModuleList<PreNormBlock> blocks;
    private readonly LayerNorm norm;
    private readonly Linear head;

    public VisionTransformer(int width = 24, int heads = 3, int depth = 2, int patch = 4, int size = 16)
        : base(nameof(VisionTransformer))
    {
        patches = nn.Conv2d(3, width, patch, stride: patch);
        classToken = nn.Parameter(randn(1, 1, width));
        position = nn.Parameter(randn(1, 1 + (size / patch * (size / patch)), width));
        blocks = new([.. Enumerable.Range(0, depth).Select(_ => new PreNormBlock(width, heads, false))]);
        norm = nn.LayerNorm(width);
        head = nn.Linear(width, 10);
        RegisterComponents();
    }

    /// <summary>ViT-B/16 for pictures of 224 pixels: 86 million parameters (Dosovitskiy 2021, table 1).</summary>
    public static VisionTransformer Base() => new(width: 768, heads: 12, depth: 12, patch: 16, size: 224);

    public override Tensor forward(Tensor x)
    {
        x = patches.forward(x).flatten(2).transpose(1, 2);
        x = cat([classToken.expand(x.size(0), -1, -1), x], 1) + position;
        foreach (var block in blocks)
            x = block.forward(x);
        return head.forward(norm.forward(x)[.., 0]);
    }
}

internal sealed class Gpt : nn.Module<Tensor, Tensor>
{
    private readonly Embedding tokens = nn.Embedding(40, 24);
    private readonly Embedding positions = nn.Embedding(16, 24);
    private readonly ModuleList<PreNormBlock> blocks = new(
        new PreNormBlock(24, 4, true),
        new PreNormBlock(24, 4, true)
    );
    private readonly LayerNorm norm = nn.LayerNorm(24);

    public Gpt()
        : base(nameof(Gpt)) => RegisterComponents();

    public override Tensor forward(Tensor index)
    {
        var t = index.size(1);
        var x = tokens.forward(index) + positions.forward(arange(t, dtype: ScalarType.Int64));
        foreach (var block in blocks)
            x = block.forward(x);
        return F.linear(norm.forward(x), tokens.weight!); // tied weights
    }
}
