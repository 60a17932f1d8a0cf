using System.Buffers;
using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Scoring;

/// <summary>
/// Classifies pictures in batches. Single rows use a session whose threads share a picture; batches use
/// single-threaded sessions that run a part each.
/// </summary>
/// <param name="classifier">Runs single pictures and small batches; disposed together with this object.</param>
/// <param name="openOneThreaded">Opens a single-threaded classifier for parts of batches when the first large batch
/// arrives.</param>
/// <param name="options">Columns, batch size, and handling of unreadable pictures.</param>
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

    /// <summary>The picture column.</summary>
    public override IReadOnlyList<string> InputColumns { get; } = [options.ImageColumn];

    /// <summary>Determines the batch size, taking the picture size into account.</summary>
    public override BatchSizer Sizer { get; } = new(options.BatchSize, (long)sizeof(float) * classifier.Card.Stride);

    /// <summary>Whether rows with unreadable pictures are skipped.</summary>
    public override bool SkipsRows => options.OnInvalidImage == OnInvalidImage.Skip;

    /// <summary>Number of pictures that could not be read so far.</summary>
    public long InvalidImages => Interlocked.Read(ref invalid);

    /// <summary>The output columns for an input.</summary>
    /// <param name="input">Columns of the data.</param>
    /// <returns>Scores, label, and the columns that the options request, in this order.</returns>
    /// <exception cref="ArgumentException">A column is missing or has a type that cannot be scored.</exception>
    public IReadOnlyList<ScoredColumn> OutputsFor(DataViewSchema input)
    {
        var column = input.GetColumnOrNull(options.ImageColumn)
            ?? throw new ArgumentException(
                $"there is no column '{options.ImageColumn}'; the columns are "
                    + $"{string.Join(", ", input.Select(item => item.Name))}"
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

    /// <summary>The single-threaded classifier, opened on demand.</summary>
    private ImageClassifier OneThreaded()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(isDisposed, typeof(ImageClassificationTransformer));
            return oneThreaded ??= openOneThreaded();
        }
    }

    /// <summary>
    /// Runs a batch whole or in parts, on arrays that stay bound across batches.
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

    /// <summary>The label column: text, or keys with the class names as values.</summary>
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

    /// <summary>The class names for ML.NET's annotations.</summary>
    private void Names(ref VBuffer<ReadOnlyMemory<char>> target)
    {
        var editor = VBufferEditor.Create(ref target, classifier.ClassNames.Count);
        for (var index = 0; index < classifier.ClassNames.Count; index++)
            editor.Values[index] = classifier.ClassNames[index].AsMemory();
        target = editor.Commit();
    }

    /// <summary>
    /// Collects pictures as pixels in one array, which grows to the size of a batch and is reused.
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
        private readonly DecodingAhead? ahead;
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
            // A single row is needed immediately.
            ahead = capacity > 1 && scorer.parts > 1 ? new DecodingAhead(scorer.parts) : null;
        }

        public override int Count => valid.Count;

        public override AddResult Add()
        {
            Grow();
            if (ahead is not null && reader.Take() is { } read)
            {
                var row = pixels.AsMemory(valid.Count * stride, stride);
                ahead.Begin(() => Decode(read, row));
                valid.Add(true);
                return AddResult.Added;
            }

            var target = pixels.AsSpan(valid.Count * stride, stride);
            try
            {
                reader.Read(target);
                valid.Add(true);
                return AddResult.Added;
            }
            catch (InvalidPictureException error) when (scorer.Options.OnInvalidImage != OnInvalidImage.Throw)
            {
                // Not in the filter above, where an exception of the callback would be lost.
                scorer.Tell(error);
                if (scorer.SkipsRows)
                    return AddResult.Skipped;
                target.Clear();
                valid.Add(false);
                return AddResult.Added;
            }
        }

        public override (IReadOnlyList<int>? Left, Exception? Error) Settle()
        {
            var errors = ahead?.Finish() ?? [];
            List<int>? left = null;
            for (var row = 0; row < errors.Length; row++)
            {
                if (errors[row] is null)
                {
                    left?.Add(row);
                    continue;
                }

                if (WhyFatal(errors[row]!) is { } fatal)
                {
                    valid.RemoveRange(row, valid.Count - row);
                    CloseUp(left);
                    return (left, fatal);
                }

                if (scorer.SkipsRows)
                {
                    left ??= [.. Enumerable.Range(0, row)];
                    continue;
                }

                pixels.AsSpan(row * stride, stride).Clear();
                valid[row] = false;
            }

            CloseUp(left);
            return (left, null);
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
                // The network's output without a picture must not look like a result: in ML.NET, missing is NaN.
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

        public override void Clear()
        {
            _ = ahead?.Finish();
            valid.Clear();
        }

        public override void Dispose()
        {
            ahead?.Wait();
            bound.Dispose();
            Return();
        }

        private void Decode(PlaneReader read, Memory<float> target)
        {
            var planes = ArrayPool<byte>.Shared.Rent(stride);
            try
            {
                read(planes.AsSpan(0, stride));
                var row = target.Span;
                for (var i = 0; i < row.Length; i++)
                    row[i] = planes[i];
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(planes);
            }
        }

        /// <summary>Returns the exception that ends reading: the error itself if it is to be thrown, or an exception
        /// of the callback. Otherwise the picture is counted and reported.</summary>
        private Exception? WhyFatal(Exception error)
        {
            if (error is not InvalidPictureException picture || scorer.Options.OnInvalidImage == OnInvalidImage.Throw)
                return error;
            try
            {
                scorer.Tell(picture);
                return null;
            }
            catch (Exception told)
            {
                return told;
            }
        }

        /// <summary>Moves the remaining rows to the beginning.</summary>
        private void CloseUp(List<int>? left)
        {
            if (left is null)
                return;
            for (var row = 0; row < left.Count; row++)
            {
                if (left[row] != row)
                    pixels.AsSpan(left[row] * stride, stride).CopyTo(pixels.AsSpan(row * stride));
            }

            valid.RemoveRange(left.Count, valid.Count - left.Count);
        }

        /// <summary>Makes room for one more row. A single row has an exact array of its own: pooled arrays are up to
        /// twice as large.</summary>
        private void Grow()
        {
            var need = (valid.Count + 1) * (long)stride;
            if (need <= pixels.Length)
                return;
            ahead?.Wait(); // they write to the array that is about to be replaced
            var size = Math.Max(need, Math.Min(Math.Max((long)capacity * stride, 2L * pixels.Length), Array.MaxLength));
            if (need > Array.MaxLength)
                throw new InvalidOperationException(
                    $"{valid.Count + 1} rows of {stride} values exceed the size of an array; set a smaller BatchSize"
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

    /// <summary>Counts and reports a picture that cannot be read.</summary>
    private void Tell(InvalidPictureException error)
    {
        Interlocked.Increment(ref invalid);
        options.InvalidImage?.Invoke(error);
    }

    /// <summary>The results of the current batch; the next one is written to the same arrays.</summary>
    private sealed class Batch(ImageScorer scorer, IReadOnlyList<ScoredColumn> columns) : ScoredBatch
    {
        private readonly List<bool> valid = [];
        private float[] logits = [];
        private float[] probabilities = [];

        public override int Rows => valid.Count;

        private IReadOnlyList<string> ClassNames => scorer.Classifier.ClassNames;

        /// <summary>Prepares arrays for a batch.</summary>
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
                    $"the column '{name}' is {columns[column].Type}, but {typeof(TValue)} was requested"
                );
            }
        }

        /// <summary>The most probable class; null without a picture and if the network returns NaN.</summary>
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
