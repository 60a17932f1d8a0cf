using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>
/// VGG-11 with BatchNorm, AlexNet, GoogLeNet and Inception V3 as TorchSharp's vision library builds them: equal zero
/// biases, adaptive pooling to 6 x 6 and 7 x 7, an auxiliary head. The layers and strides are the library's, the channels
/// an eighth of them, so that a test takes seconds.
/// </summary>
public class VisionLibraryTests
{
    private const int Eighth = 8;

    [Fact]
    public void Vgg11_with_equal_zero_biases_and_free_height_and_width() =>
        CheckPictures(
            new Vgg11(),
            [randn(1, 3, 96, 96)],
            [
                [2, 3, 64, 96],
                [1, 3, 224, 224],
                [1, 3, 135, 101],
            ]
        );

    [Fact]
    public void AlexNet_with_free_height_and_width() =>
        CheckPictures(
            new AlexNet(),
            [randn(1, 3, 127, 127)],
            [
                [2, 3, 95, 143],
                [1, 3, 224, 224],
                [1, 3, 64, 99],
            ]
        );

    [Fact]
    public void GoogLeNet_with_free_height_and_width() =>
        CheckPictures(
            new GoogLeNet(),
            [randn(1, 3, 96, 96)],
            [
                [2, 3, 64, 97],
                [1, 3, 128, 160],
            ]
        );

    [Fact]
    public void InceptionV3_with_free_height_and_width() =>
        CheckPictures(
            new InceptionV3(),
            [randn(1, 3, 96, 96)],
            [
                [2, 3, 80, 101],
                [1, 3, 149, 96],
            ]
        );

    private static void CheckPictures(nn.Module<Tensor, Tensor> model, Tensor[] example, long[][] unseen)
    {
        using (model)
        {
            NetworkTests.Trained(model);
            var report = Unseen.Check(
                model,
                inputs => [model.call(inputs[0])],
                example,
                Unseen.Free((model is Vgg11 or AlexNet ? "input" : "x", [0, 2, 3])),
                [.. unseen.Select(shape => new[] { randn(shape) })]
            );
            Assert.Equal(3, report.FreeAxes.Count);
            Assert.False(report.Nodes.ContainsKey("BatchNormalization"));
        }
    }

    private static Sequential ConvBlock(
        int from,
        int to,
        (long, long) kernel,
        (long, long)? padding = null,
        int stride = 1
    ) =>
        Sequential(
            ("conv", Conv2d(from, to, bias: false, kernel_size: kernel, stride: (stride, stride), padding: padding)),
            ("bn", BatchNorm2d(to, eps: 0.001)),
            ("relu", ReLU(true))
        );

    private static Sequential ConvBlock(int from, int to, int kernel, int stride = 1, int padding = 0) =>
        ConvBlock(from, to, (kernel, kernel), (padding, padding), stride);

    private sealed class Vgg11 : nn.Module<Tensor, Tensor>
    {
        private readonly Dictionary<string, int[]> channels = new(StringComparer.Ordinal)
        {
            ["VGG11"] = [64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
        };
        private readonly nn.Module<Tensor, Tensor> features;
        private readonly nn.Module<Tensor, Tensor> avgpool;
        private readonly nn.Module<Tensor, Tensor> classifier;

        public Vgg11()
            : base("VGG11")
        {
            var layers = new List<nn.Module<Tensor, Tensor>>();
            var from = 3;
            foreach (var width in channels["VGG11"])
            {
                if (width == 0)
                {
                    layers.Add(MaxPool2d(kernel_size: 2, stride: 2));
                    continue;
                }

                layers.Add(Conv2d(from, width / Eighth, kernel_size: 3, padding: 1));
                layers.Add(BatchNorm2d(width / Eighth));
                layers.Add(ReLU(inplace: true));
                from = width / Eighth;
            }

            features = Sequential(layers);
            avgpool = AdaptiveAvgPool2d([7L, 7L]);
            classifier = Sequential(
                Linear(512 / Eighth * 7 * 7, 128),
                ReLU(true),
                Dropout(p: 0.5),
                Linear(128, 128),
                ReLU(true),
                Dropout(p: 0.5),
                Linear(128, 10)
            );
            RegisterComponents();
            foreach (var (_, m) in named_modules())
            {
                switch (m)
                {
                    case Conv2d conv:
                        init.kaiming_normal_(
                            conv.weight,
                            mode: init.FanInOut.FanOut,
                            nonlinearity: init.NonlinearityType.ReLU
                        );
                        init.constant_(conv.bias!, 0);
                        break;
                    case Linear linear:
                        init.normal_(linear.weight, 0, 0.05);
                        init.constant_(linear.bias!, 0);
                        break;
                }
            }
        }

        public override Tensor forward(Tensor input)
        {
            using (var _ = NewDisposeScope())
            {
                input = features.call(input);
                input = avgpool.call(input).flatten(1);
                return classifier.call(input).MoveToOuterDisposeScope();
            }
        }
    }

    private sealed class AlexNet : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> features;
        private readonly nn.Module<Tensor, Tensor> avgpool;
        private readonly nn.Module<Tensor, Tensor> classifier;

        public AlexNet()
            : base(nameof(AlexNet))
        {
            features = Sequential(
                Conv2d(3, 64 / Eighth, kernel_size: 11, stride: 4, padding: 2),
                ReLU(inplace: true),
                MaxPool2d(kernel_size: 3, stride: 2),
                Conv2d(64 / Eighth, 192 / Eighth, kernel_size: 5, padding: 2),
                ReLU(inplace: true),
                MaxPool2d(kernel_size: 3, stride: 2),
                Conv2d(192 / Eighth, 384 / Eighth, kernel_size: 3, padding: 1),
                ReLU(inplace: true),
                Conv2d(384 / Eighth, 256 / Eighth, kernel_size: 3, padding: 1),
                ReLU(inplace: true),
                Conv2d(256 / Eighth, 256 / Eighth, kernel_size: 3, padding: 1),
                ReLU(inplace: true),
                MaxPool2d(kernel_size: 3, stride: 2)
            );
            avgpool = AdaptiveAvgPool2d([6L, 6L]);
            classifier = Sequential(
                Dropout(p: 0.5),
                Linear(256 / Eighth * 6 * 6, 128),
                ReLU(inplace: true),
                Dropout(p: 0.5),
                Linear(128, 128),
                ReLU(inplace: true),
                Linear(128, 10)
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            using (var _ = NewDisposeScope())
            {
                var f = features.call(input);
                var avg = avgpool.call(f);
                var x = avg.flatten(1);
                return classifier.call(x).MoveToOuterDisposeScope();
            }
        }
    }

    private static Tensor TransformInput(Tensor x)
    {
        var channel0 = unsqueeze(x[(null, null), 0], 1) * (0.229f / 0.5f) + ((0.485f - 0.5f) / 0.5f);
        var channel1 = unsqueeze(x[(null, null), 1], 1) * (0.224f / 0.5f) + ((0.456f - 0.5f) / 0.5f);
        var channel2 = unsqueeze(x[(null, null), 2], 1) * (0.225f / 0.5f) + ((0.406f - 0.5f) / 0.5f);
        return cat([channel0, channel1, channel2], 1);
    }

    private sealed class InceptionBlock : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> branch1;
        private readonly nn.Module<Tensor, Tensor> branch2;
        private readonly nn.Module<Tensor, Tensor> branch3;
        private readonly nn.Module<Tensor, Tensor> branch4;

        public InceptionBlock(int from, int c1, int red3, int c3, int red5, int c5, int pool)
            : base("Inception")
        {
            branch1 = ConvBlock(from, c1, 1);
            branch2 = Sequential(ConvBlock(from, red3, 1), ConvBlock(red3, c3, 3, padding: 1));
            branch3 = Sequential(ConvBlock(from, red5, 1), ConvBlock(red5, c5, 3, padding: 1));
            branch4 = Sequential(
                MaxPool2d(kernel_size: 3, stride: 1, padding: 1, ceil_mode: true),
                ConvBlock(from, pool, 1)
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var branch1 = this.branch1.call(x);
            using var branch2 = this.branch2.call(x);
            using var branch3 = this.branch3.call(x);
            using var branch4 = this.branch4.call(x);
            var outputs = new[] { branch1, branch2, branch3, branch4 };
            return cat(outputs, 1);
        }
    }

    private sealed class GoogLeNet : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> conv1;
        private readonly nn.Module<Tensor, Tensor> maxpool1;
        private readonly nn.Module<Tensor, Tensor> conv2;
        private readonly nn.Module<Tensor, Tensor> conv3;
        private readonly nn.Module<Tensor, Tensor> maxpool2;
        private readonly nn.Module<Tensor, Tensor> inception3a;
        private readonly nn.Module<Tensor, Tensor> inception3b;
        private readonly nn.Module<Tensor, Tensor> maxpool3;
        private readonly nn.Module<Tensor, Tensor> inception4a;
        private readonly nn.Module<Tensor, Tensor> inception4b;
        private readonly nn.Module<Tensor, Tensor> inception4c;
        private readonly nn.Module<Tensor, Tensor> inception4d;
        private readonly nn.Module<Tensor, Tensor> inception4e;
        private readonly nn.Module<Tensor, Tensor> maxpool4;
        private readonly nn.Module<Tensor, Tensor> inception5a;
        private readonly nn.Module<Tensor, Tensor> inception5b;
        private readonly AdaptiveAvgPool2d avgpool;
        private readonly Dropout dropout;
        private readonly Linear fc;
        private readonly bool transform_input = true;

        public GoogLeNet()
            : base("GoogleNet")
        {
            conv1 = ConvBlock(3, 8, 7, stride: 2, padding: 3);
            maxpool1 = MaxPool2d(kernel_size: 3, stride: 2, ceil_mode: true);
            conv2 = ConvBlock(8, 8, 1);
            conv3 = ConvBlock(8, 24, 3, padding: 1);
            maxpool2 = MaxPool2d(kernel_size: 3, stride: 2, ceil_mode: true);
            inception3a = new InceptionBlock(24, 8, 12, 16, 2, 4, 4);
            inception3b = new InceptionBlock(32, 16, 16, 24, 4, 12, 8);
            maxpool3 = MaxPool2d(3, stride: 2, ceil_mode: true);
            inception4a = new InceptionBlock(60, 24, 12, 26, 2, 6, 8);
            inception4b = new InceptionBlock(64, 20, 14, 28, 3, 8, 8);
            inception4c = new InceptionBlock(64, 16, 16, 32, 3, 8, 8);
            inception4d = new InceptionBlock(64, 14, 18, 36, 4, 8, 8);
            inception4e = new InceptionBlock(66, 32, 20, 40, 4, 16, 16);
            maxpool4 = MaxPool2d(2, stride: 2, ceil_mode: true);
            inception5a = new InceptionBlock(104, 32, 20, 40, 4, 16, 16);
            inception5b = new InceptionBlock(104, 48, 24, 48, 6, 16, 16);
            avgpool = AdaptiveAvgPool2d((1, 1));
            dropout = Dropout(p: 0.2);
            fc = Linear(128, 10);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using (var scope = NewDisposeScope())
            {
                if (transform_input)
                    x = TransformInput(x);
                x = conv1.call(x);
                x = maxpool1.call(x);
                x = conv2.call(x);
                x = conv3.call(x);
                x = maxpool2.call(x);
                x = inception3a.call(x);
                x = inception3b.call(x);
                x = maxpool3.call(x);
                x = inception4a.call(x);
                x = inception4b.call(x);
                x = inception4c.call(x);
                x = inception4d.call(x);
                x = inception4e.call(x);
                x = maxpool4.call(x);
                x = inception5a.call(x);
                x = inception5b.call(x);
                x = avgpool.call(x);
                x = flatten(x, 1);
                x = dropout.call(x);
                x = fc.call(x);
                return x.MoveToOuterDisposeScope();
            }
        }
    }

    private sealed class InceptionA : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> branch1x1;
        private readonly nn.Module<Tensor, Tensor> branch5x5_1;
        private readonly nn.Module<Tensor, Tensor> branch5x5_2;
        private readonly nn.Module<Tensor, Tensor> branch3x3dbl_1;
        private readonly nn.Module<Tensor, Tensor> branch3x3dbl_2;
        private readonly nn.Module<Tensor, Tensor> branch3x3dbl_3;
        private readonly nn.Module<Tensor, Tensor> branch_pool;

        public InceptionA(int from, int pool)
            : base(nameof(InceptionA))
        {
            branch1x1 = ConvBlock(from, 8, 1);
            branch5x5_1 = ConvBlock(from, 6, 1);
            branch5x5_2 = ConvBlock(6, 8, 5, padding: 2);
            branch3x3dbl_1 = ConvBlock(from, 8, 1);
            branch3x3dbl_2 = ConvBlock(8, 12, 3, padding: 1);
            branch3x3dbl_3 = ConvBlock(12, 12, 3, padding: 1);
            branch_pool = ConvBlock(from, pool, 1);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var one = branch1x1.call(x);
            var five = branch5x5_1.call(x);
            five = branch5x5_2.call(five);
            var three = branch3x3dbl_1.call(x);
            three = branch3x3dbl_2.call(three);
            three = branch3x3dbl_3.call(three);
            var pool = F.avg_pool2d(x, kernel_size: 3, stride: 1, padding: 1);
            pool = branch_pool.call(pool);
            return cat([one, five, three, pool], 1);
        }
    }

    private sealed class InceptionB : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> branch3x3;
        private readonly nn.Module<Tensor, Tensor> branch3x3dbl_1;
        private readonly nn.Module<Tensor, Tensor> branch3x3dbl_2;

        public InceptionB(int from, int first, int second)
            : base(nameof(InceptionB))
        {
            branch3x3 = ConvBlock(from, first, 3, stride: 2);
            branch3x3dbl_1 = ConvBlock(from, 8, 1);
            branch3x3dbl_2 = ConvBlock(8, second, 3, stride: 2);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var three = branch3x3.call(x);
            var dbl = branch3x3dbl_2.call(branch3x3dbl_1.call(x));
            var pool = F.max_pool2d(x, kernel_size: 3, stride: 2);
            return cat([three, dbl, pool], 1);
        }
    }

    private sealed class InceptionC : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> branch1x1;
        private readonly nn.Module<Tensor, Tensor> branch7x7_1;
        private readonly nn.Module<Tensor, Tensor> branch7x7_2;
        private readonly nn.Module<Tensor, Tensor> branch7x7_3;
        private readonly nn.Module<Tensor, Tensor> branch_pool;

        public InceptionC(int from, int c7)
            : base(nameof(InceptionC))
        {
            branch1x1 = ConvBlock(from, 24, 1);
            branch7x7_1 = ConvBlock(from, c7, 1);
            branch7x7_2 = ConvBlock(c7, c7, (1, 7), (0, 3));
            branch7x7_3 = ConvBlock(c7, 24, (7, 1), (3, 0));
            branch_pool = ConvBlock(from, 24, 1);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var one = branch1x1.call(x);
            var seven = branch7x7_3.call(branch7x7_2.call(branch7x7_1.call(x)));
            var pool = F.avg_pool2d(x, kernel_size: 3, stride: 1, padding: 1);
            return cat([one, seven, branch_pool.call(pool)], 1);
        }
    }

    private sealed class InceptionE : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> branch1x1;
        private readonly nn.Module<Tensor, Tensor> branch3x3_1;
        private readonly nn.Module<Tensor, Tensor> branch3x3_2a;
        private readonly nn.Module<Tensor, Tensor> branch3x3_2b;

        public InceptionE(int from)
            : base(nameof(InceptionE))
        {
            branch1x1 = ConvBlock(from, 40, 1);
            branch3x3_1 = ConvBlock(from, 48, 1);
            branch3x3_2a = ConvBlock(48, 48, (1, 3), (0, 1));
            branch3x3_2b = ConvBlock(48, 48, (3, 1), (1, 0));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var one = branch1x1.call(x);
            var three = branch3x3_1.call(x);
            three = cat([branch3x3_2a.call(three), branch3x3_2b.call(three)], 1);
            return cat([one, three], 1);
        }
    }

    private sealed class InceptionAux : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> conv0;
        private readonly nn.Module<Tensor, Tensor> conv1;
        private readonly nn.Module<Tensor, Tensor> fc;

        public InceptionAux(int from, int classes)
            : base(nameof(InceptionAux))
        {
            conv0 = ConvBlock(from, 16, 1);
            conv1 = ConvBlock(16, 96, 5);
            fc = Linear(96, classes);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            x = F.avg_pool2d(x, kernel_size: 5, stride: 3);
            x = conv0.call(x);
            x = conv1.call(x);
            x = F.adaptive_avg_pool2d(x, (1, 1));
            x = x.flatten(1);
            return fc.call(x);
        }
    }

    private sealed class InceptionV3 : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> Conv2d_1a_3x3;
        private readonly nn.Module<Tensor, Tensor> Conv2d_2a_3x3;
        private readonly nn.Module<Tensor, Tensor> Conv2d_2b_3x3;
        private readonly nn.Module<Tensor, Tensor> maxpool1;
        private readonly nn.Module<Tensor, Tensor> Conv2d_3b_1x1;
        private readonly nn.Module<Tensor, Tensor> Conv2d_4a_3x3;
        private readonly nn.Module<Tensor, Tensor> maxpool2;
        private readonly nn.Module<Tensor, Tensor> Mixed_5b;
        private readonly nn.Module<Tensor, Tensor> Mixed_5c;
        private readonly nn.Module<Tensor, Tensor> Mixed_6a;
        private readonly nn.Module<Tensor, Tensor> Mixed_6b;
        private readonly nn.Module<Tensor, Tensor> Mixed_6c;
        private readonly nn.Module<Tensor, Tensor> AuxLogits;
        private readonly nn.Module<Tensor, Tensor> Mixed_7a;
        private readonly nn.Module<Tensor, Tensor> Mixed_7b;
        private readonly AdaptiveAvgPool2d avgpool;
        private readonly Dropout dropout;
        private readonly Linear fc;

        public InceptionV3()
            : base(nameof(InceptionV3))
        {
            Conv2d_1a_3x3 = ConvBlock(3, 4, 3, stride: 2);
            Conv2d_2a_3x3 = ConvBlock(4, 4, 3);
            Conv2d_2b_3x3 = ConvBlock(4, 8, 3, padding: 1);
            maxpool1 = MaxPool2d(kernel_size: 3, stride: 2);
            Conv2d_3b_1x1 = ConvBlock(8, 10, 1);
            Conv2d_4a_3x3 = ConvBlock(10, 24, 3);
            maxpool2 = MaxPool2d(kernel_size: 3, stride: 2);
            Mixed_5b = new InceptionA(24, 4);
            Mixed_5c = new InceptionA(32, 8);
            Mixed_6a = new InceptionB(36, 48, 12);
            Mixed_6b = new InceptionC(96, 16);
            Mixed_6c = new InceptionC(72, 20);
            AuxLogits = new InceptionAux(72, 10);
            Mixed_7a = new InceptionB(72, 40, 24);
            Mixed_7b = new InceptionE(136);
            avgpool = AdaptiveAvgPool2d((1, 1));
            dropout = Dropout(p: 0.5);
            fc = Linear(136, 10);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using (var scope = NewDisposeScope())
            {
                x = Conv2d_1a_3x3.call(x);
                x = Conv2d_2a_3x3.call(x);
                x = Conv2d_2b_3x3.call(x);
                x = maxpool1.call(x);
                x = Conv2d_3b_1x1.call(x);
                x = Conv2d_4a_3x3.call(x);
                x = maxpool2.call(x);
                x = Mixed_5b.call(x);
                x = Mixed_5c.call(x);
                x = Mixed_6a.call(x);
                x = Mixed_6b.call(x);
                x = Mixed_6c.call(x);
                if (training)
                    _ = AuxLogits.call(x);
                x = Mixed_7a.call(x);
                x = Mixed_7b.call(x);
                x = avgpool.call(x);
                x = dropout.call(x);
                x = flatten(x, 1);
                x = fc.call(x);
                return x.MoveToOuterDisposeScope();
            }
        }
    }
}
