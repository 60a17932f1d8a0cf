using Microsoft.ML;
using Microsoft.ML.Data;

namespace TorchBridge.Inference.Tests;

/// <summary>ScoreOnnx against stock ApplyOnnxModel on the same model and rows.</summary>
public sealed class BatchedOnnxEstimatorTests : IDisposable
{
    private static readonly string[] Inputs = ["a", "free", "whole"];
    private static readonly string[] Outputs = ["twice", "sum", "next", "positive", "precise"];
    private readonly TempFolder folder = new();
    private readonly MLContext context = new(seed: 1);

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(100)]
    public void Several_inputs_and_outputs_of_several_types_are_stocks(int batchSize)
    {
        File.WriteAllBytes(folder["m.onnx"], TestModels.Mixed());
        // Free vectors of two lengths: a batch ends where the length changes.
        var data = context.Data.LoadFromEnumerable(
            Enumerable
                .Range(0, 20)
                .Select(i => new Row
                {
                    a = [i, -i, 0.5f],
                    free = [.. Enumerable.Range(0, i < 8 ? 2 : 5).Select(j => (float)(i * j))],
                    whole = [i],
                    name = $"row {i}",
                })
                .ToArray()
        );
        using var stock = context.Transforms.ApplyOnnxModel(Outputs, Inputs, folder["m.onnx"]).Fit(data);
        using var ours = context.Transforms.ScoreOnnx(folder["m.onnx"], Inputs, Outputs, batchSize).Fit(data);
        Assert.Equal(
            stock.GetOutputSchema(data.Schema).Select(column => (column.Name, column.Type)),
            ours.GetOutputSchema(data.Schema).Select(column => (column.Name, column.Type))
        );
        var expected = context.Data.CreateEnumerable<Result>(stock.Transform(data), reuseRowObject: false).ToArray();
        var actual = context.Data.CreateEnumerable<Result>(ours.Transform(data), reuseRowObject: false).ToArray();
        Assert.Equal(20, actual.Length);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(expected[i].twice, actual[i].twice);
            Assert.Equal(expected[i].sum, actual[i].sum);
            Assert.Equal(expected[i].next, actual[i].next);
            Assert.Equal(expected[i].positive, actual[i].positive);
            Assert.Equal(expected[i].precise, actual[i].precise);
            Assert.Equal($"row {i}", actual[i].name);
        }
    }

    [Fact]
    public void What_is_no_model_is_named()
    {
        File.WriteAllText(folder["notes.onnx"], "no model");
        Assert.Contains(
            "notes.onnx",
            Assert
                .Throws<InvalidDataException>(() => context.Transforms.ScoreOnnx(folder["notes.onnx"], ["x"], ["y"]))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() =>
            context
                .Transforms.CopyColumns("y", "x")
                .Fit(context.Data.LoadFromEnumerable(new[] { new Single { x = [1] } }))
                .Batched()
        );
    }

    private sealed class Row
    {
        [VectorType(3)]
        public float[] a { get; set; } = [];

        public float[] free { get; set; } = [];

        [VectorType(1)]
        public long[] whole { get; set; } = [];

        public string name { get; set; } = "";
    }

    private sealed class Single
    {
        [VectorType(3)]
        public float[] x { get; set; } = [];
    }

    private sealed class Result
    {
        public float[] twice { get; set; } = [];

        public float[] sum { get; set; } = [];

        public long[] next { get; set; } = [];

        public bool[] positive { get; set; } = [];

        public double[] precise { get; set; } = [];

        public string name { get; set; } = "";
    }
}
