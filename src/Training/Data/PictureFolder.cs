using System.Globalization;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>
/// Class-named folders of pictures: <c>cat/1.jpg</c>, or <c>train/cat/1.jpg</c> and <c>test/cat/2.jpg</c>. Without
/// parts they are split 80 : 10 : 10, with parts a tenth of train becomes validation; each class is split alike
/// (stratified), by the seed.
/// </summary>
internal static class PictureFolder
{
    /// <summary>Reads a data set.</summary>
    /// <exception cref="UserException">Something is wrong with it; the message names the file or folder.</exception>
    public static (PictureData Data, IReadOnlyList<EncodedPicture> TestFiles) Load(
        string path,
        int height,
        int width,
        int seed,
        Action<int, int>? progress = null,
        PictureReading? reading = null
    )
    {
        var placed = Place(path);
        var classes = placed.Select(item => item.Class).Distinct().Order(StringComparer.Ordinal).ToArray();
        if (classes.Length < 2)
            throw new UserException(
                $"--data {path}: there is one class only ('{classes[0]}'). A classifier needs at least two sub-folders with pictures."
            );

        var set = Decode(
            [.. placed.Select(item => item.Picture)],
            [.. placed.Select(item => Array.IndexOf(classes, item.Class))],
            height,
            width,
            progress,
            reading
        );
        var parts = placed.Select(item => item.Part).ToArray();
        // Many sets have train and val only, and publish their figures on val: that is the part that no choice may
        // look at.
        var isValidationHeldOut = parts.Contains("validation") && !parts.Contains("test");
        if (isValidationHeldOut)
            parts = [.. parts.Select(part => part == "validation" ? "test" : part)];
        var (training, validation, test) = Split(parts, set.Labels, seed);
        foreach (var (name, part) in new[] { ("training", training), ("validation", validation), ("test", test) })
        {
            if (part.Length == 0)
                throw new UserException(
                    $"--data {path}: the {name} part would be empty. Each class needs at least 10 "
                        + "pictures, or parts of its own in train/ and test/."
                );
        }

        return (
            new PictureData(path, classes, set.Select(training), set.Select(validation), set.Select(test))
            {
                Note = isValidationHeldOut
                    ? "There is no test part: the validation part is the test part, and a tenth of the training part is for validation."
                    : null,
            },
            [.. test.Select(index => placed[index].Picture)]
        );
    }

    /// <summary>The pictures of a data set with their parts and classes, not decoded.</summary>
    /// <exception cref="UserException">It is not in folders named as the classes.</exception>
    public static IReadOnlyList<PlacedPicture> Place(string path)
    {
        var (pictures, folders) = PictureFiles.Read(path);
        if (pictures.Count == 0)
            throw new UserException(
                $"--data {path}: there is no picture in it "
                    + $"({string.Join(", ", PictureReader.Extensions)}). Expected are sub-folders named as the "
                    + "classes, with pictures in them."
            );
        var root = CommonRoot(pictures, folders);
        var placed = pictures
            .Select(picture => new PlacedPicture(
                picture,
                PartOf(picture.Name, root),
                ClassOf(picture.Name, root, path)
            ))
            .ToArray();
        RefuseEmptyFolders(path, root, folders, placed.Select(item => item.Picture.Name));
        return placed;
    }

    private static PictureSet Decode(
        EncodedPicture[] pictures,
        int[] labels,
        int height,
        int width,
        Action<int, int>? progress,
        PictureReading? reading
    )
    {
        var bytes = 3L * pictures.Length * height * width;
        if (bytes > Array.MaxLength)
            throw new UserException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{pictures.Length:N0} pictures of {width} x {height} pixels take {bytes / 1e9:F1} "
                        + $"GB; they are held in memory, in at most {Array.MaxLength / 1e9:F1} GB. Use a "
                        + $"smaller --size, or fewer pictures."
                )
            );
        var set = new PictureSet(new byte[bytes], labels, height, width);
        var done = 0;
        try
        {
            Parallel.For(0, pictures.Length, i =>
            {
                PictureReader.Read(
                    pictures[i].Bytes,
                    pictures[i].Name,
                    width,
                    height,
                    set.Pixels.AsSpan(i * set.Stride, set.Stride),
                    reading
                );
                if (Interlocked.Increment(ref done) % 500 == 0)
                    progress?.Invoke(done, pictures.Length);
            });
        }
        catch (AggregateException errors)
            when (errors.InnerExceptions.OfType<InvalidPictureException>().FirstOrDefault() is { } error)
        {
            throw new UserException($"{error.Message}. Remove or replace it.", error);
        }

        return set;
    }

    private static (int[] Training, int[] Validation, int[] Test) Split(string?[] parts, int[] labels, int seed)
    {
        List<int> training = [],
            validation = [],
            test = [];
        var hasParts = parts.Any(part => part is not null);
        foreach (var group in Enumerable.Range(0, labels.Length).GroupBy(i => labels[i]).OrderBy(group => group.Key))
        {
            test.AddRange(group.Where(i => parts[i] == "test"));
            validation.AddRange(group.Where(i => parts[i] == "validation"));
            var rest = group.Where(i => parts[i] is null or "train").ToArray();
            var order = new Draw(seed, 7, group.Key).Permutation(rest.Length).Select(i => rest[i]).ToArray();
            var tenth = rest.Length / 10;
            var forTest = hasParts ? 0 : tenth;
            var forValidation = parts.Contains("validation") ? 0 : tenth;
            test.AddRange(order.Take(forTest).Order());
            validation.AddRange(order.Skip(forTest).Take(forValidation).Order());
            training.AddRange(order.Skip(forTest + forValidation).Order());
        }

        return ([.. training], [.. validation], [.. test]);
    }

    private static string? PartOf(string name, string root) =>
        name[root.Length..].Split('/')[0].ToUpperInvariant() switch
        {
            "TRAIN" or "TRAINING" when HasClassBelow(name, root) => "train",
            "TEST" or "TESTING" when HasClassBelow(name, root) => "test",
            "VAL" or "VALID" or "VALIDATION" when HasClassBelow(name, root) => "validation",
            _ => null,
        };

    private static bool HasClassBelow(string name, string root) => name[root.Length..].Split('/').Length >= 3;

    private static string ClassOf(string name, string root, string path)
    {
        var segments = name[root.Length..].Split('/');
        var at = PartOf(name, root) is null ? 0 : 1;
        return segments.Length > at + 1
            ? segments[at]
            : throw new UserException(
                $"--data {path}: {name} is not in a class's sub-folder. Expected is "
                    + $"CLASS/{Path.GetFileName(name)}, or train/CLASS/… and test/CLASS/…."
            );
    }

    /// <summary>Folders that everything is in (an archive's top folder) say nothing; a single folder right above the
    /// pictures is a class.</summary>
    private static string CommonRoot(List<EncodedPicture> pictures, HashSet<string> folders)
    {
        var root = "";
        while (true)
        {
            var tops = pictures.Select(picture => picture.Name[root.Length..].Split('/')).ToArray();
            var next = tops[0][0];
            var siblings = folders
                .Where(folder => folder.StartsWith(root, StringComparison.Ordinal))
                .Select(folder => folder[root.Length..].Split('/')[0])
                .Where(name => name.Length > 0)
                .Distinct()
                .Count();
            if (
                siblings > 1
                || tops.Any(segments => segments[0] != next || segments.Length < 3)
                || PartOf($"{root}{next}/x/y", root) is not null
            )
                return root;
            root += next + "/";
        }
    }

    private static void RefuseEmptyFolders(string path, string root, HashSet<string> folders, IEnumerable<string> names)
    {
        var all = names.ToArray();
        var empty = folders
            .Where(folder => folder.StartsWith(root, StringComparison.Ordinal) && folder.Length > root.Length)
            .FirstOrDefault(folder => !all.Any(name => name.StartsWith(folder + "/", StringComparison.Ordinal)));
        if (empty is not null)
            throw new UserException(
                $"--data {path}: the class folder '{empty}' has no picture in it "
                    + $"({string.Join(", ", PictureReader.Extensions)}). Fill it, or remove it."
            );
    }
}
