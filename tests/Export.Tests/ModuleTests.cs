using TorchBridge.Export.Lowering;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Every module of the table, with the options that change its graph.</summary>
public class ModuleTests
{
    private static readonly Dictionary<
        string,
        (Func<nn.Module> Make, Func<Tensor[]> Example, Func<long, long[][]>? Shapes)
    > All = new(StringComparer.Ordinal);

    static ModuleTests()
    {
        void Add(string name, Func<nn.Module> make, Func<Tensor[]> example, Func<long, long[][]>? shapes = null) =>
            All.Add(name, (make, example, shapes));
        void One(string name, Func<nn.Module> make, params long[] shape) => Add(name, make, () => [randn(shape)]);

        foreach (var (name, make) in Activations())
            One($"{name} activation", make, 2, 6, 5);
        One("PReLU one slope", () => nn.PReLU(1), 2, 6, 5);
        One("PReLU a slope a channel", () => Randomized(nn.PReLU(6)), 2, 6, 5, 4);
        One("PReLU 2d", () => Randomized(nn.PReLU(6)), 2, 6);
        One("Softmax2d", () => nn.Softmax2d(), 2, 3, 4, 5);
        One("GLU dim 1", () => nn.GLU(1), 2, 6, 5);

        foreach (var bias in (bool[])[false, true])
        {
            One($"Linear bias {bias}", () => nn.Linear(5, 7, hasBias: bias), 2, 5);
            One($"Linear 3d bias {bias}", () => nn.Linear(5, 7, hasBias: bias), 2, 3, 5);
            Add($"Bilinear bias {bias}", () => nn.Bilinear(4, 5, 6, hasBias: bias), () => [randn(2, 4), randn(2, 5)]);
            One(
                $"Conv1d bias {bias}",
                () => nn.Conv1d(4, 6, 3, stride: 2, padding: 1, dilation: 2, groups: 2, bias: bias),
                2,
                4,
                17
            );
            One(
                $"Conv2d bias {bias}",
                () => nn.Conv2d(4, 6, 3, stride: 2, padding: 1, groups: 2, bias: bias),
                2,
                4,
                9,
                11
            );
            One(
                $"Conv3d bias {bias}",
                () => nn.Conv3d(4, 6, 3, stride: 2, padding: 1, groups: 2, bias: bias),
                2,
                4,
                7,
                8,
                9
            );
            One(
                $"ConvTranspose1d bias {bias}",
                () => nn.ConvTranspose1d(4, 6, 3, stride: 2, padding: 1, output_padding: 1, groups: 2, bias: bias),
                2,
                4,
                7
            );
            One(
                $"ConvTranspose2d bias {bias}",
                () => nn.ConvTranspose2d(4, 6, 3, stride: 2, padding: 1, output_padding: 1, groups: 2, bias: bias),
                2,
                4,
                5,
                6
            );
            One(
                $"ConvTranspose3d bias {bias}",
                () => nn.ConvTranspose3d(4, 6, 3, stride: 2, padding: 1, output_padding: 1, groups: 2, bias: bias),
                2,
                4,
                3,
                4,
                5
            );
        }

        One(
            "Conv2d rectangular",
            () => nn.Conv2d(3, 4, (3, 5), stride: (2, 1), padding: (0, 2), dilation: (1, 2)),
            2,
            3,
            9,
            13
        );
        foreach (var mode in (PaddingModes[])[PaddingModes.Reflect, PaddingModes.Replicate, PaddingModes.Circular])
            One($"Conv2d padding {mode}", () => nn.Conv2d(3, 4, 3, padding: 2, padding_mode: mode), 2, 3, 7, 8);
        One("Conv2d padding Same odd kernel", () => nn.Conv2d(3, 4, 3, Padding.Same), 2, 3, 7, 8);
        One("Conv2d padding Same even kernel", () => nn.Conv2d(3, 4, 4, Padding.Same), 2, 3, 7, 8);
        One("Conv1d padding Same dilated", () => nn.Conv1d(3, 4, 4, Padding.Same, dilation: 3), 2, 3, 17);
        One("Conv2d padding Valid", () => nn.Conv2d(3, 4, 3, Padding.Valid), 2, 3, 7, 8);

        One("BatchNorm1d 2d", () => Normed(nn.BatchNorm1d(6)), 2, 6);
        One("BatchNorm1d 3d", () => Normed(nn.BatchNorm1d(6)), 2, 6, 5);
        One("BatchNorm2d", () => Normed(nn.BatchNorm2d(6, eps: 1e-3)), 2, 6, 5, 4);
        One("BatchNorm2d no affine", () => Normed(nn.BatchNorm2d(6, affine: false)), 2, 6, 5, 4);
        One("BatchNorm3d", () => Normed(nn.BatchNorm3d(6)), 2, 6, 3, 4, 5);
        foreach (var affine in (bool[])[false, true])
        {
            foreach (var track in (bool[])[false, true])
            {
                One(
                    $"InstanceNorm1d affine {affine} track {track}",
                    () => Normed(nn.InstanceNorm1d(6, affine: affine, track_running_stats: track)),
                    2,
                    6,
                    9
                );
                One(
                    $"InstanceNorm2d affine {affine} track {track}",
                    () => Normed(nn.InstanceNorm2d(6, affine: affine, track_running_stats: track)),
                    2,
                    6,
                    5,
                    4
                );
                One(
                    $"InstanceNorm3d affine {affine} track {track}",
                    () => Normed(nn.InstanceNorm3d(6, affine: affine, track_running_stats: track)),
                    2,
                    6,
                    3,
                    4,
                    5
                );
            }

            One(
                $"LayerNorm affine {affine}",
                () => Randomized(nn.LayerNorm([4, 5], elementwise_affine: affine)),
                2,
                3,
                4,
                5
            );
            One($"GroupNorm affine {affine}", () => Randomized(nn.GroupNorm(3, 6, affine: affine)), 2, 6, 5, 4);
        }

        One("LocalResponseNorm", () => nn.LocalResponseNorm(3, alpha: 0.1, beta: 0.6, k: 1.5), 2, 7, 4, 5);

        foreach (var ceil in (bool[])[false, true])
        {
            One($"MaxPool1d ceil {ceil}", () => nn.MaxPool1d(3, stride: 2, padding: 1, ceil_mode: ceil), 2, 3, 12);
            One($"MaxPool2d ceil {ceil}", () => nn.MaxPool2d(3, stride: 2, padding: 1, ceil_mode: ceil), 2, 3, 12, 11);
            One($"MaxPool3d ceil {ceil}", () => nn.MaxPool3d(3, stride: 2, padding: 1, ceil_mode: ceil), 2, 3, 8, 7, 6);
            One($"LPPool1d ceil {ceil}", () => nn.LPPool1d(2, 3, stride: 2, ceil_mode: ceil), 2, 3, 12);
            One($"LPPool2d ceil {ceil}", () => nn.LPPool2d(3, 2, stride: 2, ceil_mode: ceil), 2, 3, 9, 8);
            foreach (var include in (bool[])[false, true])
            {
                One(
                    $"AvgPool1d ceil {ceil} include {include}",
                    () => nn.AvgPool1d(3, stride: 2, padding: 1, ceil_mode: ceil, count_include_pad: include),
                    2,
                    3,
                    12
                );
                One(
                    $"AvgPool2d ceil {ceil} include {include}",
                    () => nn.AvgPool2d(3, stride: 2, padding: 1, ceil_mode: ceil, count_include_pad: include),
                    2,
                    3,
                    12,
                    11
                );
                One(
                    $"AvgPool3d ceil {ceil} include {include}",
                    () => nn.AvgPool3d(3, stride: 2, padding: 1, ceil_mode: ceil, count_include_pad: include),
                    2,
                    3,
                    8,
                    7,
                    6
                );
            }
        }

        One("MaxPool2d dilation", () => nn.MaxPool2d(2, stride: 1, dilation: 2), 2, 3, 8, 7);
        foreach (var size in (long[])[1, 3])
        {
            One($"AdaptiveAvgPool1d {size}", () => nn.AdaptiveAvgPool1d(size), 2, 3, 10);
            One($"AdaptiveAvgPool2d {size}", () => nn.AdaptiveAvgPool2d([size, size]), 2, 3, 10, 7);
            One($"AdaptiveAvgPool3d {size}", () => nn.AdaptiveAvgPool3d([size, size, size]), 2, 3, 5, 6, 7);
            One($"AdaptiveMaxPool1d {size}", () => nn.AdaptiveMaxPool1d(size), 2, 3, 10);
            One($"AdaptiveMaxPool2d {size}", () => nn.AdaptiveMaxPool2d([size, size]), 2, 3, 10, 7);
        }

        One("MaxUnpool1d", () => new UnpoolNet(1), 2, 3, 8);
        One("MaxUnpool2d", () => new UnpoolNet(2), 2, 3, 8, 6);
        One("MaxUnpool3d", () => new UnpoolNet(3), 2, 3, 4, 6, 8);

        One("ConstantPad1d", () => nn.ConstantPad1d((1, 2), 0.5), 2, 3, 5);
        One("ConstantPad2d", () => nn.ConstantPad2d((1, 2, 3, 0), 0.5), 2, 3, 5, 4);
        One("ConstantPad3d", () => nn.ConstantPad3d((1, 2, 3, 0, 1, 1), 0.5), 2, 3, 5, 4, 3);
        One("ZeroPad2d", () => nn.ZeroPad2d((1, 2, 3, 0)), 2, 3, 5, 4);
        One("ReflectionPad1d", () => nn.ReflectionPad1d((1, 2)), 2, 3, 5);
        One("ReflectionPad2d", () => nn.ReflectionPad2d((1, 2, 3, 0)), 2, 3, 5, 4);
        One("ReflectionPad3d", () => nn.ReflectionPad3d((1, 2, 3, 0, 1, 1)), 2, 3, 5, 4, 3);
        One("ReplicationPad1d", () => nn.ReplicationPad1d((1, 2)), 2, 3, 5);
        One("ReplicationPad2d", () => nn.ReplicationPad2d((1, 2, 3, 0)), 2, 3, 5, 4);
        One("ReplicationPad3d", () => nn.ReplicationPad3d((1, 2, 3, 0, 1, 1)), 2, 3, 5, 4, 3);

        One("Dropout", () => nn.Dropout(0.5), 2, 6);
        One("Dropout in place", () => nn.Dropout(0.5, inplace: true), 2, 6);
        One("Dropout1d", () => nn.Dropout1d(0.5), 2, 6, 5);
        One("Dropout2d", () => nn.Dropout2d(0.5), 2, 6, 5, 4);
        One("Dropout3d", () => nn.Dropout3d(0.5), 2, 6, 5, 4, 3);
        One("AlphaDropout", () => nn.AlphaDropout(0.5), 2, 6);
        One("FeatureAlphaDropout", () => nn.FeatureAlphaDropout(0.5), 2, 6, 5);
        One("Identity", () => nn.Identity(), 2, 6);

        One("Flatten", () => nn.Flatten(), 2, 3, 4, 5);
        One("Flatten 2 to 3", () => nn.Flatten(2, 3), 2, 3, 4, 5);
        One("Unflatten", () => nn.Unflatten(1, [2, 3]), 2, 6, 5);
        One("Unfold", () => nn.Unfold((2, 3), dilation: (1, 2), padding: (1, 0), stride: (2, 1)), 2, 3, 7, 9);
        One("Fold", () => nn.Fold((7, 9), (2, 3), dilation: (1, 2), padding: (1, 0), stride: (2, 1)), 2, 18, 20);
        One("PixelShuffle", () => nn.PixelShuffle(2), 2, 8, 3, 4);
        One("PixelUnshuffle", () => nn.PixelUnshuffle(2), 2, 3, 4, 6);
        One("ChannelShuffle", () => nn.ChannelShuffle(3), 2, 6, 3, 4);
        One("Upsample nearest", () => nn.Upsample(scale_factor: [2, 2]), 2, 3, 4, 5);
        One("Upsample nearest size", () => nn.Upsample(size: [7, 9]), 2, 3, 4, 5);
        foreach (var align in (bool[])[false, true])
        {
            One(
                $"Upsample bilinear align {align}",
                () => nn.Upsample(scale_factor: [2, 3], mode: UpsampleMode.Bilinear, align_corners: align),
                2,
                3,
                4,
                5
            );
            One(
                $"Upsample bilinear size align {align}",
                () => nn.Upsample(size: [7, 3], mode: UpsampleMode.Bilinear, align_corners: align),
                2,
                3,
                4,
                5
            );
            One(
                $"Upsample bicubic align {align}",
                () => nn.Upsample(scale_factor: [2, 2], mode: UpsampleMode.Bicubic, align_corners: align),
                2,
                3,
                6,
                5
            );
            One(
                $"Upsample linear align {align}",
                () => nn.Upsample(scale_factor: [2], mode: UpsampleMode.Linear, align_corners: align),
                2,
                3,
                6
            );
            One(
                $"Upsample trilinear align {align}",
                () => nn.Upsample(scale_factor: [2, 2, 2], mode: UpsampleMode.Trilinear, align_corners: align),
                2,
                3,
                3,
                4,
                2
            );
        }

        Add("CosineSimilarity", () => nn.CosineSimilarity(1), () => [randn(2, 6, 4), randn(2, 6, 4)]);
        Add("PairwiseDistance", () => nn.PairwiseDistance(2, keepdim: true), () => [randn(2, 6), randn(2, 6)]);
        Add("PairwiseDistance p 3", () => nn.PairwiseDistance(3), () => [randn(2, 6), randn(2, 6)]);
        Add("Embedding", () => nn.Embedding(10, 4), () => [randint(0, 10, [2, 5], ScalarType.Int64)]);
        foreach (var mode in (EmbeddingBagMode[])[EmbeddingBagMode.Sum, EmbeddingBagMode.Mean, EmbeddingBagMode.Max])
            Add(
                $"EmbeddingBag {mode}",
                () => nn.EmbeddingBag(10, 4, mode: mode),
                () => [randint(0, 10, [2, 5], ScalarType.Int64)]
            );

        foreach (var batchFirst in (bool[])[false, true])
        {
            foreach (
                var (layers, both, bias) in ((int, bool, bool)[])[(1, false, true), (2, true, true), (2, false, false)]
            )
            {
                var text = $"batch first {batchFirst} layers {layers} bidirectional {both} bias {bias}";
                Func<long, long[][]> shapes = batch => [batchFirst ? [batch, 5, 4] : [5, batch, 4]];
                Func<Tensor[]> example = () => [batchFirst ? randn(2, 5, 4) : randn(5, 2, 4)];
                Add(
                    $"LSTM {text}",
                    () => new Recurrent(nn.LSTM(4, 6, layers, bias, batchFirst, bidirectional: both)),
                    example,
                    shapes
                );
                Add(
                    $"GRU {text}",
                    () => new Recurrent(nn.GRU(4, 6, layers, bias, batchFirst, bidirectional: both)),
                    example,
                    shapes
                );
                Add(
                    $"RNN tanh {text}",
                    () =>
                        new Recurrent(
                            nn.RNN(4, 6, layers, nn.NonLinearities.Tanh, bias, batchFirst, bidirectional: both)
                        ),
                    example,
                    shapes
                );
                Add(
                    $"RNN relu {text}",
                    () =>
                        new Recurrent(
                            nn.RNN(4, 6, layers, nn.NonLinearities.ReLU, bias, batchFirst, bidirectional: both)
                        ),
                    example,
                    shapes
                );
            }
        }

        Add(
            "LSTM with states",
            () => new LstmWithStates(),
            () => [randn(2, 5, 4), randn(2, 2, 6), randn(2, 2, 6)],
            batch =>
                [
                    [batch, 5, 4],
                    [2, batch, 6],
                    [2, batch, 6],
                ]
        );
        Add(
            "GRU with state",
            () => new GruWithState(),
            () => [randn(2, 5, 4), randn(1, 2, 6)],
            batch =>
                [
                    [batch, 5, 4],
                    [1, batch, 6],
                ]
        );
        foreach (var bias in (bool[])[false, true])
        {
            Add($"LSTMCell bias {bias}", () => new LstmCellNet(bias), () => [randn(2, 4), randn(2, 6), randn(2, 6)]);
            Add($"GRUCell bias {bias}", () => nn.GRUCell(4, 6, bias), () => [randn(2, 4), randn(2, 6)]);
            Add(
                $"RNNCell relu bias {bias}",
                () => nn.RNNCell(4, 6, nn.NonLinearities.ReLU, bias),
                () => [randn(2, 4), randn(2, 6)]
            );
        }

        One("GRUCell without state", () => nn.GRUCell(4, 6), 2, 4);
        One("RNNCell tanh without state", () => nn.RNNCell(4, 6), 2, 4);

        Func<long, long[][]> sequence = batch =>
            [
                [5, batch, 12],
            ];
        Func<long, long[][]> pair = batch =>
            [
                [5, batch, 12],
                [7, batch, 12],
            ];
        foreach (var heads in (long[])[1, 3])
        {
            Add($"MultiheadAttention heads {heads}", () => new AttentionNet(heads), () => [randn(5, 2, 12)], sequence);
            foreach (var kind in (nn.Activations[])[nn.Activations.ReLU, nn.Activations.GELU])
            {
                Add(
                    $"TransformerEncoderLayer {heads} {kind}",
                    () => nn.TransformerEncoderLayer(12, heads, 16, 0.1, kind),
                    () => [randn(5, 2, 12)],
                    sequence
                );
                Add(
                    $"TransformerEncoder {heads} {kind}",
                    () => new EncoderNet(heads, kind),
                    () => [randn(5, 2, 12)],
                    sequence
                );
            }
        }

        Add(
            "MultiheadAttention kdim vdim",
            () => new CrossAttention(),
            () => [randn(5, 2, 12), randn(7, 2, 6), randn(7, 2, 6)],
            batch =>
                [
                    [5, batch, 12],
                    [7, batch, 6],
                    [7, batch, 6],
                ]
        );
        Add("MultiheadAttention masks", () => new MaskedAttention(), () => [randn(5, 2, 12)], sequence);
        Add("MultiheadAttention bias kv", () => new BiasedAttention(), () => [randn(5, 2, 12)], sequence);
        foreach (var masks in (int[])[1, 2])
            Add(
                $"TransformerEncoderLayer masks {masks}",
                () => new MaskedEncoderLayer(masks),
                () => [randn(5, 2, 12)],
                sequence
            );
        Add("TransformerEncoder mask", () => new MaskedEncoder(), () => [randn(5, 2, 12)], sequence);
        Add("TransformerDecoder masks", () => new MaskedDecoder(), () => [randn(5, 2, 12), randn(7, 2, 12)], pair);
        Add("Transformer masks", () => new MaskedTransformer(), () => [randn(5, 2, 12), randn(7, 2, 12)], pair);
        Add(
            "TransformerDecoderLayer",
            () => new DecoderNet(nn.TransformerDecoderLayer(12, 3, 16, 0.1)),
            () => [randn(5, 2, 12), randn(7, 2, 12)],
            pair
        );
        Add(
            "TransformerDecoder",
            () =>
                new DecoderNet(
                    nn.TransformerDecoder(nn.TransformerDecoderLayer(12, 3, 16, 0.1, nn.Activations.GELU), 2)
                ),
            () => [randn(5, 2, 12), randn(7, 2, 12)],
            pair
        );
        Add(
            "Transformer",
            () => nn.Transformer(12, 3, 2, 1, 16, 0.1),
            () => [randn(7, 2, 12), randn(5, 2, 12)],
            batch =>
                [
                    [7, batch, 12],
                    [5, batch, 12],
                ]
        );
    }

    public static TheoryData<string> Names => [.. All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Exports_and_agrees(string name)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(11);
        var (make, example, shapes) = All[name];
        using var module = make();
        var examples = example();
        var options = shapes is null ? null : new ExportOptions { FreeAxes = Axes(module, examples, shapes) };
        Exported.Check(module, examples, options, shapes: shapes);
    }

    [Fact]
    public void Every_row_of_the_table_has_a_test()
    {
        var tested = All
            .Values.SelectMany(item =>
            {
                using var module = item.Make();
                return module.modules().Append(module).Select(inner => inner.GetType()).ToArray();
            })
            .Concat(Generators.ModuleCases.All.Select(option => option.Factory.ReturnType))
            .ToHashSet();
        var untested = OperatorTable
            .Default.ModuleRows.Keys.Where(type => !tested.Contains(type))
            .Select(type => type.Name)
            .ToArray();
        Assert.Empty(untested);
        Assert.InRange(OperatorTable.Default.ModuleRows.Count, 98, 200);
    }

    /// <summary>Frees the axis whose size differs between the shapes, which is the batch axis in any
    /// position.</summary>
    private static Dictionary<string, int[]> Axes(nn.Module module, Tensor[] examples, Func<long, long[][]> shapes)
    {
        var (one, two) = (shapes(1), shapes(2));
        var names = Capture.ForwardPlan.Find(module, examples.Length).Names;
        return Enumerable
            .Range(0, examples.Length)
            .ToDictionary(
                i => names[i],
                i => Enumerable.Range(0, one[i].Length).Where(axis => one[i][axis] != two[i][axis]).ToArray()
            );
    }

    private static IEnumerable<(string, Func<nn.Module>)> Activations() =>
        [
            ("ReLU", () => nn.ReLU()),
            ("ReLU in place", () => nn.ReLU(inplace: true)),
            ("ReLU6", () => nn.ReLU6()),
            ("Sigmoid", () => nn.Sigmoid()),
            ("Tanh", () => nn.Tanh()),
            ("LeakyReLU", () => nn.LeakyReLU(0.2)),
            ("RReLU", () => nn.RReLU(0.1, 0.4)),
            ("ELU", () => nn.ELU(0.7)),
            ("CELU", () => nn.CELU(0.7)),
            ("SELU", () => nn.SELU()),
            ("GELU", () => nn.GELU()),
            ("SiLU", () => nn.SiLU()),
            ("Mish", () => nn.Mish()),
            ("Hardswish", () => nn.Hardswish()),
            ("Hardsigmoid", () => nn.Hardsigmoid()),
            ("Hardtanh", () => nn.Hardtanh(-0.5, 0.8, inplace: true)),
            ("Hardshrink", () => nn.Hardshrink(0.3)),
            ("Softshrink", () => nn.Softshrink(0.3)),
            ("Softsign", () => nn.Softsign()),
            ("Tanhshrink", () => nn.Tanhshrink()),
            ("LogSigmoid", () => nn.LogSigmoid()),
            ("Softplus", () => nn.Softplus(2, 0.5)),
            ("Softplus default", () => nn.Softplus()),
            ("Threshold", () => nn.Threshold(0.1, -3)),
            ("Softmax", () => nn.Softmax(1)),
            ("LogSoftmax", () => nn.LogSoftmax(1)),
            ("Softmin", () => nn.Softmin(-1)),
            ("ELU in place", () => nn.ELU(0.7, inplace: true)),
            ("SiLU in place", () => nn.SiLU(inplace: true)),
        ];

    private static T Randomized<T>(T module)
        where T : nn.Module
    {
        using var noGrad = no_grad();
        foreach (var (_, parameter) in module.named_parameters())
            parameter.copy_(rand_like(parameter) + 0.25f);
        return module;
    }

    /// <summary>Non-trivial statistics: an eps, mean or variance that is left out shows.</summary>
    private static T Normed<T>(T module)
        where T : NormBase
    {
        Randomized(module);
        using var noGrad = no_grad();
        module.running_mean?.copy_(randn_like(module.running_mean));
        module.running_var?.copy_(rand_like(module.running_var) + 0.1f);
        return module;
    }
}

internal sealed class UnpoolNet : nn.Module<Tensor, Tensor>
{
    private readonly int spatial;
    private readonly nn.Module<Tensor, Tensor, long[]?, Tensor> unpool;

    public UnpoolNet(int spatial)
        : base(nameof(UnpoolNet))
    {
        this.spatial = spatial;
        unpool = spatial switch
        {
            1 => nn.MaxUnpool1d(2),
            2 => nn.MaxUnpool2d(2),
            _ => nn.MaxUnpool3d(2),
        };
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        var (values, indices) = spatial switch
        {
            1 => nn.functional.max_pool1d_with_indices(input, 2),
            2 => nn.functional.max_pool2d_with_indices(input, [2, 2]),
            _ => nn.functional.max_pool3d_with_indices(input, [2, 2, 2]),
        };
        return unpool.call(values, indices, null);
    }
}

internal sealed class Recurrent : nn.Module<Tensor, Tensor[]>
{
    private readonly nn.Module inner;

    public Recurrent(nn.Module inner)
        : base(nameof(Recurrent))
    {
        this.inner = inner;
        RegisterComponents();
    }

    public override Tensor[] forward(Tensor input)
    {
        if (inner is LSTM lstm)
        {
            var (y, h, c) = lstm.call(input, null);
            return [y, h, c];
        }

        var (output, state) = inner is GRU gru ? gru.call(input, null!) : ((RNN)inner).call(input, null);
        return [output, state];
    }
}

internal sealed class LstmWithStates : nn.Module<Tensor, Tensor, Tensor, (Tensor, Tensor)>
{
    private readonly LSTM lstm = nn.LSTM(4, 6, batchFirst: true, bidirectional: true);

    public LstmWithStates()
        : base(nameof(LstmWithStates)) => RegisterComponents();

    public override (Tensor, Tensor) forward(Tensor input, Tensor h, Tensor c)
    {
        var (output, last, _) = lstm.call(input, (h, c));
        return (output, last);
    }
}

internal sealed class GruWithState : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly GRU gru = nn.GRU(4, 6, batchFirst: true);

    public GruWithState()
        : base(nameof(GruWithState)) => RegisterComponents();

    public override Tensor forward(Tensor input, Tensor state) => gru.call(input, state).Item1;
}

internal sealed class LstmCellNet : nn.Module<Tensor, Tensor, Tensor, (Tensor, Tensor)>
{
    private readonly LSTMCell cell;

    public LstmCellNet(bool bias)
        : base(nameof(LstmCellNet))
    {
        cell = nn.LSTMCell(4, 6, bias);
        RegisterComponents();
    }

    public override (Tensor, Tensor) forward(Tensor input, Tensor h, Tensor c) => cell.call(input, (h, c));
}

internal sealed class AttentionNet : nn.Module<Tensor, (Tensor, Tensor)>
{
    private readonly MultiheadAttention attention;

    public AttentionNet(long heads)
        : base(nameof(AttentionNet))
    {
        attention = nn.MultiheadAttention(12, heads);
        RegisterComponents();
    }

    public override (Tensor, Tensor) forward(Tensor x)
    {
        var (output, weights) = attention.call(x, x, x, null, true, null);
        return (output, weights);
    }
}

internal sealed class CrossAttention : nn.Module<Tensor, Tensor, Tensor, Tensor>
{
    private readonly MultiheadAttention attention = nn.MultiheadAttention(12, 4, kdim: 6, vdim: 6);

    public CrossAttention()
        : base(nameof(CrossAttention)) => RegisterComponents();

    public override Tensor forward(Tensor q, Tensor k, Tensor v) => attention.call(q, k, v, null, false, null).Item1;
}

internal sealed class MaskedAttention : nn.Module<Tensor, Tensor>
{
    private readonly MultiheadAttention attention = nn.MultiheadAttention(12, 2);

    public MaskedAttention()
        : base(nameof(MaskedAttention)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        var mask = ones(x.size(0), x.size(0)).triu(1).to(ScalarType.Bool);
        return attention.call(x, x, x, null, false, mask).Item1;
    }
}

internal sealed class BiasedAttention : nn.Module<Tensor, Tensor>
{
    private readonly MultiheadAttention attention = nn.MultiheadAttention(12, 2, add_bias_kv: true);

    public BiasedAttention()
        : base(nameof(BiasedAttention)) => RegisterComponents();

    public override Tensor forward(Tensor x) => attention.call(x, x, x, null, false, null).Item1;
}

internal sealed class EncoderNet : nn.Module<Tensor, Tensor>
{
    private readonly TransformerEncoder encoder;

    public EncoderNet(long heads, nn.Activations activation)
        : base(nameof(EncoderNet))
    {
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(12, heads, 16, 0.1, activation), 2);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => encoder.call(x, null!, null!);
}

/// <summary>Masks that TorchSharp takes only by <c>call</c>: no <c>forward</c> of the layer has them.</summary>
internal sealed class MaskedEncoderLayer : nn.Module<Tensor, Tensor>
{
    private readonly TransformerEncoderLayer layer = nn.TransformerEncoderLayer(12, 2, 16, 0.1);
    private readonly int masks;

    public MaskedEncoderLayer(int masks)
        : base(nameof(MaskedEncoderLayer))
    {
        this.masks = masks;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        var mask = Masks.Causal(x.size(0));
        return masks == 1 ? layer.call(x, mask) : layer.call(x, mask, Masks.LastHidden(x));
    }
}

internal sealed class MaskedEncoder : nn.Module<Tensor, Tensor>
{
    private readonly TransformerEncoder encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 2, 16, 0.1), 2);

    public MaskedEncoder()
        : base(nameof(MaskedEncoder)) => RegisterComponents();

    public override Tensor forward(Tensor x) => encoder.call(x, Masks.Causal(x.size(0)));
}

internal sealed class MaskedDecoder : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly TransformerDecoder decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(12, 2, 16, 0.1), 2);

    public MaskedDecoder()
        : base(nameof(MaskedDecoder)) => RegisterComponents();

    public override Tensor forward(Tensor target, Tensor memory) =>
        decoder.call(target, memory, Masks.Causal(target.size(0)));
}

internal sealed class MaskedTransformer : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly Transformer transformer = nn.Transformer(12, 2, 1, 1, 16, 0.1);

    public MaskedTransformer()
        : base(nameof(MaskedTransformer)) => RegisterComponents();

    public override Tensor forward(Tensor source, Tensor target) =>
        transformer.call(
            source,
            target,
            Masks.Causal(source.size(0)),
            Masks.Causal(target.size(0)),
            null!,
            Masks.LastHidden(source),
            null!,
            Masks.LastHidden(source)
        );
}

internal static class Masks
{
    /// <summary>[size, size], minus infinity above the diagonal.</summary>
    public static Tensor Causal(long size) => full([size, size], float.NegativeInfinity).triu(1);

    /// <summary>[N, S], true for the last step of an input of [S, N, width].</summary>
    public static Tensor LastHidden(Tensor input) =>
        arange(input.size(0)).eq(input.size(0) - 1).unsqueeze(0).expand(input.size(1), input.size(0));
}

internal sealed class DecoderNet : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> decoder;

    public DecoderNet(nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> decoder)
        : base(nameof(DecoderNet))
    {
        this.decoder = decoder;
        RegisterComponents();
    }

    public override Tensor forward(Tensor target, Tensor memory) =>
        decoder.call(target, memory, null!, null!, null!, null!);
}
