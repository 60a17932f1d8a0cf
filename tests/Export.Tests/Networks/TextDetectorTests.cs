using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>DBNet: a backbone that halves five times, a feature pyramid, differentiable binarization; pictures in steps
/// of 32.</summary>
public class TextDetectorTests
{
    [Fact]
    public void Free_height_and_width_in_steps_of_32()
    {
        using var model = new DbNet();
        NetworkTests.Trained(model);
        var report = Unseen.Check(
            model,
            inputs => model.call(inputs[0]).Values,
            [randn(1, 3, 64, 64)],
            Unseen.Free(("image", [0, 2, 3])),
            [randn(2, 3, 96, 128)],
            [randn(1, 3, 32, 160)],
            [randn(3, 3, 192, 32)]
        );
        Assert.Equal(3, report.FreeAxes.Count);
    }

    private static Sequential ConvBnRelu(int from, int to, int kernel, int stride = 1) =>
        nn.Sequential(
            ("conv", nn.Conv2d(from, to, kernel, stride: stride, padding: kernel / 2, bias: false)),
            ("bn", nn.BatchNorm2d(to)),
            ("relu", nn.ReLU(inplace: true))
        );

    private sealed class Backbone : nn.Module<Tensor, List<Tensor>>
    {
        private readonly ModuleList<Sequential> stages = [];

        public Backbone(int[] widths)
            : base("backbone")
        {
            var from = 3;
            foreach (var (width, i) in widths.Select((width, i) => (width, i)))
            {
                stages.Add(ConvBnRelu(from, width, 3, stride: 2));
                from = width;
            }

            RegisterComponents();
        }

        public override List<Tensor> forward(Tensor x)
        {
            var features = new List<Tensor>();
            for (var i = 0; i < stages.Count; i++)
            {
                x = stages[i].forward(x);
                if (i > 0)
                    features.Add(x);
            }

            return features;
        }
    }

    private sealed class Fpn : nn.Module<List<Tensor>, Tensor>
    {
        private readonly ModuleList<Conv2d> laterals = [];
        private readonly ModuleList<Conv2d> smooth = [];

        public Fpn(int[] widths, int inner)
            : base("neck")
        {
            foreach (var width in widths)
            {
                laterals.Add(nn.Conv2d(width, inner, 1, bias: false));
                smooth.Add(nn.Conv2d(inner, inner / 4, 3, padding: 1, bias: false));
            }

            RegisterComponents();
        }

        private static Tensor UpsampleAdd(Tensor x, Tensor y) =>
            F.interpolate(x, size: [y.shape[2], y.shape[3]], mode: InterpolationMode.Nearest) + y;

        public override Tensor forward(List<Tensor> features)
        {
            var inputs = features.Zip(laterals, (feature, lateral) => lateral.call(feature)).ToArray();
            for (var i = inputs.Length - 2; i >= 0; i--)
                inputs[i] = UpsampleAdd(inputs[i + 1], inputs[i]);
            var (h, w) = (inputs[0].shape[2], inputs[0].shape[3]);
            var outputs = inputs
                .Select((x, i) => i == 0 ? smooth[i].call(x) : F.interpolate(smooth[i].call(x), size: [h, w]))
                .Reverse();
            return cat(outputs.ToArray(), 1);
        }
    }

    private sealed class DbHead : nn.Module<Tensor, Dictionary<string, Tensor>>
    {
        private readonly Sequential binarize;
        private readonly Sequential thresh;
        private readonly int k = 50;

        public DbHead(int channels)
            : base("head")
        {
            (binarize, thresh) = (Branch(channels), Branch(channels));
            RegisterComponents();
        }

        private static Sequential Branch(int channels) =>
            nn.Sequential(
                nn.Conv2d(channels, channels / 4, 3, padding: 1, bias: false),
                nn.BatchNorm2d(channels / 4),
                nn.ReLU(true),
                nn.ConvTranspose2d(channels / 4, channels / 4, 2, stride: 2),
                nn.BatchNorm2d(channels / 4),
                nn.ReLU(true),
                nn.ConvTranspose2d(channels / 4, 1, 2, stride: 2),
                nn.Sigmoid()
            );

        private Tensor StepFunction(Tensor x, Tensor y) => reciprocal(1 + exp(-k * (x - y)));

        public override Dictionary<string, Tensor> forward(Tensor x)
        {
            var shrink = binarize.call(x);
            var threshold = thresh.call(x);
            return new Dictionary<string, Tensor>
            {
                ["shrink_maps"] = shrink,
                ["threshold_maps"] = threshold,
                ["binary_maps"] = StepFunction(shrink, threshold),
            };
        }
    }

    private sealed class DbNet : nn.Module<Tensor, Dictionary<string, Tensor>>
    {
        private readonly Backbone backbone = new([4, 8, 8, 12, 16]);
        private readonly Fpn neck = new([8, 8, 12, 16], 16);
        private readonly DbHead head = new(16);

        public DbNet()
            : base("dbnet") => RegisterComponents();

        public override Dictionary<string, Tensor> forward(Tensor image) => head.call(neck.call(backbone.call(image)));
    }
}
