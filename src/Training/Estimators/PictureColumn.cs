using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Estimators;

/// <summary>The pictures and classes of a data view.</summary>
/// <param name="Pictures">Picture and class number of every row.</param>
/// <param name="ClassNames">Class names, in the order of the key or in alphabetical order.</param>
/// <param name="IsKey">Whether the label column is a key.</param>
internal sealed record PictureColumn(PictureSet Pictures, IReadOnlyList<string> ClassNames, bool IsKey)
{
    /// <summary>Number of rows that are decoded together.</summary>
    private const int Chunk = 64;

    /// <summary>Reads a data view once; pictures are decoded on all cores and kept at the network's size, in a file
    /// if there are many.</summary>
    /// <exception cref="UserException">A column is missing or has an unsupported type, or a picture cannot be
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
                $"The column '{options.LabelColumn}' has the type {label.Type}; supported types are text, and keys "
                    + "with names. Convert columns of other types with MapValueToKey."
            );
        var size = options.Size;
        var stride = 3 * size * size;
        var planes = new PixelSpool(stride);
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
                $"The class '{stranger}' in the validation data does not occur in the training data, whose "
                    + $"classes are {string.Join(", ", names.Take(12))}."
            );
        return new PictureColumn(
            new PictureSet(planes.Finish(), [.. labels.Select(name => index[name])], size, size),
            names,
            isKey
        );
    }

    private static void Decode(List<Action<byte[]>> pending, PixelSpool planes, int stride)
    {
        var made = new byte[pending.Count][];
        try
        {
            Parallel.For(0, pending.Count, i => pending[i](made[i] = new byte[stride]));
        }
        catch (AggregateException errors)
            when (errors.InnerExceptions.OfType<InvalidPictureException>().FirstOrDefault() is { } error)
        {
            throw new UserException($"{error.Message}. Remove its row, or replace the picture.", error);
        }

        foreach (var picture in made)
            planes.Add(picture);
        pending.Clear();
    }

    /// <summary>Returns a function that captures the current row's picture and returns its decoder, which may run on
    /// any thread.</summary>
    /// <param name="cursor">Cursor of the data view.</param>
    /// <param name="column">A column of text, bytes or MLImage.</param>
    /// <param name="size">Height and width in pixels.</param>
    /// <param name="reading">How files are decoded and resized.</param>
    /// <exception cref="UserException">The column has another type.</exception>
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
                    $"The column '{column.Name}' has the type {column.Type}; supported types are text (paths of "
                        + "files), vectors of bytes (encoded pictures) and MLImage."
                );
        }
    }

    /// <summary>Returns a function that reads a row's class.</summary>
    /// <param name="cursor">Cursor of the data view.</param>
    /// <param name="column">A column of text, or a key with names.</param>
    /// <exception cref="UserException">The column has another type; or, when the function is called, a row has no
    /// class.</exception>
    private static Func<string> LabelReader(DataViewRowCursor cursor, DataViewSchema.Column column)
    {
        string Named(string name) =>
            name.Length > 0
                ? name
                : throw new UserException(
                    FormattableString.Invariant(
                        $"Row {cursor.Position} has no class in '{column.Name}'. Remove the row."
                    )
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
                $"The column '{column.Name}' is a key of {column.Type.RawType.Name}; only keys of UInt32 are "
                    + $"supported, as created by MapValueToKey."
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

    /// <summary>The names of a key's values, in order.</summary>
    /// <param name="column">A key column.</param>
    /// <exception cref="UserException">Its values have no names.</exception>
    private static string[] KeyNames(DataViewSchema.Column column)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        if (
            column.Annotations.Schema.GetColumnOrNull("KeyValues")
            is not { Type: VectorDataViewType { ItemType: TextDataViewType } }
        )
            throw new UserException(
                $"The key '{column.Name}' has no names. Create it from a text column with MapValueToKey, so that "
                    + $"it has names."
            );
        column.GetKeyValues(ref names);
        return [.. names.DenseValues().Select(name => name.ToString())];
    }

    /// <summary>Finds a column by name.</summary>
    /// <param name="view">The data.</param>
    /// <param name="name">Name of the column.</param>
    /// <exception cref="UserException">There is no such column; the message lists the columns.</exception>
    private static DataViewSchema.Column Column(IDataView view, string name) =>
        view.Schema.GetColumnOrNull(name)
        ?? throw new UserException(
            $"There is no column '{name}'; the columns are "
                + $"{string.Join(", ", view.Schema.Select(column => column.Name))}."
        );
}
