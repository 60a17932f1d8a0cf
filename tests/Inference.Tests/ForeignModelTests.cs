using Google.Protobuf;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Onnx;
using TorchBridge.Onnx.Proto;
using static TorchBridge.Onnx.Proto.TensorProto.Types;

namespace TorchBridge.Inference.Tests;

/// <summary>Models made by others, compared with stock ApplyOnnxModel row by row.</summary>
public sealed class ForeignModelTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly MLContext context = new(seed: 1);

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Unsigned_integers_of_every_size_are_scored()
    {
        Check<ushort>(DataType.Uint16, [1, 2, 65535]);
        Check<uint>(DataType.Uint32, [1, 2, uint.MaxValue]);
        Check<ulong>(DataType.Uint64, [1, 2, ulong.MaxValue]);
        Check<sbyte>(DataType.Int8, [1, -2, -128]);
        Check<short>(DataType.Int16, [1, -2, short.MinValue]);
        Check<byte>(DataType.Uint8, [1, 2, 255]);
        Check<double>(DataType.Double, [1, -2, 1e300]);
    }

    /// <summary>A file may declare a number and compute a vector: ONNX Runtime only warns of it.</summary>
    [Fact]
    public void An_output_that_is_larger_than_declared_is_a_fault_of_the_file()
    {
        var path = TestModels.Write(folder["m.onnx"], TestModels.One("Softmax", DataType.Float, ["N", 3], []));
        var data = context.Data.LoadFromEnumerable(new[] { new ThreeNumbers { x = [1, 2, 3] } });
        using var ours = context.Transforms.ScoreOnnx(path, ["x"], ["y"]).Fit(data);
        var error = Assert.Throws<InvalidDataException>(() => ours.Transform(data).GetColumn<float>("y").ToArray());
        Assert.Contains("returns 3", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Text_is_scored_in_batches()
    {
        var path = TestModels.Write(folder["m.onnx"], TestModels.One("Identity", DataType.String, ["N", 2], ["N", 2]));
        var data = context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 50).Select(i => new TextRow { x = [$"é {i}", ""] }).ToArray()
        );
        using var ours = context.Transforms.ScoreOnnx(path, ["x"], ["y"]).Fit(data);
        Assert.Null(ours.RowByRow);
        Assert.Equal(
            Enumerable.Range(0, 50).Select(i => $"é {i}"),
            Read<TextOut>(ours.Transform(data)).Select(row => row.y[0])
        );
    }

    [Fact]
    public void A_batch_that_is_fixed_to_one_is_scored_row_by_row()
    {
        var path = TestModels.Write(folder["m.onnx"], TestModels.FixedBatch());
        Same(path, "fixed to 1");
        // Also out of a zip, and by a prediction engine.
        var data = Vectors();
        var stock = context.Transforms.ApplyOnnxModel(["y"], ["x"], path).Fit(data);
        context.Model.Save(stock, data.Schema, folder["m.zip"]);
        var batched = context.Model.Load(folder["m.zip"], out _).Batched();
        Assert.Equal(
            Read<Out>(stock.Transform(data)).Select(row => row.y),
            Read<Out>(batched.Transform(data)).Select(row => row.y)
        );
        using var engine = context.Model.CreatePredictionEngine<Vector, Out>(batched);
        Assert.Equal([1f, 0f, 3f], engine.Predict(new Vector { x = [1, -2, 3] }).y);
        stock.Dispose();
    }

    [Fact]
    public void A_size_inside_that_is_fixed_to_one_row_is_found_when_the_model_is_opened()
    {
        var path = TestModels.Write(
            folder["m.onnx"],
            TestModels.Build([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])], model =>
            {
                model.Graph.Initializer.Add(TestModels.Longs("shape", [2], [1, 3]));
                TestModels.Add(model, "Reshape", ["x", "shape"], ["y"]);
            })
        );
        Same(path, "accepts only one row at a time");
    }

    public static TheoryData<string> Mixing => ["softmax", "norm", "sort", "quantize", "count"];

    [Theory]
    [MemberData(nameof(Mixing))]
    public void Rows_that_depend_on_each_other_are_found_and_scored_row_by_row(string kind)
    {
        var path = TestModels.Write(
            folder["m.onnx"],
            TestModels.Build([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])], model =>
            {
                model.Graph.Initializer.Add(TestModels.Longs("axis", [1], [0]));
                switch (kind)
                {
                    case "softmax":
                        TestModels.Add(model, "Softmax", ["x"], ["y"]).Attribute.Add(TestModels.Whole("axis", 0));
                        break;
                    case "norm":
                        TestModels
                            .Add(model, "MeanVarianceNormalization", ["x"], ["y"])
                            .Attribute.Add(
                                new AttributeProto
                                {
                                    Name = "axes",
                                    Ints = { 0, 1 },
                                    Type = AttributeProto.Types.AttributeType.Ints,
                                }
                            );
                        break;
                    case "sort":
                        TestModels.Add(model, "CumSum", ["x", "axis0"], ["y"]);
                        model.Graph.Initializer.Add(TestModels.Longs("axis0", [], [0]));
                        break;
                    case "quantize":
                        TestModels.Add(model, "DynamicQuantizeLinear", ["x"], ["q", "s", "z"]);
                        TestModels.Add(model, "DequantizeLinear", ["q", "s", "z"], ["y"]);
                        break;
                    default:
                        TestModels.Add(model, "Shape", ["x"], ["shape"]);
                        TestModels
                            .Add(model, "Cast", ["shape"], ["sizes"])
                            .Attribute.Add(TestModels.Whole("to", (long)DataType.Float));
                        TestModels.Add(model, "ReduceSum", ["sizes"], ["sum"]);
                        TestModels.Add(model, "Add", ["x", "sum"], ["y"]);
                        break;
                }
            })
        );
        Same(path, "depend on each other");
    }

    [Fact]
    public void An_output_whose_first_axis_is_not_the_batch_is_scored_row_by_row()
    {
        var path = TestModels.Write(
            folder["m.onnx"],
            TestModels.Build([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, [2, "N"])], model =>
            {
                model.Graph.Initializer.Add(TestModels.Floats("w", [3, 2], [1, 2, 3, 4, 5, 6]));
                TestModels.Add(model, "MatMul", ["x", "w"], ["xw"]);
                TestModels.Add(model, "Transpose", ["xw"], ["y"]);
            })
        );
        Same(path, "is not the batch");
    }

    [Fact]
    public void What_made_up_rows_do_not_show_the_data_do()
    {
        // An index into a table of 5 from 100 up: made-up rows are out of range, and say nothing. The batch's mean is
        // taken off.
        var path = TestModels.Write(
            folder["m.onnx"],
            TestModels.Build([("x", DataType.Int64, ["N", 1])], [("y", DataType.Float, ["N", 1])], model =>
            {
                model.Graph.Initializer.Add(TestModels.Longs("hundred", [1], [100]));
                model.Graph.Initializer.Add(TestModels.Longs("axis", [1], [0]));
                model.Graph.Initializer.Add(TestModels.Floats("table", [5], [0, 10, 20, 30, 40]));
                TestModels.Add(model, "Sub", ["x", "hundred"], ["i"]);
                TestModels.Add(model, "Gather", ["table", "i"], ["f"]);
                TestModels.Add(model, "ReduceMax", ["f"], ["most"]);
                TestModels.Add(model, "Sub", ["f", "most"], ["y"]);
            })
        );
        var data = context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 40).Select(i => new Index { x = [100 + (i % 5)] }).ToArray()
        );
        using var ours = context.Transforms.ScoreOnnx(path, ["x"], ["y"]).Fit(data);
        Assert.Null(ours.RowByRow);
        Assert.All(Read<Out>(ours.Transform(data)), row => Assert.Equal([0f], row.y));
        Assert.Contains("depend on each other", ours.RowByRow, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_whose_rows_do_not_depend_on_each_other_is_scored_in_batches()
    {
        var path = TestModels.Write(
            folder["m.onnx"],
            TestModels.One("Softmax", DataType.Float, ["N", 3], ["N", 3], TestModels.Whole("axis", 1))
        );
        Same(path, null);
    }

    [Fact]
    public void Sequences_of_maps_pass_through_as_stock_makes_them_and_cost_nothing_unread()
    {
        var path = TestModels.Write(folder["m.onnx"], ZipMap());
        var data = Vectors();
        using var stock = context.Transforms.ApplyOnnxModel(["label", "maps"], ["x"], path).Fit(data);
        using var ours = context.Transforms.ScoreOnnx(path, ["x"], ["label", "maps"], batchSize: 7).Fit(data);
        Assert.Null(ours.RowByRow);
        Assert.Equal(
            stock.GetOutputSchema(data.Schema).Select(column => (column.Name, column.Type)),
            ours.GetOutputSchema(data.Schema).Select(column => (column.Name, column.Type))
        );
        var expected = Read<Mapped>(stock.Transform(data));
        var actual = Read<Mapped>(ours.Transform(data));
        Assert.Equal(expected.Select(row => row.label.Single()), actual.Select(row => row.label.Single()));
        Assert.Equal(
            expected.Select(row => string.Join(" ", row.maps!.Single())),
            actual.Select(row => string.Join(" ", row.maps!.Single()))
        );
        Assert.Equal(
            expected.Select(row => row.label.Single()),
            Read<Labelled>(ours.Transform(data)).Select(row => row.label.Single())
        );
        using var engine = context.Model.CreatePredictionEngine<Vector, Mapped>(ours);
        var one = engine.Predict(new Vector { x = [1, -2, 3] });
        Assert.Equal(3, one.maps!.Single().Count);
        Assert.Equal(2, one.label.Single());
        // Out of a zip, and only the label is asked for.
        context.Model.Save(ours, data.Schema, folder["m.zip"]);
        var batched = context.Model.Load(folder["m.zip"], out _).Batched();
        Assert.Equal(
            expected.Select(row => row.label.Single()),
            Read<Labelled>(batched.Transform(data)).Select(row => row.label.Single())
        );
    }

    [Fact]
    public void External_data_are_read_and_saved_with_the_model()
    {
        var model = ModelProto.Parser.ParseFrom(
            TestModels.Build([("x", DataType.Float, ["N", 3])], [("y", DataType.Float, ["N", 3])], proto =>
            {
                proto.Graph.Initializer.Add(TestModels.Floats("w", [3], [2, 3, 4]));
                TestModels.Add(proto, "Mul", ["x", "w"], ["y"]);
            })
        );
        var tensor = model.Graph.Initializer[0];
        File.WriteAllBytes(folder["m.data"], tensor.RawData.ToByteArray());
        tensor.RawData = ByteString.Empty;
        tensor.DataLocation = DataLocation.External;
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "m.data" });
        File.WriteAllBytes(folder["m.onnx"], model.ToByteArray());
        var data = Vectors();
        using var ours = context.Transforms.ScoreOnnx(folder["m.onnx"], ["x"], ["y"]).Fit(data);
        Assert.Null(ours.RowByRow);
        Assert.Equal([3f, -6f, 4f], Read<Out>(ours.Transform(data))[1].y);
        context.Model.Save(ours, data.Schema, folder["m.zip"]);
        File.Delete(folder["m.data"]);
        Assert.Equal([3f, -6f, 4f], Read<Out>(context.Model.Load(folder["m.zip"], out _).Transform(data))[1].y);
        Assert.Contains(
            "m.data",
            Assert
                .Throws<FileNotFoundException>(() => context.Transforms.ScoreOnnx(folder["m.onnx"], ["x"], ["y"]))
                .Message,
            StringComparison.Ordinal
        );
        tensor.ExternalData[0].Value = "../secret";
        File.WriteAllBytes(folder["m.onnx"], model.ToByteArray());
        Assert.Contains(
            "../secret",
            Assert
                .Throws<InvalidDataException>(() => context.Transforms.ScoreOnnx(folder["m.onnx"], ["x"], ["y"]))
                .Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void What_cannot_be_batched_at_all_is_left_to_stock()
    {
        var path = TestModels.Write(folder["m.onnx"], TestModels.One("Relu", DataType.Float, [3], [3]));
        Same(path, "fixed to 3");
    }

    [Fact]
    public void An_input_that_is_a_sequence_is_refused()
    {
        var model = ModelProto.Parser.ParseFrom(TestModels.Relu("N"));
        // sequence_type { elem_type { tensor_type { elem_type: FLOAT } } }
        model.Graph.Input[0].Type = TypeProto.Parser.ParseFrom([0x22, 6, 0x0A, 4, 0x0A, 2, 8, 1]);
        model.Graph.Node[0].OpType = "ConcatFromSequence";
        model
            .Graph.Node[0]
            .Attribute.Add(
                new AttributeProto
                {
                    Name = "axis",
                    I = 0,
                    Type = AttributeProto.Types.AttributeType.Int,
                }
            );
        var path = TestModels.Write(folder["m.onnx"], Google.Protobuf.MessageExtensions.ToByteArray(model));
        Assert.Contains(
            "the input 'x' is ONNX_TYPE_SEQUENCE",
            Assert.Throws<NotSupportedException>(() => context.Transforms.ScoreOnnx(path, ["x"], ["y"])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void An_input_that_holds_nothing_is_refused()
    {
        var path = TestModels.Write(folder["m.onnx"], TestModels.One("Relu", DataType.Float, [1, 0], [1, 0]));
        Assert.Contains(
            "the input 'x' is [1, 0] and has no elements",
            Assert.Throws<NotSupportedException>(() => context.Transforms.ScoreOnnx(path, ["x"], ["y"])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_column_of_another_length_than_the_input_is_named()
    {
        foreach (var batch in new object[] { "N", 1L })
        {
            var path = TestModels.Write(folder["m.onnx"], TestModels.Relu(batch));
            var rows = context.Data.LoadFromEnumerable(new[] { new Four() });
            var error = Assert.Throws<InvalidOperationException>(() =>
                Read<Out>(context.Transforms.ScoreOnnx(path, ["x"], ["y"]).Fit(rows).Transform(rows))
            );
            Assert.Contains("'x' has ", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Arguments_that_say_nothing_are_named()
    {
        var path = TestModels.Write(folder["m.onnx"], TestModels.FixedBatch());
        Assert.Throws<ArgumentNullException>(() => context.Transforms.ScoreOnnx(null!, ["x"], ["y"]));
        Assert.Throws<ArgumentNullException>("inputs", () => context.Transforms.ScoreOnnx(path, null!, ["y"]));
        Assert.Throws<ArgumentException>("outputs", () => context.Transforms.ScoreOnnx(path, ["x"], [null!]));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            context.Transforms.ScoreOnnx(path, ["x"], ["y"], batchSize: 0)
        );
        Assert.Throws<ArgumentNullException>(() => BatchedModels.Batched(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionSettings { Threads = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionSettings { Threads = -1 });
        var cuda = new SessionSettings { Configure = options => options.AppendExecutionProvider_CUDA(0) };
        Assert.Contains(
            "Microsoft.ML.OnnxRuntime.Gpu",
            Assert
                .Throws<InvalidOperationException>(() =>
                    context.Transforms.ScoreOnnx(path, ["x"], ["y"], session: cuda)
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>Ours against stock; and the reason, where rows are not put together.</summary>
    private void Same(string path, string? reason)
    {
        var data = Vectors();
        using var stock = context.Transforms.ApplyOnnxModel(["y"], ["x"], path).Fit(data);
        using var ours = context.Transforms.ScoreOnnx(path, ["x"], ["y"]).Fit(data);
        if (reason is null)
            Assert.Null(ours.RowByRow);
        else
            Assert.Contains(reason, ours.RowByRow, StringComparison.Ordinal);
        var expected = Read<Out>(stock.Transform(data));
        var actual = Read<Out>(ours.Transform(data));
        Assert.Equal(40, actual.Length);
        for (var i = 0; i < actual.Length; i++)
            Close.To(expected[i].y, actual[i].y, 1e-6, 1e-6, "the same kernels");
    }

    private void Check<T>(DataType type, T[] values)
        where T : unmanaged
    {
        var path = TestModels.Write(folder[$"{type}.onnx"], TestModels.One("Identity", type, ["N", 3], ["N", 3]));
        var definition = SchemaDefinition.Create(typeof(Row<T>));
        definition["x"].ColumnType = new VectorDataViewType((PrimitiveDataViewType)Item(typeof(T)), 3);
        var data = context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 30).Select(_ => new Row<T> { x = values }),
            definition
        );
        using var ours = context.Transforms.ScoreOnnx(path, ["x"], ["y"]).Fit(data);
        Assert.Null(ours.RowByRow);
        var rows = Read<RowOut<T>>(ours.Transform(data));
        Assert.Equal(30, rows.Length);
        Assert.All(rows, row => Assert.Equal(values, row.y));
    }

    private static DataViewType Item(Type type) =>
        (
            (IEnumerable<DataViewType>)
                [
                    NumberDataViewType.SByte,
                    NumberDataViewType.Int16,
                    NumberDataViewType.Byte,
                    NumberDataViewType.UInt16,
                    NumberDataViewType.UInt32,
                    NumberDataViewType.UInt64,
                    NumberDataViewType.Double,
                ]
        ).First(item => item.RawType == type);

    /// <summary>label int64 [N], and a sequence of maps from label to score, as scikit-learn's converter writes
    /// them.</summary>
    private static byte[] ZipMap() =>
        TestModels.Build([("x", DataType.Float, ["N", 3])], [("label", DataType.Int64, ["N"])], model =>
        {
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = "ai.onnx.ml", Version = 1 });
            TestModels
                .Add(model, "ArgMax", ["x"], ["label"])
                .Attribute.AddRange([TestModels.Whole("axis", 1), TestModels.Whole("keepdims", 0)]);
            var zip = TestModels.Add(model, "ZipMap", ["x"], ["maps"]);
            zip.Domain = "ai.onnx.ml";
            zip.Attribute.Add(
                new AttributeProto
                {
                    Name = "classlabels_int64s",
                    Ints = { 0, 1, 2 },
                    Type = AttributeProto.Types.AttributeType.Ints,
                }
            );
            // sequence(map(int64, float)): fields the project's own proto leaves out, by their bytes.
            byte[] floats = [10, 2, 8, 1];
            byte[] map = [42, (byte)(4 + floats.Length), 8, 7, 18, (byte)floats.Length, .. floats];
            byte[] element = [10, (byte)map.Length, .. map];
            byte[] sequence = [34, (byte)element.Length, .. element];
            model.Graph.Output.Add(new ValueInfoProto { Name = "maps", Type = TypeProto.Parser.ParseFrom(sequence) });
        });

    private IDataView Vectors() =>
        context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 40).Select(i => new Vector { x = [i + 0.5f, -2 * i, i * i % 7] }).ToArray()
        );

    private T[] Read<T>(IDataView view)
        where T : class, new() => [.. context.Data.CreateEnumerable<T>(view, reuseRowObject: false)];

    private sealed class Vector
    {
        [VectorType(3)]
        public float[] x { get; set; } = [];
    }

    private sealed class Out
    {
        public float[] y { get; set; } = [];
    }

    private sealed class Index
    {
        [VectorType(1)]
        public long[] x { get; set; } = [];
    }

    private sealed class ThreeNumbers
    {
        [VectorType(3)]
        public float[] x { get; set; } = [];
    }

    private sealed class TextRow
    {
        [VectorType(2)]
        public string[] x { get; set; } = [];
    }

    private sealed class TextOut
    {
        public string[] y { get; set; } = [];
    }

    private sealed class Row<T>
    {
        public T[] x { get; set; } = [];
    }

    private sealed class RowOut<T>
    {
        public T[] y { get; set; } = [];
    }

    private sealed class Labelled
    {
        public long[] label { get; set; } = [];
    }

    private sealed class Mapped
    {
        public long[] label { get; set; } = [];

        [OnnxSequenceType(typeof(IDictionary<long, float>))]
        public IEnumerable<IDictionary<long, float>>? maps { get; set; }
    }

    private sealed class Four
    {
        [VectorType(4)]
        public float[] x { get; set; } = new float[4];
    }
}
