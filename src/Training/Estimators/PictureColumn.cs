using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Estimators;

/// <summary>The pictures and classes of a data view.</summary>
/// <param name="Pictures">Every row's picture and class number.</param>
/// <param name="ClassNames">In the order of the key, or of their names.</param>
/// <param name="IsKey">Whether the column of classes is a key.</param>
internal sealed record PictureColumn(PictureSet Pictures, IReadOnlyList<string> ClassNames, bool IsKey)
{
    /// <summary>Rows that are decoded together.</summary>
    private const int Chunk = 64;

    /// <summary>Reads a view through once; pictures are decoded on all cores and kept at the network's size.</summary>
    /// <exception cref="UserException">A column is missing or of a type that is not read, or a picture cannot be
    /// read.</exception>
    public static PictureColumn Read(
        IDataView view,
        TuneImagesOptions options,
        PictureReading reading,
        IReadOnlyList<string>? classNames
    )
    {
        var image = Column(view, options.ImageColumn);
        var label = Column(view, options.LabelColumn);
        var isKey = label.Type is KeyDataViewType;
        if (!isKey && label.Type is not TextDataViewType)
            throw new UserException(
                $"The column '{options.LabelColumn}' has the type {label.Type}; read are text and keys "
                    + "with names. MapValueToKey makes a key of other types."
            );
        var size = options.Size;
        var stride = 3 * size * size;
        List<byte[]> planes = [];
        List<string> labels = [];
        List<Action<byte[]>> pending = [];
        using (var cursor = view.GetRowCursor([image, label]))
        {
            var next = Decoder(cursor, image, size, reading);
            var nextLabel = LabelReader(cursor, label);
            while (cursor.MoveNext())
            {
                options.Cancellation.ThrowIfCancellationRequested();
                labels.Add(nextLabel());
                pending.Add(next());
                if (pending.Count == Chunk)
                    Decode(pending, planes, stride);
            }
        }

        Decode(pending, planes, stride);
        var names = classNames
            ?? (isKey ? KeyNames(label) : [.. labels.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]);
        var index = names
            .Select((name, i) => (name, i))
            .ToDictionary(pair => pair.name, pair => pair.i, StringComparer.Ordinal);
        if (labels.FirstOrDefault(name => !index.ContainsKey(name)) is { } stranger)
            throw new UserException(
                $"The class '{stranger}' of the validation data is not among the training data's: {string.Join(", ", names.Take(12))}."
            );
        if ((long)planes.Count * stride > Array.MaxLength)
            throw new UserException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{planes.Count:N0} pictures of {size} x {size} pixels are more than is held in "
                        + $"memory ({Array.MaxLength / 1e9:F1} GB). Use a smaller {nameof(options.Size)}, or "
                        + $"fewer rows."
                )
            );
        var pixels = new byte[planes.Count * stride];
        for (var position = 0; position < planes.Count; position++)
            planes[position].CopyTo(pixels, position * stride);
        return new PictureColumn(
            new PictureSet(pixels, [.. labels.Select(name => index[name])], size, size),
            names,
            isKey
        );
    }

    /// <summary>Decodes a batch of rows on all cores, and forgets what made them.</summary>
    /// <param name="pending">What decodes each row into 3 x size x size bytes.</param>
    /// <param name="planes">Receives the pictures, in the order of the rows.</param>
    /// <param name="stride">Bytes of one picture.</param>
    private static void Decode(List<Action<byte[]>> pending, List<byte[]> planes, int stride)
    {
        var made = new byte[pending.Count][];
        try
        {
            Parallel.For(0, pending.Count, i => pending[i](made[i] = new byte[stride]));
        }
        catch (AggregateException errors)
            when (errors.InnerExceptions.OfType<InvalidPictureException>().FirstOrDefault() is { } error)
        {
            throw new UserException($"{error.Message}. Leave its row out, or replace it.", error);
        }

        planes.AddRange(made);
        pending.Clear();
    }

    /// <summary>Takes what a row holds now; what it gives decodes it, on any thread.</summary>
    /// <param name="cursor">Where the view is read.</param>
    /// <param name="column">Text, bytes or MLImage.</param>
    /// <param name="size">Height and width in pixels.</param>
    /// <param name="reading">How files become pixels.</param>
    /// <exception cref="UserException">The column is of another type.</exception>
    private static Func<Action<byte[]>> Decoder(
        DataViewRowCursor cursor,
        DataViewSchema.Column column,
        int size,
        PictureReading reading
    )
    {
        switch (column.Type)
        {
            case TextDataViewType:
                var path = cursor.GetGetter<ReadOnlyMemory<char>>(column);
                return () =>
                {
                    ReadOnlyMemory<char> value = default;
                    path(ref value);
                    var file = value.ToString();
                    return planes => PictureReader.ReadFile(file, size, size, planes, reading);
                };
            case ImageDataViewType:
                var image = cursor.GetGetter<MLImage>(column);
                return () =>
                {
                    MLImage? value = null;
                    image(ref value!);
                    var planes = new byte[3 * size * size];
                    using (value)
                        PictureReader.Read(value, size, size, planes, reading);
                    return target => planes.CopyTo(target, 0);
                };
            case VectorDataViewType { ItemType: NumberDataViewType { RawType: var item } } when item == typeof(byte):
                var encoded = cursor.GetGetter<VBuffer<byte>>(column);
                return () =>
                {
                    VBuffer<byte> value = default;
                    encoded(ref value);
                    var bytes = value.DenseValues().ToArray();
                    var name = FormattableString.Invariant($"the picture of row {cursor.Position}");
                    return planes => PictureReader.Read(bytes, name, size, size, planes, reading);
                };
            default:
                throw new UserException(
                    $"The column '{column.Name}' has the type {column.Type}; read are text (paths of "
                        + "files), vectors of bytes (encoded pictures) and MLImage."
                );
        }
    }

    /// <summary>What reads a row's class.</summary>
    /// <param name="cursor">Where the view is read.</param>
    /// <param name="column">Text, or a key with names.</param>
    /// <exception cref="UserException">The column is of another type; or, when it is called, a row has no
    /// class.</exception>
    private static Func<string> LabelReader(DataViewRowCursor cursor, DataViewSchema.Column column)
    {
        string Named(string name) =>
            name.Length > 0
                ? name
                : throw new UserException(
                    FormattableString.Invariant($"Row {cursor.Position} has no class in '{column.Name}'. Leave it out.")
                );
        if (column.Type is not KeyDataViewType)
        {
            var text = cursor.GetGetter<ReadOnlyMemory<char>>(column);
            return () =>
            {
                ReadOnlyMemory<char> value = default;
                text(ref value);
                return Named(value.ToString());
            };
        }

        if (column.Type.RawType != typeof(uint))
            throw new UserException(
                $"The column '{column.Name}' is a key of {column.Type.RawType.Name}; read are keys of UInt32, as MapValueToKey makes them."
            );
        var names = KeyNames(column);
        var key = cursor.GetGetter<uint>(column);
        return () =>
        {
            uint value = 0;
            key(ref value);
            return Named(value == 0 ? "" : names[(int)value - 1]);
        };
    }

    /// <summary>Names of a key's values, in their order.</summary>
    /// <param name="column">A key.</param>
    /// <exception cref="UserException">Its values have no names.</exception>
    private static string[] KeyNames(DataViewSchema.Column column)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        if (
            column.Annotations.Schema.GetColumnOrNull("KeyValues")
            is not { Type: VectorDataViewType { ItemType: TextDataViewType } }
        )
            throw new UserException(
                $"The key '{column.Name}' has no names. MapValueToKey of a column of text makes one that has."
            );
        column.GetKeyValues(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }

    /// <summary>A column by its name.</summary>
    /// <param name="view">The data.</param>
    /// <param name="name">As the options have it.</param>
    /// <exception cref="UserException">There is none; the message lists what there is.</exception>
    private static DataViewSchema.Column Column(IDataView view, string name) =>
        view.Schema.GetColumnOrNull(name)
        ?? throw new UserException(
            $"There is no column '{name}'; there are {string.Join(", ", view.Schema.Select(column => column.Name))}."
        );
}
