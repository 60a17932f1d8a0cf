using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>A detector as ports of YOLO are written: lists of heads that LINQ enumerates, anchors from meshgrid,
/// boxes from distributions, pictures in steps of 32.</summary>
public class YoloTests
{
    [Fact]
    public void Free_height_and_width()
    {
        using var model = new Yolo(classes: 3);
        NetworkTests.Trained(model);
        Unseen.Check(
            model,
            inputs => model.call(inputs[0]),
            [randn(1, 3, 64, 96)],
            Unseen.Free(("x", [0, 2, 3])),
            [randn(2, 3, 32, 32)],
            [randn(1, 3, 160, 64)],
            [randn(3, 3, 96, 128)]
        );
    }

    private static long AutoPad(long k, long? p = null) => p ?? k / 2;

    private sealed class Conv : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d conv;
        private readonly BatchNorm2d bn;
        private readonly nn.Module<Tensor, Tensor> act;

        public Conv(long inChannels, long outChannels, int k = 1, int s = 1, bool activation = true)
            : base(nameof(Conv))
        {
            conv = nn.Conv2d(inChannels, outChannels, k, stride: s, padding: AutoPad(k), bias: false);
            bn = nn.BatchNorm2d(outChannels, eps: 1e-3, momentum: 0.03);
            act = activation ? nn.SiLU() : nn.Identity();
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => act.forward(bn.forward(conv.forward(x)));
    }

    private sealed class Bottleneck : nn.Module<Tensor, Tensor>
    {
        private readonly Conv cv1;
        private readonly Conv cv2;
        private readonly bool add;

        public Bottleneck(long c, bool shortcut)
            : base(nameof(Bottleneck))
        {
            (cv1, cv2, add) = (new Conv(c, c, 3), new Conv(c, c, 3), shortcut);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) =>
            add ? input + cv2.forward(cv1.forward(input)) : cv2.forward(cv1.forward(input));
    }

    private sealed class C2f : nn.Module<Tensor, Tensor>
    {
        private readonly Conv cv1;
        private readonly Conv cv2;
        private readonly ModuleList<Bottleneck> m;

        public C2f(long inChannels, long outChannels, int n = 1, bool shortcut = true)
            : base(nameof(C2f))
        {
            var hidden = outChannels / 2;
            cv1 = new Conv(inChannels, 2 * hidden);
            cv2 = new Conv((2 + n) * hidden, outChannels);
            m = nn.ModuleList(Enumerable.Range(0, n).Select(_ => new Bottleneck(hidden, shortcut)).ToArray());
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            var y = cv1.forward(input).chunk(2, 1).ToList();
            y.AddRange(m.Select(bottleneck => y[^1] = bottleneck.forward(y.Last())).ToList());
            // AddRange after the last was replaced: what YOLO's authors mean is a chain
            return cv2.forward(cat(y, 1));
        }
    }

    private sealed class Sppf : nn.Module<Tensor, Tensor>
    {
        private readonly Conv cv1;
        private readonly Conv cv2;
        private readonly MaxPool2d m;

        public Sppf(long c, int k = 5)
            : base(nameof(Sppf))
        {
            cv1 = new Conv(c, c / 2);
            cv2 = new Conv(c / 2 * 4, c);
            m = nn.MaxPool2d(kernel_size: k, stride: 1, padding: k / 2);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            x = cv1.forward(x);
            var pools = new List<Tensor> { x };
            for (var i = 0; i < 3; i++)
                pools.Add(m.forward(pools[^1]));
            return cv2.forward(cat([.. pools], 1));
        }
    }

    private sealed class Dfl : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d conv;
        private readonly int c1;

        public Dfl(int c1)
            : base(nameof(Dfl))
        {
            conv = nn.Conv2d(c1, 1, 1, bias: false);
            conv.weight.requires_grad = false;
            conv.weight = nn.Parameter(arange(c1, dtype: ScalarType.Float32).view(1, c1, 1, 1), requires_grad: false);
            this.c1 = c1;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var (b, a) = (x.shape[0], x.shape[2]);
            return conv.forward(x.view(b, 4, c1, a).transpose(2, 1).softmax(1)).view(b, 4, a);
        }
    }

    private sealed class Detect : nn.Module<Tensor[], Tensor[]>
    {
        private readonly ModuleList<Sequential> cv2;
        private readonly ModuleList<Sequential> cv3;
        private readonly Dfl dfl;
        private readonly int nc;
        private readonly int[] stride = [8, 16, 32];
        private const int RegMax = 8;

        public Detect(int nc, int[] ch)
            : base(nameof(Detect))
        {
            this.nc = nc;
            cv2 = nn.ModuleList(
                ch.Select(x => nn.Sequential(new Conv(x, 8, 3), nn.Conv2d(8, 4 * RegMax, 1))).ToArray()
            );
            cv3 = nn.ModuleList(ch.Select(x => nn.Sequential(new Conv(x, 8, 3), nn.Conv2d(8, nc, 1))).ToArray());
            dfl = new Dfl(RegMax);
            RegisterComponents();
        }

        public override Tensor[] forward(Tensor[] x)
        {
            var outputs = x.Zip(cv2, (input, box) => (input, box))
                .Zip(cv3, (pair, cls) => cat([pair.box.forward(pair.input), cls.forward(pair.input)], 1))
                .ToArray();
            if (training)
                return outputs;
            var no = nc + (RegMax * 4);
            var all = cat(outputs.Select(xi => xi.view(xi.shape[0], no, -1)).ToArray(), 2);
            var split = all.split([RegMax * 4, nc], 1);
            var (anchors, strides) = MakeAnchors(outputs, stride, 0.5f);
            var boxes =
                DistanceToBox(dfl.forward(split[0]), anchors.unsqueeze(0).transpose(1, 2)) * strides.transpose(0, 1);
            return [cat([boxes, split[1].sigmoid()], 1), .. outputs];
        }

        private static (Tensor, Tensor) MakeAnchors(Tensor[] feats, int[] strides, float offset)
        {
            var points = new List<Tensor>();
            var steps = new List<Tensor>();
            var (dtype, device) = (feats[0].dtype, feats[0].device);
            for (var i = 0; i < strides.Length; i++)
            {
                var (h, w) = (feats[i].shape[2], feats[i].shape[3]);
                var sx = arange(w, device: device, dtype: dtype) + offset;
                var sy = arange(h, device: device, dtype: dtype) + offset;
                var grid = meshgrid([sy, sx], indexing: "ij");
                points.Add(stack([grid[1], grid[0]], -1).view(-1, 2));
                steps.Add(full([h * w, 1], strides[i], dtype: dtype, device: device));
            }

            return (cat(points), cat(steps));
        }

        private static Tensor DistanceToBox(Tensor distance, Tensor anchors)
        {
            var ltrb = distance.chunk(2, 1);
            var (x1y1, x2y2) = (anchors - ltrb[0], anchors + ltrb[1]);
            return cat([(x1y1 + x2y2) / 2, x2y2 - x1y1], 1);
        }
    }

    private sealed class Yolo : nn.Module<Tensor, Tensor[]>
    {
        private readonly Sequential backbone1;
        private readonly Sequential backbone2;
        private readonly Sequential backbone3;
        private readonly Upsample upsample = nn.Upsample(scale_factor: [2, 2], mode: UpsampleMode.Nearest);
        private readonly C2f up1;
        private readonly C2f up2;
        private readonly Conv down;
        private readonly C2f mid;
        private readonly Detect detect;

        public Yolo(int classes)
            : base(nameof(Yolo))
        {
            backbone1 = nn.Sequential(
                new Conv(3, 4, 3, 2),
                new Conv(4, 8, 3, 2),
                new Conv(8, 8, 3, 2),
                new C2f(8, 8, 2)
            );
            backbone2 = nn.Sequential(new Conv(8, 16, 3, 2), new C2f(16, 16));
            backbone3 = nn.Sequential(new Conv(16, 16, 3, 2), new C2f(16, 16), new Sppf(16));
            up1 = new C2f(32, 16, 1, false);
            up2 = new C2f(24, 8, 1, false);
            down = new Conv(8, 16, 3, 2);
            mid = new C2f(32, 16, 1, false);
            detect = new Detect(classes, [8, 16, 16]);
            RegisterComponents();
        }

        public override Tensor[] forward(Tensor x)
        {
            var p3 = backbone1.forward(x);
            var p4 = backbone2.forward(p3);
            var p5 = backbone3.forward(p4);
            var n4 = up1.forward(cat([upsample.forward(p5), p4], 1));
            var n3 = up2.forward(cat([upsample.forward(n4), p3], 1));
            var m4 = mid.forward(cat([down.forward(n3), n4], 1));
            return detect.forward([n3, m4, p5]);
        }
    }
}
