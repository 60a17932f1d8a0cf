using System.Buffers;
using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// Classifies pictures, in batches. Single rows go through a session whose threads share a picture; batches through
/// one whose threads have a part each.
/// </summary>
/// <param name="classifier">Runs single pictures and small batches; disposed with this.</param>
/// <param name="openOneThreaded">Opens a classifier of one thread, for parts of batches, when the first large one
/// comes.</param>
/// <param name="options">Columns, batch size, and what happens to unreadable pictures.</param>
internal sealed class ImageScorer(
    ImageClassifier classifier,
    Func<ImageClassifier> openOneThreaded,
    ImageClassificationOptions options
) : BatchScorer
{
    private readonly int parts = options.Session.ThreadCount;
    private readonly Lock gate = new();
    private ImageClassifier? oneThreaded;
    private bool isDisposed;
    private long invalid;

    /// <summary>The column of pictures.</summary>
    public override IReadOnlyList<string> InputColumns { get; } = [options.ImageColumn];

    /// <summary>How many pictures at once, with the size of a picture in mind.</summary>
    public override BatchSizer Sizer { get; } = new(options.BatchSize, (long)sizeof(float) * classifier.Card.Stride);

    /// <summary>Whether rows with unreadable pictures are left out.</summary>
    public override bool SkipsRows => options.OnInvalidImage == OnInvalidImage.Skip;

    /// <summary>Pictures that could not be read so far.</summary>
    public long InvalidImages => Interlocked.Read(ref invalid);

    /// <summary>The columns that are made of an input.</summary>
    /// <param name="input">Columns of the data.</param>
    /// <returns>Scores, label, and what the options ask for beside these, in this order.</returns>
    /// <exception cref="ArgumentException">A column is missing, or has a type that cannot be scored.</exception>
    public IReadOnlyList<ScoredColumn> OutputsFor(DataViewSchema input)
    {
        var column = input.GetColumnOrNull(options.ImageColumn)
            ?? throw new ArgumentException(
                $"there is no column '{options.ImageColumn}'; there are {string.Join(", ", input.Select(item => item.Name))}"
            );
        InputKinds.Of(column.Name, column.Type, classifier.Card);
        if (options.Label == LabelKind.Key)
            ClassKeys.Check(input, classifier.ClassNames);
        var names = new DataViewSchema.Annotations.Builder();
        names.Add<VBuffer<ReadOnlyMemory<char>>>(
            "SlotNames",
            new VectorDataViewType(TextDataViewType.Instance, classifier.ClassNames.Count),
            Names
        );
        var scores = new VectorDataViewType(NumberDataViewType.Single, classifier.ClassNames.Count);
        var columns = new List<ScoredColumn> { new(options.ScoreColumn, scores, names.ToAnnotations()), Label() };
        if (options.LogitsColumn is { } logits)
            columns.Add(new ScoredColumn(logits, scores, names.ToAnnotations()));
        if (options.TopK is { } k)
        {
            columns.Add(
                new ScoredColumn(options.TopLabelsColumn, new VectorDataViewType(TextDataViewType.Instance, k))
            );
            columns.Add(
                new ScoredColumn(options.TopScoresColumn, new VectorDataViewType(NumberDataViewType.Single, k))
            );
        }

        if (options.OnInvalidImage == OnInvalidImage.MarkRow)
            columns.Add(new ScoredColumn(options.IsValidColumn, BooleanDataViewType.Instance));
        return columns;
    }

    /// <summary>Starts reading pictures from a cursor or a row.</summary>
    public override BatchBuilder Open(
        DataViewRow row,
        IReadOnlyList<ScoredColumn> columns,
        IReadOnlySet<int> active,
        int capacity
    ) => new Builder(this, row, columns, active.Count > 0, capacity);

    public override void Dispose()
    {
        lock (gate)
        {
            isDisposed = true;
            oneThreaded?.Dispose();
        }

        classifier.Dispose();
    }

    /// <summary>The classifier of one thread, opened when it is needed.</summary>
    private ImageClassifier OneThreaded()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(isDisposed, typeof(ImageClassificationTransformer));
            return oneThreaded ??= openOneThreaded();
        }
    }

    /// <summary>
    /// Runs a batch whole or in parts, over arrays that stay bound from batch to batch.
    /// </summary>
    private void Run(BoundRuns bound, float[] pixels, int stride, int count, float[] logits, float[] probabilities)
    {
        bound.Renew(pixels, logits);
        Parts.Run(
            count,
            parts,
            whole: () => bound.Run(classifier, 0, count, stride, probabilities),
            part: (start, rows) => bound.Run(OneThreaded(), start, rows, stride, probabilities)
        );
    }

    /// <summary>The column of labels: text, or keys with the class names as values.</summary>
    private ScoredColumn Label()
    {
        if (options.Label == LabelKind.Text)
            return new ScoredColumn(options.PredictedLabelColumn, TextDataViewType.Instance);
        var values = new DataViewSchema.Annotations.Builder();
        values.Add<VBuffer<ReadOnlyMemory<char>>>(
            "KeyValues",
            new VectorDataViewType(TextDataViewType.Instance, classifier.ClassNames.Count),
            Names
        );
        return new ScoredColumn(
            options.PredictedLabelColumn,
            new KeyDataViewType(typeof(uint), classifier.ClassNames.Count),
            values.ToAnnotations()
        );
    }

    /// <summary>The class names as ML.NET's annotations take them.</summary>
    private void Names(ref VBuffer<ReadOnlyMemory<char>> target)
    {
        var editor = VBufferEditor.Create(ref target, classifier.ClassNames.Count);
        for (var index = 0; index < classifier.ClassNames.Count; index++)
            editor.Values[index] = classifier.ClassNames[index].AsMemory();
        target = editor.Commit();
    }

    /// <summary>
    /// Collects pictures as pixels in one array, which grows to a batch and is used again.
    /// </summary>
    private sealed class Builder : BatchBuilder
    {
        private readonly ImageScorer scorer;
        private readonly RowPixels reader;
        private readonly int stride;
        private readonly int capacity;
        private readonly bool isScored;
        private readonly List<bool> valid = [];
        private readonly Batch batch;
        private readonly BoundRuns bound = new();
        private float[] pixels = [];

        public Builder(
            ImageScorer scorer,
            DataViewRow row,
            IReadOnlyList<ScoredColumn> columns,
            bool isScored,
            int capacity
        )
        {
            this.scorer = scorer;
            this.isScored = isScored;
            var card = scorer.Classifier.Card;
            stride = card.Stride;
            this.capacity = (int)
                Math.Min(capacity, Math.Max(1, BatchSizer.ChosenBytes / (sizeof(float) * (long)stride)));
            reader = new RowPixels(row, row.Schema[scorer.InputColumns[0]], card);
            batch = new Batch(scorer, columns);
        }

        public override int Count => valid.Count;

        public override AddResult Add()
        {
            Grow();
            var target = pixels.AsSpan(valid.Count * stride, stride);
            try
            {
                reader.Read(target);
                valid.Add(true);
                return AddResult.Added;
            }
            catch (InvalidPictureException error) when (scorer.Options.OnInvalidImage != OnInvalidImage.Throw)
            {
                // Not in the filter above: what the callback throws would be lost there.
                scorer.Tell(error);
                if (scorer.SkipsRows)
                    return AddResult.Skipped;
                target.Clear();
                valid.Add(false);
                return AddResult.Added;
            }
        }

        public override ScoredBatch Score()
        {
            var count = valid.Count;
            try
            {
                var (logits, probabilities) = batch.Prepare(valid);
                if (!isScored)
                    return batch;
                scorer.Run(bound, pixels, stride, count, logits, probabilities);
                // Nobody may take what the network says of no picture for a result: missing, in ML.NET, is NaN.
                var classes = scorer.Classifier.ClassNames.Count;
                for (var row = 0; row < count; row++)
                {
                    if (valid[row])
                        continue;
                    logits.AsSpan(row * classes, classes).Fill(float.NaN);
                    probabilities.AsSpan(row * classes, classes).Fill(float.NaN);
                }

                return batch;
            }
            finally
            {
                valid.Clear();
            }
        }

        public override void Clear() => valid.Clear();

        public override void Dispose()
        {
            bound.Dispose();
            Return();
        }

        /// <summary>One more row fits. A single row's array is its own: the pool's are up to twice as large.</summary>
        private void Grow()
        {
            var need = (valid.Count + 1) * (long)stride;
            if (need <= pixels.Length)
                return;
            var size = Math.Max(need, Math.Min(Math.Max((long)capacity * stride, 2L * pixels.Length), Array.MaxLength));
            if (need > Array.MaxLength)
                throw new InvalidOperationException(
                    $"{valid.Count + 1} rows of {stride} numbers are more than one array holds; set a smaller BatchSize"
                );
            var larger =
                capacity == 1 && valid.Count == 0 ? new float[stride] : ArrayPool<float>.Shared.Rent((int)size);
            pixels.AsSpan(0, valid.Count * stride).CopyTo(larger);
            bound.Dispose();
            Return();
            pixels = larger;
        }

        private void Return()
        {
            if (pixels.Length > stride)
                ArrayPool<float>.Shared.Return(pixels);
            pixels = [];
        }
    }

    private ImageClassifier Classifier => classifier;

    private ImageClassificationOptions Options => options;

    /// <summary>Counts and names a picture that cannot be read.</summary>
    private void Tell(InvalidPictureException error)
    {
        Interlocked.Increment(ref invalid);
        options.InvalidImage?.Invoke(error);
    }

    /// <summary>The results of the batch of now: the next one is written into the same arrays.</summary>
    private sealed class Batch(ImageScorer scorer, IReadOnlyList<ScoredColumn> columns) : ScoredBatch
    {
        private readonly List<bool> valid = [];
        private float[] logits = [];
        private float[] probabilities = [];

        public override int Rows => valid.Count;

        private IReadOnlyList<string> ClassNames => scorer.Classifier.ClassNames;

        /// <summary>Makes room for a batch.</summary>
        public (float[] Logits, float[] Probabilities) Prepare(List<bool> rows)
        {
            var size = rows.Count * ClassNames.Count;
            if (logits.Length < size)
            {
                logits = new float[size];
                probabilities = new float[size];
            }

            valid.Clear();
            valid.AddRange(rows);
            return (logits, probabilities);
        }

        public override void Read<TValue>(int column, int row, ref TValue value)
        {
            var options = scorer.Options;
            var name = columns[column].Name;
            var classes = ClassNames.Count;
            if (typeof(TValue) == typeof(VBuffer<float>))
            {
                ref var vector = ref Unsafe.As<TValue, VBuffer<float>>(ref value);
                if (name == options.ScoreColumn)
                    Fill(probabilities.AsSpan(row * classes, classes), ref vector);
                else if (name == options.LogitsColumn)
                    Fill(logits.AsSpan(row * classes, classes), ref vector);
                else
                    Fill<float>([.. Top(row).Select(best => probabilities[(row * classes) + best])], ref vector);
            }
            else if (typeof(TValue) == typeof(VBuffer<ReadOnlyMemory<char>>))
            {
                var isKnown = Best(row) is not null;
                Fill<ReadOnlyMemory<char>>(
                    [.. Top(row).Select(best => isKnown ? ClassNames[best].AsMemory() : default)],
                    ref Unsafe.As<TValue, VBuffer<ReadOnlyMemory<char>>>(ref value)
                );
            }
            else if (typeof(TValue) == typeof(ReadOnlyMemory<char>))
            {
                Unsafe.As<TValue, ReadOnlyMemory<char>>(ref value) = Best(row) is { } best
                    ? ClassNames[best].AsMemory()
                    : default;
            }
            else if (typeof(TValue) == typeof(uint))
            {
                // keys count from 1; 0 is missing
                Unsafe.As<TValue, uint>(ref value) = Best(row) is { } best ? (uint)best + 1 : 0;
            }
            else if (typeof(TValue) == typeof(bool))
            {
                Unsafe.As<TValue, bool>(ref value) = valid[row];
            }
            else
            {
                throw new InvalidOperationException(
                    $"the column '{name}' is {columns[column].Type}, and a {typeof(TValue)} was asked for"
                );
            }
        }

        /// <summary>The most probable class; null for no picture, and where the network says NaN.</summary>
        private int? Best(int row) =>
            ImageClassifier.BestClass(logits.AsSpan(row * ClassNames.Count, ClassNames.Count));

        /// <summary>The most probable classes of a row, the most probable first.</summary>
        private IEnumerable<int> Top(int row) =>
            Enumerable
                .Range(0, ClassNames.Count)
                .OrderByDescending(c => logits[(row * ClassNames.Count) + c])
                .Take(scorer.Options.TopK!.Value);
    }
}
