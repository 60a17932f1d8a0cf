using System.Buffers;
using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Compare;

namespace TorchBridge.Inference.Scoring;

/// <summary>Classifies pictures, in batches. Single rows go through a session whose threads share a picture; batches through one whose threads have a part each.</summary>
internal sealed class ImageScorer(ImageClassifier classifier, Func<ImageClassifier> openOneThreaded, ImageClassificationOptions options) : BatchScorer
{
    private readonly Lazy<ImageClassifier> oneThreaded = new(openOneThreaded);
    private readonly int parts = options.Session.Threads ?? Environment.ProcessorCount;
    private long invalid;

    public override IReadOnlyList<string> InputColumns { get; } = [options.ImageColumn];

    public override BatchSizer Sizer { get; } = new(options.BatchSize, 3L * sizeof(float) * classifier.Width * classifier.Height);

    public override bool SkipsRows => options.OnInvalidImage == OnInvalidImage.Skip;

    /// <summary>Pictures that could not be read so far.</summary>
    public long InvalidImages => Interlocked.Read(ref invalid);

    public override IReadOnlyList<ScoredColumn> OutputsFor(DataViewSchema input)
    {
        var column = input.GetColumnOrNull(options.ImageColumn) ?? throw new ArgumentException($"there is no column '{options.ImageColumn}'; there are {string.Join(", ", input.Select(item => item.Name))}");
        InputKinds.Of(column.Name, column.Type, classifier.Card);
        var names = new DataViewSchema.Annotations.Builder();
        names.Add<VBuffer<ReadOnlyMemory<char>>>("SlotNames", new VectorDataViewType(TextDataViewType.Instance, classifier.ClassNames.Count), Names);
        var scores = new VectorDataViewType(NumberDataViewType.Single, classifier.ClassNames.Count);
        var columns = new List<ScoredColumn> { new(options.ScoreColumn, scores, names.ToAnnotations()), Label() };
        if (options.LogitsColumn is { } logits) columns.Add(new ScoredColumn(logits, scores, names.ToAnnotations()));
        if (options.TopK is { } k)
        {
            columns.Add(new ScoredColumn(options.TopLabelsColumn, new VectorDataViewType(TextDataViewType.Instance, k)));
            columns.Add(new ScoredColumn(options.TopScoresColumn, new VectorDataViewType(NumberDataViewType.Single, k)));
        }

        if (options.OnInvalidImage == OnInvalidImage.MarkRow) columns.Add(new ScoredColumn(options.IsValidColumn, BooleanDataViewType.Instance));
        return columns;
    }

    public override BatchBuilder Open(DataViewRow row) => new Builder(this, row, OutputsFor(row.Schema));

    public override void Dispose()
    {
        classifier.Dispose();
        if (oneThreaded.IsValueCreated) oneThreaded.Value.Dispose();
    }

    private void Run(BoundRuns bound, float[] pixels, int stride, int count, float[] logits, float[] probabilities)
    {
        bound.Renew(pixels, logits);
        Parts.Run(count, parts, whole: () => bound.Run(classifier, 0, count, stride, probabilities), part: (start, rows) => bound.Run(oneThreaded.Value, start, rows, stride, probabilities));
    }

    private ScoredColumn Label()
    {
        if (options.Label == LabelKind.Text) return new ScoredColumn(options.PredictedLabelColumn, TextDataViewType.Instance);
        var values = new DataViewSchema.Annotations.Builder();
        values.Add<VBuffer<ReadOnlyMemory<char>>>("KeyValues", new VectorDataViewType(TextDataViewType.Instance, classifier.ClassNames.Count), Names);
        return new ScoredColumn(options.PredictedLabelColumn, new KeyDataViewType(typeof(uint), classifier.ClassNames.Count), values.ToAnnotations());
    }

    private void Names(ref VBuffer<ReadOnlyMemory<char>> target)
    {
        var editor = VBufferEditor.Create(ref target, classifier.ClassNames.Count);
        for (var i = 0; i < classifier.ClassNames.Count; i++) editor.Values[i] = classifier.ClassNames[i].AsMemory();
        target = editor.Commit();
    }

    private sealed class Builder : BatchBuilder
    {
        private readonly ImageScorer scorer;
        private readonly RowPixels reader;
        private readonly int stride;
        private readonly List<bool> valid = [];
        private readonly Batch batch;
        private readonly BoundRuns bound = new();
        private float[] pixels;

        public Builder(ImageScorer scorer, DataViewRow row, IReadOnlyList<ScoredColumn> columns)
        {
            this.scorer = scorer;
            var card = scorer.Classifier.Card;
            stride = 3 * card.Width * card.Height;
            pixels = ArrayPool<float>.Shared.Rent(stride * 32);
            reader = new RowPixels(row, row.Schema[scorer.InputColumns[0]], card);
            batch = new Batch(scorer, columns);
        }

        public override int Count => valid.Count;

        public override AddResult Add()
        {
            var need = (valid.Count + 1) * stride;
            if (need > pixels.Length)
            {
                var larger = ArrayPool<float>.Shared.Rent(Math.Max(need, 2 * pixels.Length));
                pixels.AsSpan(0, valid.Count * stride).CopyTo(larger);
                bound.Dispose();
                ArrayPool<float>.Shared.Return(pixels);
                pixels = larger;
            }

            var target = pixels.AsSpan(valid.Count * stride, stride);
            try
            {
                reader.Read(target);
                valid.Add(true);
                return AddResult.Added;
            }
            catch (InvalidPictureException error) when (scorer.Tolerates(error))
            {
                if (scorer.SkipsRows) return AddResult.Skipped;
                target.Clear();
                valid.Add(false);
                return AddResult.Added;
            }
        }

        public override ScoredBatch Score()
        {
            var count = valid.Count;
            var (logits, probabilities) = batch.Prepare(valid);
            scorer.Run(bound, pixels, stride, count, logits, probabilities);
            // Nobody may take what the network says of no picture for a result: missing, in ML.NET, is NaN.
            var classes = scorer.Classifier.ClassNames.Count;
            for (var row = 0; row < count; row++)
            {
                if (valid[row]) continue;
                logits.AsSpan(row * classes, classes).Fill(float.NaN);
                probabilities.AsSpan(row * classes, classes).Fill(float.NaN);
            }

            valid.Clear();
            return batch;
        }

        public override void Dispose()
        {
            bound.Dispose();
            ArrayPool<float>.Shared.Return(pixels);
            pixels = [];
        }
    }

    private ImageClassifier Classifier => classifier;

    /// <summary>Counts and names a picture that cannot be read; false where the caller wants the error.</summary>
    private bool Tolerates(InvalidPictureException error)
    {
        if (options.OnInvalidImage == OnInvalidImage.Throw) return false;
        Interlocked.Increment(ref invalid);
        options.InvalidImage?.Invoke(error);
        return true;
    }

    /// <summary>The results of the batch of now: the next one is written into the same arrays.</summary>
    private sealed class Batch(ImageScorer scorer, IReadOnlyList<ScoredColumn> columns) : ScoredBatch
    {
        private float[] logits = [], probabilities = [];
        private bool[] valid = [];

        /// <summary>Makes room for a batch.</summary>
        public (float[] Logits, float[] Probabilities) Prepare(List<bool> rows)
        {
            var size = rows.Count * ClassNames.Count;
            if (logits.Length < size) (logits, probabilities, valid) = (new float[size], new float[size], new bool[rows.Count]);
            rows.CopyTo(valid);
            return (logits, probabilities);
        }

        private IReadOnlyList<string> ClassNames => scorer.Classifier.ClassNames;

        public override void Read<TValue>(int column, int row, ref TValue value)
        {
            var options = scorer.Options;
            var name = columns[column].Name;
            var classes = ClassNames.Count;
            if (typeof(TValue) == typeof(VBuffer<float>))
            {
                ref var vector = ref Unsafe.As<TValue, VBuffer<float>>(ref value);
                if (name == options.ScoreColumn) Fill(probabilities.AsSpan(row * classes, classes), ref vector);
                else if (name == options.LogitsColumn) Fill(logits.AsSpan(row * classes, classes), ref vector);
                else Fill<float>([.. Top(row).Select(best => probabilities[(row * classes) + best])], ref vector);
            }
            else if (typeof(TValue) == typeof(VBuffer<ReadOnlyMemory<char>>))
            {
                Fill<ReadOnlyMemory<char>>([.. Top(row).Select(best => valid[row] ? ClassNames[best].AsMemory() : default)], ref Unsafe.As<TValue, VBuffer<ReadOnlyMemory<char>>>(ref value));
            }
            else if (typeof(TValue) == typeof(ReadOnlyMemory<char>))
            {
                Unsafe.As<TValue, ReadOnlyMemory<char>>(ref value) = valid[row] ? ClassNames[Best(row)].AsMemory() : default;
            }
            else if (typeof(TValue) == typeof(uint))
            {
                Unsafe.As<TValue, uint>(ref value) = valid[row] ? (uint)Best(row) + 1 : 0; // keys count from 1; 0 is missing
            }
            else if (typeof(TValue) == typeof(bool))
            {
                Unsafe.As<TValue, bool>(ref value) = valid[row];
            }
            else
            {
                throw new InvalidOperationException($"the column '{name}' is {columns[column].Type}, and a {typeof(TValue)} was asked for");
            }
        }

        private int Best(int row) => ArrayComparison.IndexOfLargest<float>(logits.AsSpan(row * ClassNames.Count, ClassNames.Count));

        private IEnumerable<int> Top(int row) => Enumerable.Range(0, ClassNames.Count).OrderByDescending(c => logits[(row * ClassNames.Count) + c]).Take(scorer.Options.TopK!.Value);
    }

    private ImageClassificationOptions Options => options;
}

/// <summary>Reads one row's picture as pixels.</summary>
internal sealed class RowPixels
{
    private readonly Action<byte[]>? readBytes;
    private readonly byte[] planes;
    private readonly ValueGetter<VBuffer<float>>? pixels;
    private VBuffer<float> vector;

    public RowPixels(DataViewRow row, DataViewSchema.Column column, ModelCard card)
    {
        planes = new byte[3 * card.Width * card.Height];
        switch (InputKinds.Of(column.Name, column.Type, card))
        {
            case InputKind.Path:
                var path = row.GetGetter<ReadOnlyMemory<char>>(column);
                ReadOnlyMemory<char> text = default;
                readBytes = target =>
                {
                    path(ref text);
                    PictureReader.ReadFile(text.ToString(), card.Width, card.Height, target, card.Reading);
                };
                break;
            case InputKind.Image:
                var image = row.GetGetter<MLImage>(column);
                MLImage? picture = null;
                readBytes = target =>
                {
                    image(ref picture!);
                    PictureReader.Read(picture ?? throw new InvalidPictureException($"the picture in row {row.Position} is missing"), card.Width, card.Height, target, card.Reading);
                };
                break;
            case InputKind.Encoded:
                var encoded = row.GetGetter<VBuffer<byte>>(column);
                VBuffer<byte> bytes = default;
                readBytes = target =>
                {
                    encoded(ref bytes);
                    PictureReader.Read(bytes.IsDense ? bytes.GetValues() : [.. bytes.DenseValues()], $"the picture in row {row.Position}", card.Width, card.Height, target, card.Reading);
                };
                break;
            default:
                pixels = row.GetGetter<VBuffer<float>>(column);
                break;
        }
    }

    /// <summary>Reads the row's picture: planes of red, green and blue, 0 to 255.</summary>
    /// <exception cref="InvalidPictureException">It cannot be read.</exception>
    public void Read(Span<float> target)
    {
        if (pixels is not null)
        {
            pixels(ref vector);
            if (vector.Length != target.Length) throw new InvalidPictureException($"a row has {vector.Length} pixels, and the model takes {target.Length}");
            vector.CopyTo(target);
            return;
        }

        readBytes!(planes);
        for (var i = 0; i < planes.Length; i++) target[i] = planes[i];
    }
}
