// Scores any ONNX model whose axis 0 is the batch: each input column is one row of an input tensor, rows are put one after another, and
// each output tensor is cut into rows. A free axis beside the batch takes its size from the column's length; a row of another length starts
// the next batch.
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Inference.Scoring;

/// <summary>Scores rows with an ONNX model. Columns are named as the model's inputs and outputs; their types are those of stock ApplyOnnxModel.</summary>
internal sealed class OnnxScorer(InferenceSession session, Func<InferenceSession> openOneThreaded, int parts, IReadOnlyList<string> inputs, Func<DataViewSchema, IReadOnlyList<ScoredColumn>> outputsFor, int? batchSize) : BatchScorer
{
    private readonly Lazy<InferenceSession> oneThreaded = new(openOneThreaded);
    private readonly RunOptions runOptions = new();

    public override IReadOnlyList<string> InputColumns => inputs;

    public override BatchSizer Sizer { get; } = new(batchSize);

    public override IReadOnlyList<ScoredColumn> OutputsFor(DataViewSchema input) => outputsFor(input);

    public override BatchBuilder Open(DataViewRow row) => new Builder(this, row, outputsFor(row.Schema));

    public override void Dispose()
    {
        runOptions.Dispose();
        session.Dispose();
        if (oneThreaded.IsValueCreated) oneThreaded.Value.Dispose();
    }

    private int[] DimensionsOf(string input) => session.InputMetadata[input].Dimensions;

    private ScoredBatch Run(IReadOnlyList<InputBuffer> buffers, int rows, IReadOnlyList<ScoredColumn> columns)
    {
        var results = new List<(int Start, OutputRows[] Outputs)>();
        var gate = new Lock();
        void Keep(int start, OutputRows[] outputs)
        {
            lock (gate) results.Add((start, outputs));
        }

        Parts.Run(rows, parts, () => Keep(0, Run(session, buffers, 0, rows, columns)), (start, count) => Keep(start, Run(oneThreaded.Value, buffers, start, count, columns)));
        var inOrder = results.OrderBy(part => part.Start).Select(part => part.Outputs).ToArray();
        return new Batch(inOrder.Length == 1 ? inOrder[0] : [.. Enumerable.Range(0, columns.Count).Select(i => inOrder[0][i].With([.. inOrder.Skip(1).Select(part => part[i])]))]);
    }

    private OutputRows[] Run(InferenceSession running, IReadOnlyList<InputBuffer> buffers, int start, int rows, IReadOnlyList<ScoredColumn> columns)
    {
        var values = buffers.Select(buffer => buffer.ToOrt(start, rows)).ToArray();
        try
        {
            using var results = running.Run(runOptions, [.. inputs], values, [.. columns.Select(column => column.Name)]);
            return [.. results.Select((result, i) => Output(result, rows, columns[i].Name))];
        }
        finally
        {
            foreach (var value in values) value.Dispose();
        }
    }

    private static OutputRows Output(OrtValue value, int rows, string name)
    {
        var info = value.GetTensorTypeAndShape();
        var count = (int)info.ElementCount;
        if (count % rows != 0 || (info.Shape.Length > 0 && info.Shape[0] != rows)) throw new InvalidOperationException($"the output '{name}' has the shape [{string.Join(", ", info.Shape)}] for {rows} rows: its axis 0 is not the batch, and it cannot be scored in batches");
        return info.ElementDataType switch
        {
            TensorElementType.Float => new OutputRows<float>(value.GetTensorDataAsSpan<float>().ToArray(), count / rows),
            TensorElementType.Double => new OutputRows<double>(value.GetTensorDataAsSpan<double>().ToArray(), count / rows),
            TensorElementType.Int64 => new OutputRows<long>(value.GetTensorDataAsSpan<long>().ToArray(), count / rows),
            TensorElementType.Int32 => new OutputRows<int>(value.GetTensorDataAsSpan<int>().ToArray(), count / rows),
            TensorElementType.Int16 => new OutputRows<short>(value.GetTensorDataAsSpan<short>().ToArray(), count / rows),
            TensorElementType.Int8 => new OutputRows<sbyte>(value.GetTensorDataAsSpan<sbyte>().ToArray(), count / rows),
            TensorElementType.UInt8 => new OutputRows<byte>(value.GetTensorDataAsSpan<byte>().ToArray(), count / rows),
            TensorElementType.Bool => new OutputRows<bool>(value.GetTensorDataAsSpan<bool>().ToArray(), count / rows),
            TensorElementType.String => new OutputRows<ReadOnlyMemory<char>>([.. value.GetStringTensorAsArray().Select(text => text.AsMemory())], count / rows),
            var other => throw new NotSupportedException($"the output '{name}' holds {other}; supported are float, double, integers, bool and text"),
        };
    }

    private sealed class Builder : BatchBuilder
    {
        private readonly OnnxScorer scorer;
        private readonly IReadOnlyList<ScoredColumn> columns;
        private readonly InputBuffer[] buffers;
        private int count;

        public Builder(OnnxScorer scorer, DataViewRow row, IReadOnlyList<ScoredColumn> columns)
        {
            (this.scorer, this.columns) = (scorer, columns);
            buffers = [.. scorer.InputColumns.Select(name => InputBuffer.For(row, row.Schema[name], scorer.DimensionsOf(name)))];
        }

        public override int Count => count;

        public override AddResult Add()
        {
            // All are read before any is kept: a row is whole in one batch.
            foreach (var buffer in buffers) buffer.Read();
            if (count > 0 && !buffers.All(buffer => buffer.Fits)) return AddResult.NextBatch;
            foreach (var buffer in buffers) buffer.Keep();
            count++;
            return AddResult.Added;
        }

        public override ScoredBatch Score()
        {
            var batch = scorer.Run(buffers, count, columns);
            foreach (var buffer in buffers) buffer.Clear();
            count = 0;
            return batch;
        }

        public override void Dispose() => count = 0;
    }

    private sealed class Batch(OutputRows[] outputs) : ScoredBatch
    {
        public override void Read<TValue>(int column, int row, ref TValue value) => outputs[column].Read(row, ref value);
    }
}

/// <summary>One output of a batch.</summary>
internal abstract class OutputRows
{
    public abstract void Read<TValue>(int row, ref TValue value);

    /// <summary>These rows and then others, of the same output.</summary>
    public abstract OutputRows With(OutputRows[] others);
}

/// <summary>One output of a batch, its elements row after row.</summary>
internal sealed class OutputRows<T>(T[] values, int width) : OutputRows
{
    private readonly T[] own = values;

    public override OutputRows With(OutputRows[] others) => new OutputRows<T>([.. own, .. others.Cast<OutputRows<T>>().SelectMany(other => other.own)], width);

    public override void Read<TValue>(int row, ref TValue value)
    {
        if (typeof(TValue) == typeof(VBuffer<T>))
        {
            ScoredBatch.Fill<T>(own.AsSpan(row * width, width), ref System.Runtime.CompilerServices.Unsafe.As<TValue, VBuffer<T>>(ref value));
        }
        else if (typeof(TValue) == typeof(T) && width == 1)
        {
            System.Runtime.CompilerServices.Unsafe.As<TValue, T>(ref value) = own[row];
        }
        else
        {
            throw new InvalidOperationException($"the column holds {width} values of {typeof(T).Name} a row, and a {typeof(TValue)} was asked for");
        }
    }
}

/// <summary>Rows of one input column, one after another.</summary>
internal abstract class InputBuffer
{
    /// <summary>Whether the row just read is as long as those kept.</summary>
    public abstract bool Fits { get; }

    public abstract void Read();

    public abstract void Keep();

    public abstract void Clear();

    public abstract OrtValue ToOrt(int start, int rows);

    /// <summary>A buffer of the type that a column has.</summary>
    public static InputBuffer For(DataViewRow row, DataViewSchema.Column column, int[] dimensions)
    {
        var vector = column.Type as VectorDataViewType;
        return Of(vector?.ItemType.RawType ?? column.Type.RawType, vector is not null)(row, column, dimensions);
    }

    private static Func<DataViewRow, DataViewSchema.Column, int[], InputBuffer> Of(Type type, bool isVector)
    {
        InputBuffer Make<T>(DataViewRow row, DataViewSchema.Column column, int[] dimensions) where T : unmanaged => new InputBuffer<T>(row, column, dimensions, isVector);
        if (type == typeof(float)) return Make<float>;
        if (type == typeof(double)) return Make<double>;
        if (type == typeof(long)) return Make<long>;
        if (type == typeof(int)) return Make<int>;
        if (type == typeof(short)) return Make<short>;
        if (type == typeof(sbyte)) return Make<sbyte>;
        if (type == typeof(byte)) return Make<byte>;
        if (type == typeof(uint)) return Make<uint>;
        if (type == typeof(bool)) return Make<bool>;
        return (_, column, _) => throw new NotSupportedException($"the column '{column.Name}' holds {column.Type}; supported are float, double, integers and bool, single or in vectors");
    }
}

/// <summary>Rows of one input column.</summary>
internal sealed class InputBuffer<T> : InputBuffer where T : unmanaged
{
    private readonly int[] dimensions;
    private readonly Action read;
    private T[] kept = [];
    private int keptCount;
    private T[] current = [];
    private int length;
    private int keptLength;

    public InputBuffer(DataViewRow row, DataViewSchema.Column column, int[] dimensions, bool isVector)
    {
        this.dimensions = dimensions;
        if (isVector)
        {
            var getter = row.GetGetter<VBuffer<T>>(column);
            VBuffer<T> vector = default;
            read = () =>
            {
                getter(ref vector);
                if (current.Length < vector.Length) current = new T[vector.Length];
                vector.CopyTo(current);
                length = vector.Length;
            };
        }
        else
        {
            var getter = row.GetGetter<T>(column);
            current = new T[1];
            length = 1;
            read = () => getter(ref current[0]);
        }
    }

    public override bool Fits => length == keptLength;

    public override void Read() => read();

    public override void Keep()
    {
        if (keptCount + length > kept.Length) Array.Resize(ref kept, Math.Max(keptCount + length, 2 * kept.Length));
        current.AsSpan(0, length).CopyTo(kept.AsSpan(keptCount));
        keptCount += length;
        keptLength = length;
    }

    public override void Clear() => keptCount = 0;

    public override OrtValue ToOrt(int start, int rows) =>
        OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, kept.AsMemory(start * keptLength, rows * keptLength), Shape(rows));

    private long[] Shape(int rows)
    {
        if (dimensions.Length == 0) throw new InvalidOperationException("the model takes a single value, and rows cannot be scored in batches");
        var known = dimensions.Skip(1).Where(size => size > 0).Aggregate(1L, (product, size) => product * size);
        var free = dimensions.Skip(1).Count(size => size <= 0);
        if (free > 1) throw new InvalidOperationException($"the model's input has {free} free axes beside the batch; a column's length gives one");
        if (keptLength % known != 0 || (free == 0 && keptLength != known)) throw new InvalidOperationException($"a row has {keptLength} values, and the model's input is [{string.Join(", ", dimensions)}]");
        return [rows, .. dimensions.Skip(1).Select(size => size > 0 ? size : keptLength / known)];
    }
}
