using System.Xml;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>
/// Reads folders of pictures named after their classes: <c>cat/1.jpg</c>, or <c>train/cat/1.jpg</c> and
/// <c>test/cat/2.jpg</c>. Without parts they are split 80 : 10 : 10; with parts, a tenth of train becomes validation.
/// The split is stratified by class and determined by the seed.
/// </summary>
internal static class PictureFolder
{
    private const string Train = "train",
        Validation = "validation",
        Test = "test";

    /// <summary>Fewest pictures of a class from which a part can be split off, because a tenth of fewer would be
    /// none.</summary>
    private const int FewestToSplit = 10;

    /// <summary>Reads a data set.</summary>
    /// <param name="path">The folder or archive.</param>
    /// <param name="height">Height in pixels to which pictures are resized.</param>
    /// <param name="width">Width in pixels to which pictures are resized.</param>
    /// <param name="seed">Seed of the split, if the set has no parts.</param>
    /// <param name="progress">Receives the number of pictures so far and the total.</param>
    /// <param name="reading">How files are decoded and resized; null to do as stock ML.NET does.</param>
    /// <returns>The pictures in memory, and the files of the test part in order.</returns>
    /// <exception cref="UserException">The data set is not valid; the message names the file or folder.</exception>
    public static (PictureData Data, IReadOnlyList<EncodedPicture> TestFiles) Load(
        string path,
        int height,
        int width,
        int seed,
        Action<int, int>? progress = null,
        PictureReading? reading = null
    )
    {
        var placed = Place(path, out var leftOut);
        var classes = placed.Select(item => item.Class).Distinct().Order(StringComparer.Ordinal).ToArray();
        if (classes.Length < 2)
            throw new UserException(
                $"--data {path}: there is only one class ('{classes[0]}'). A classifier needs at least two "
                    + "subfolders with pictures."
            );

        var (parts, note) = Parts([.. placed.Select(item => item.Part)]);
        RefuseLackingClasses(path, placed, parts);
        var numbers = classes.Select((name, i) => (name, i)).ToDictionary(pair => pair.name, pair => pair.i);
        var decoded = new DecodedPictures([.. placed.Select(item => item.Picture)], height, width, reading);
        int[] labels = [.. placed.Select(item => numbers[item.Class])];
        var set = new PictureSet(decoded.Load(progress), labels, height, width) { Sources = decoded.Sources };
        var (training, validation, test) = Split(parts, set.Labels, seed);
        return (
            new PictureData(path, classes, set.Select(training), set.Select(validation), set.Select(test))
            {
                Note = (leftOut.Text, note) is (null, null)
                    ? null
                    : string.Join(Environment.NewLine, ((string?[])[leftOut.Text, note]).OfType<string>()),
                Overlap = PartOverlap.Describe(
                    [.. placed.Select(item => item.Picture.Name)],
                    decoded.Digests,
                    ("training", training),
                    ("validation", validation),
                    ("test", test)
                ),
            },
            [.. test.Select(index => placed[index].Picture)]
        );
    }

    /// <summary>The pictures of a data set with their parts and classes, not decoded.</summary>
    /// <param name="path">The folder or archive.</param>
    /// <exception cref="UserException">The pictures are not in folders named after their classes.</exception>
    public static IReadOnlyList<PlacedPicture> Place(string path) => Place(path, out _);

    /// <summary>
    /// The pictures of a data set with their parts and classes, not decoded, and the files that do not count.
    /// </summary>
    /// <param name="path">The folder or archive.</param>
    /// <param name="leftOut">Files that do not count, and why.</param>
    /// <returns>The pictures, in the order of their names.</returns>
    /// <exception cref="UserException">The pictures are not in folders named after their classes.</exception>
    public static IReadOnlyList<PlacedPicture> Place(string path, out LeftOut leftOut)
    {
        var found = PictureFiles.Find(path);
        (var pictures, var folders, leftOut) = found;
        if (pictures.Count == 0)
            throw new UserException(
                $"--data {path}: it contains no pictures ({PictureNames.Endings}). Expected are subfolders named "
                    + $"after the classes, with pictures in them.{After(leftOut)}"
            );
        var root = CommonRoot(pictures, folders);
        var placed = pictures
            .Select(picture => new PlacedPicture(
                picture,
                PartOf(picture.Name, root),
                ClassOf(picture.Name, root, path)
            ))
            .ToArray();
        RefuseStrangers(path, root, placed);
        RefuseEmptyFolders(path, root, folders, placed, leftOut);
        RefuseNames(path, placed);
        return placed;
    }

    /// <summary>How training uses the parts if that differs from their names; otherwise null.</summary>
    /// <param name="placed">The pictures of a data set.</param>
    public static string? NoteOn(IEnumerable<PlacedPicture> placed) =>
        Parts([.. placed.Select(item => item.Part)]).Note;

    /// <summary>The report of left-out files, to follow another sentence; empty if there are none.</summary>
    /// <param name="leftOut">The files that were left out.</param>
    private static string After(LeftOut leftOut) => leftOut.Text is { } text ? $" {text}" : "";

    /// <summary>Determines the part of each picture, with a note for the user.</summary>
    /// <param name="parts">The part that each picture's folder names; null if there are no parts.</param>
    /// <returns>The part of each picture, and a note: without a test part, the validation part becomes the test part;
    /// a training part alone is split as if there were no parts.</returns>
    private static (string?[] Parts, string? Note) Parts(string?[] parts)
    {
        bool Has(string name) => parts.Contains(name);
        if (Has(Validation) && Has(Train) && !Has(Test))
        {
            // Many data sets have only train and val and report results on val, so that is the part that no decision
            // may be based on.
            return (
                [.. parts.Select(part => part == Validation ? Test : part)],
                "There is no test part: the validation part is used for testing, and a tenth of the training "
                    + "part for validation."
            );
        }

        return Has(Train) && !Has(Validation) && !Has(Test)
            ? (
                new string?[parts.Length],
                "There is only a training part: a tenth of it is used for validation and a tenth for testing."
            )
            : (parts, null);
    }

    /// <summary>
    /// Checks that every class occurs in every part: a class that is never trained on cannot be recognized, and one
    /// that is never tested has no result.
    /// </summary>
    /// <param name="path">Path of the data set, for error messages.</param>
    /// <param name="placed">The pictures.</param>
    /// <param name="parts">Part of each picture.</param>
    /// <exception cref="UserException">A class is missing from a part, or has too few pictures to split.</exception>
    private static void RefuseLackingClasses(string path, IReadOnlyList<PlacedPicture> placed, string?[] parts)
    {
        var hasParts = parts.Any(part => part is not null);
        foreach (
            var group in Enumerable
                .Range(0, parts.Length)
                .GroupBy(i => placed[i].Class)
                .OrderBy(group => group.Key, StringComparer.Ordinal)
        )
        {
            int In(string? part) => group.Count(i => parts[i] == part);
            var forTraining = hasParts ? In(Train) : In(null);
            if (hasParts && (forTraining == 0 || In(Test) == 0))
                throw new UserException(
                    $"--data {path}: the class '{group.Key}' has {In(Train)} pictures in the training part and "
                        + $"{In(Test)} in the test part. Every class must be in both: add pictures, or remove "
                        + "its folders."
                );
            if (parts.Contains(Validation) ? In(Validation) == 0 : forTraining < FewestToSplit)
                throw new UserException(
                    parts.Contains(Validation)
                        ? $"--data {path}: the class '{group.Key}' has no picture in the validation part. Every "
                            + "class must be in every part: add pictures, or remove its folders."
                        : string.Create(
                            System.Globalization.CultureInfo.InvariantCulture,
                            $"--data {path}: the class '{group.Key}' has only {forTraining} pictures to "
                                + $"split. Every class needs at least {FewestToSplit}"
                        )
                            + ", because a tenth of them is held out. Add pictures, or split the data yourself "
                            + "into train/, validation/ and test/."
                );
        }
    }

    private static (int[] Training, int[] Validation, int[] Test) Split(string?[] parts, int[] labels, int seed)
    {
        List<int> training = [],
            validation = [],
            test = [];
        var hasParts = parts.Any(part => part is not null);
        foreach (var group in Enumerable.Range(0, labels.Length).GroupBy(i => labels[i]).OrderBy(group => group.Key))
        {
            test.AddRange(group.Where(i => parts[i] == Test));
            validation.AddRange(group.Where(i => parts[i] == Validation));
            var rest = group.Where(i => parts[i] is null or Train).ToArray();
            var order = new Draw(seed, 7, group.Key).Permutation(rest.Length).Select(i => rest[i]).ToArray();
            var tenth = rest.Length / 10;
            var forTest = hasParts ? 0 : tenth;
            var forValidation = parts.Contains(Validation) ? 0 : tenth;
            test.AddRange(order.Take(forTest).Order());
            validation.AddRange(order.Skip(forTest).Take(forValidation).Order());
            training.AddRange(order.Skip(forTest + forValidation).Order());
        }

        return ([.. training], [.. validation], [.. test]);
    }

    /// <summary>
    /// The part that a path names: <c>train</c>, <c>validation</c> or <c>test</c>, in any letter case, or one of
    /// their longer forms.
    /// </summary>
    /// <param name="name">The picture's path.</param>
    /// <param name="root">Common prefix of all paths.</param>
    private static string? PartOf(string name, string root) =>
        name[root.Length..].Split('/')[0].ToUpperInvariant() switch
        {
            "TRAIN" or "TRAINING" when HasClassBelow(name, root) => Train,
            "TEST" or "TESTING" when HasClassBelow(name, root) => Test,
            "VAL" or "VALID" or "VALIDATION" when HasClassBelow(name, root) => Validation,
            _ => null,
        };

    /// <summary>
    /// Whether a path has a class between the part and the file: a class may itself be called test.
    /// </summary>
    /// <param name="name">The picture's path.</param>
    /// <param name="root">Common prefix of all paths.</param>
    private static bool HasClassBelow(string name, string root) => name[root.Length..].Split('/').Length >= 3;

    /// <summary>The folder that a picture's class is named after.</summary>
    /// <param name="name">The picture's path.</param>
    /// <param name="root">Common prefix of all paths.</param>
    /// <param name="path">Path of the data set, for error messages.</param>
    /// <exception cref="UserException">The picture is not in a class folder.</exception>
    private static string ClassOf(string name, string root, string path)
    {
        var segments = name[root.Length..].Split('/');
        var at = PartOf(name, root) is null ? 0 : 1;
        return segments.Length > at + 1
            ? segments[at]
            : throw new UserException(
                $"--data {path}: {name} is not in a class subfolder. Expected is "
                    + $"CLASS/{Path.GetFileName(name)}, or train/CLASS/… and test/CLASS/…."
            );
    }

    /// <summary>
    /// The common root folder: folders that contain everything (such as an archive's top folder) have no meaning, but
    /// a single folder directly above the pictures is a class.
    /// </summary>
    /// <param name="pictures">The pictures.</param>
    /// <param name="folders">The folders, including empty ones.</param>
    /// <returns>The root with a trailing slash, or an empty string.</returns>
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

    /// <summary>Refuses folders beside the parts, which belong to no part.</summary>
    /// <param name="path">Path of the data set, for error messages.</param>
    /// <param name="root">Common prefix of all paths.</param>
    /// <param name="placed">The pictures.</param>
    /// <exception cref="UserException">Some folders are parts, and a folder beside them is not.</exception>
    private static void RefuseStrangers(string path, string root, IReadOnlyList<PlacedPicture> placed)
    {
        if (
            placed.FirstOrDefault(item => item.Part is not null) is { } inPart
            && placed.FirstOrDefault(item => item.Part is null) is { } stranger
        )
            throw new UserException(
                $"--data {path}: {stranger.Picture.Name} is not in a part, but beside "
                    + $"'{inPart.Picture.Name[..(inPart.Picture.Name.IndexOf('/', root.Length) + 1)]}'. Move its folder into "
                    + "train/, validation/ or test/, or out of the data."
            );
    }

    /// <summary>Refuses a class without pictures, which would otherwise be missing silently.</summary>
    /// <param name="path">Path of the data set, for error messages.</param>
    /// <param name="root">Common prefix of all paths.</param>
    /// <param name="folders">All folders.</param>
    /// <param name="placed">The pictures.</param>
    /// <param name="leftOut">Files that do not count, which may be why a folder is empty.</param>
    /// <exception cref="UserException">A folder contains no picture.</exception>
    private static void RefuseEmptyFolders(
        string path,
        string root,
        HashSet<string> folders,
        IReadOnlyList<PlacedPicture> placed,
        LeftOut leftOut
    )
    {
        var filled = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in placed.Select(item => item.Picture.Name))
        {
            // From the innermost folder: if a folder is known, its parents are too.
            for (var end = name.LastIndexOf('/'); end > 0 && filled.Add(name[..end]); )
                end = name.LastIndexOf('/', end - 1);
        }

        var hasParts = placed.Any(item => item.Part is not null);
        var empty = folders
            .Where(folder =>
                folder.StartsWith(root, StringComparison.Ordinal)
                && folder.Length > root.Length
                && !filled.Contains(folder)
                && folder[root.Length..].Count(letter => letter == '/') <= (hasParts ? 1 : 0)
            )
            .Order(StringComparer.Ordinal)
            .FirstOrDefault();
        if (empty is not null)
            throw new UserException(
                $"--data {path}: the class folder '{LeftOut.Printable(empty)}' contains no picture "
                    + $"({PictureNames.Endings}). Fill it, or remove it.{After(leftOut)}"
            );
    }

    /// <summary>Checks class names, which are written to files, tables, plots and pages.</summary>
    /// <param name="path">Path of the data set, for error messages.</param>
    /// <param name="placed">The pictures.</param>
    /// <exception cref="UserException">A name contains a control character or a character that is not valid in
    /// XML.</exception>
    private static void RefuseNames(string path, IReadOnlyList<PlacedPicture> placed)
    {
        foreach (var name in placed.Select(item => item.Class).Distinct())
        {
            if (name.Any(char.IsControl) || !IsText(name))
                throw new UserException(
                    $"--data {path}: the class folder '{LeftOut.Printable(name)}' has characters in its name that "
                        + "cannot be written to plots and pages. Rename it."
                );
        }

        // Trailing spaces in a name are invisible, so two such classes cannot be intended. Names that differ in
        // letter case may be.
        if (
            placed
                .Select(item => item.Class)
                .Distinct(StringComparer.Ordinal)
                .GroupBy(name => name.Trim(), StringComparer.Ordinal)
                .FirstOrDefault(names => names.Count() > 1) is
            { } alike
        )
            throw new UserException(
                $"--data {path}: there are {alike.Count()} class folders named '{alike.Key}' that differ only in "
                    + "spaces around the name. Put their pictures into one folder."
            );
    }

    /// <summary>Whether a name is valid in XML, as SVG and HTML require.</summary>
    /// <param name="name">Name of a class.</param>
    private static bool IsText(string name)
    {
        try
        {
            _ = XmlConvert.VerifyXmlChars(name);
            return true;
        }
        catch (XmlException)
        {
            return false;
        }
    }
}
