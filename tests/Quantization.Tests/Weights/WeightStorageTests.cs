using System.Runtime.InteropServices;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests.Weights;

public class WeightStorageTests
{
    [Theory]
    [InlineData(QuantizationMode.WeightsInt8, "Mul")]
    [InlineData(QuantizationMode.WeightsFloat16, "Cast")]
    public void A_weight_keeps_its_name_and_becomes_a_computed_value(QuantizationMode mode, string operation)
    {
        var model = Model();
        Assert.Equal(["w"], WeightStorage.Apply(model, mode));
        Assert.DoesNotContain("w", model.Initializers.Keys);
        Assert.Equal(operation, model.Producer("w")?.OpType);
        Assert.Equal("MatMul", model.Nodes[^1].OpType);
    }

    [Fact]
    public void Small_tensors_and_numbers_that_do_not_fit_stay_float32()
    {
        var small = new SmallModel().Input("x", 8).Weight("w", 8, 8).Node("MatMul", ["x", "w"], "y").Output("y").Graph;
        Assert.Empty(WeightStorage.Apply(small, QuantizationMode.WeightsInt8));
        var large = Model();
        var values = large.Initializers["w"].Floats();
        values[5] = 70_000; // beyond float16
        large.Initializers["w"] = Initializer.Of("w", values, 32, 32);
        Assert.Empty(WeightStorage.Apply(large, QuantizationMode.WeightsFloat16));
        values[5] = float.NaN;
        large.Initializers["w"] = Initializer.Of("w", values, 32, 32);
        Assert.Empty(WeightStorage.Apply(large, QuantizationMode.WeightsInt8));
    }

    public static TheoryData<string, long[], (string Name, object Value)[], int?> Layers =>
        new()
        {
            { "Conv", [8, 4, 3, 3], [], 0 },
            { "ConvTranspose", [4, 8, 3, 3], [], 1 },
            { "Gemm", [16, 32], [], 1 },
            { "Gemm", [16, 32], [("transB", 1L)], 0 },
            { "MatMul", [2, 8, 32], [], 2 },
            { "LSTM", [1, 32, 8], [("hidden_size", 8L)], 1 },
            { "GRU", [1, 24, 12], [("hidden_size", 8L)], 1 },
            { "RNN", [1, 8, 32], [("hidden_size", 8L)], 1 },
            // No layer's weight, and a tensor of one axis.
            { "Add", [16, 32], [], null },
            { "MatMul", [256], [], null },
        };

    /// <summary>One scale per output channel, whose largest magnitude is 127; every weight comes back within half of
    /// it.</summary>
    [Theory]
    [MemberData(nameof(Layers))]
    public void Output_channels_have_a_scale_each(
        string type,
        long[] dims,
        (string Name, object Value)[] attributes,
        int? axis
    )
    {
        var model = new SmallModel()
            .Input("x", 16)
            .Weight("w", dims)
            .Node(type, ["x", "w"], "y", attributes)
            .Output("y")
            .Graph;
        var weights = model.Initializers["w"].Floats();
        var stored = WeightStorage.Apply(model, QuantizationMode.WeightsInt8);
        if (axis is not { } channels)
        {
            Assert.Empty(stored);
            Assert.Equal(weights, model.Initializers["w"].Floats());
            return;
        }

        Assert.Equal(["w"], stored);
        Initializer integers = model.Initializers["w:int8"],
            scale = model.Initializers["w:scale"];
        Assert.Equal(dims, integers.Dims);
        Assert.Equal(dims.Select((size, at) => at == channels ? size : 1), scale.Dims);
        Assert.Equal(["Cast", "Mul", type], model.Nodes.Select(node => node.OpType));
        Assert.Equal(["w:int8"], model.Nodes[0].Inputs);
        Assert.Equal(["w:unscaled"], model.Nodes[0].Outputs);
        Assert.Equal(["w:unscaled", "w:scale"], model.Nodes[1].Inputs);
        Assert.Equal(["w"], model.Nodes[1].Outputs);
        Assert.Equal((long)ElementType.Float32, model.Nodes[0].Attributes["to"]);
        Assert.Equal(["w:unscaled:cast", "w:scaled"], model.Nodes.Take(2).Select(node => node.Name));
        var numbers = MemoryMarshal.Cast<byte, sbyte>(integers.Data.Span).ToArray();
        var scales = scale.Floats();
        var inner = dims.Skip(channels + 1).Aggregate(1L, (product, size) => product * size);
        for (var channel = 0; channel < scales.Length; channel++)
        {
            int[] mine = [.. Enumerable.Range(0, weights.Length).Where(at => at / inner % scales.Length == channel)];
            Assert.Equal(127, mine.Max(at => Math.Abs((int)numbers[at])));
            Assert.All(mine, at =>
                Assert.InRange(Math.Abs((numbers[at] * scales[channel]) - weights[at]), 0, scales[channel] * 0.501)
            );
        }
    }

    [Fact]
    public void Halves_hold_what_fits_exactly_and_stand_in_a_constant()
    {
        var model = Model();
        var values = model.Initializers["w"].Floats();
        (values[0], values[1], values[2]) = (65504, -65504, 0.1f);
        model.Initializers["w"] = Initializer.Of("w", values, 32, 32);
        Assert.Equal(["w"], WeightStorage.Apply(model, QuantizationMode.WeightsFloat16));
        Assert.Equal(["Constant", "Cast", "MatMul"], model.Nodes.Select(node => node.OpType));
        OnnxNode constant = model.Nodes[0],
            cast = model.Nodes[1];
        var tensor = Assert.IsType<Initializer>(constant.Attributes["value"]);
        Assert.Equal("", tensor.Name);
        Assert.Equal(ElementType.Float16, tensor.Type);
        Assert.Equal([32, 32], tensor.Dims);
        Assert.Equal(values.Select(value => (Half)value), MemoryMarshal.Cast<byte, Half>(tensor.Data.Span).ToArray());
        Assert.Equal(["w:float16"], constant.Outputs);
        Assert.Equal(["w:float16"], cast.Inputs);
        Assert.Equal(["w"], cast.Outputs);
        Assert.Equal((long)ElementType.Float32, cast.Attributes["to"]);
        values[0] = -65505;
        var beyond = Model();
        beyond.Initializers["w"] = Initializer.Of("w", values, 32, 32);
        Assert.Empty(WeightStorage.Apply(beyond, QuantizationMode.WeightsFloat16));
    }

    /// <summary>Only float32 weights of at least 256 elements are stored smaller, unless they are an output of the
    /// model.</summary>
    [Fact]
    public void What_is_too_small_or_given_back_or_no_float32_stays()
    {
        Assert.Equal(["w"], WeightStorage.Apply(Product(8, 32), QuantizationMode.WeightsInt8));
        Assert.Empty(WeightStorage.Apply(Product(5, 51), QuantizationMode.WeightsInt8));
        var given = Product(16, 32);
        given.Outputs.Add(new ValueInfo("w", ElementType.Float32, [16L, 32L]));
        Assert.Empty(WeightStorage.Apply(given, QuantizationMode.WeightsInt8));
        var doubles = Product(16, 32);
        doubles.Initializers["w"] = Initializer.Of<double>("w", ElementType.Float64, new double[512], [16, 32]);
        Assert.Empty(WeightStorage.Apply(doubles, QuantizationMode.WeightsInt8));

        static OnnxGraph Product(params long[] dims) =>
            new SmallModel().Input("x", dims[0]).Weight("w", dims).Node("MatMul", ["x", "w"], "y").Output("y").Graph;
    }

    /// <summary>Older files name their tensors among the inputs; a computed value is none.</summary>
    [Fact]
    public void A_stored_weight_is_no_input_any_more()
    {
        var model = Model();
        model.Inputs.Add(new ValueInfo("w", ElementType.Float32, [32L, 32L]));
        model.Add(Initializer.Of("unread", [1f], 1));
        WeightStorage.Apply(model, QuantizationMode.WeightsInt8);
        Assert.Equal(["x"], model.Inputs.Select(input => input.Name));
        Assert.DoesNotContain("unread", model.Initializers.Keys);
    }

    private static OnnxGraph Model() =>
        new SmallModel().Input("x", 32).Weight("w", 32, 32).Node("MatMul", ["x", "w"], "y").Output("y").Graph;
}
