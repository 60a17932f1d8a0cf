using System.Xml;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>
/// Class-named folders of pictures: <c>cat/1.jpg</c>, or <c>train/cat/1.jpg</c> and <c>test/cat/2.jpg</c>. Without
/// parts they are split 80 : 10 : 10, with parts a tenth of train becomes validation; each class is split alike
/// (stratified), by the seed.
/// </summary>
internal static class PictureFolder
{
    private const string Train = "train",
        Validation = "validation",
        Test = "test";

    /// <summary>Pictures of a class that a part is drawn from: a tenth of fewer is none.</summary>
    private const int FewestToSplit = 10;

    /// <summary>Reads a data set.</summary>
    /// <param name="path">The folder or archive.</param>
    /// <param name="height">Height that pictures are brought to, in pixels.</param>
    /// <param name="width">Width that pictures are brought to, in pixels.</param>
    /// <param name="seed">Decides the split where the set has no parts.</param>
    /// <param name="progress">Pictures so far, and in all.</param>
    /// <param name="reading">How files become pixels; null as stock ML.NET reads them.</param>
    /// <returns>The pictures in memory, and the test part's files in its order.</returns>
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
        var placed = Place(path, out var leftOut);
        var classes = placed.Select(item => item.Class).Distinct().Order(StringComparer.Ordinal).ToArray();
        if (classes.Length < 2)
            throw new UserException(
                $"--data {path}: there is one class only ('{classes[0]}'). A classifier needs at least two sub-folders with pictures."
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
    /// <exception cref="UserException">It is not in folders named as the classes.</exception>
    public static IReadOnlyList<PlacedPicture> Place(string path) => Place(path, out _);

    /// <summary>
    /// The pictures of a data set with their parts and classes, not decoded, and what does not count.
    /// </summary>
    /// <param name="path">The folder or archive.</param>
    /// <param name="leftOut">What does not count, and why.</param>
    /// <returns>In the order of their names.</returns>
    /// <exception cref="UserException">It is not in folders named as the classes.</exception>
    public static IReadOnlyList<PlacedPicture> Place(string path, out LeftOut leftOut)
    {
        var found = PictureFiles.Find(path);
        (var pictures, var folders, leftOut) = found;
        if (pictures.Count == 0)
            throw new UserException(
                $"--data {path}: there is no picture in it ({PictureNames.Endings}). Expected are sub-folders named as "
                    + $"the classes, with pictures in them.{After(leftOut)}"
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

    /// <summary>How training uses the parts where that is not what their names say; null where it is.</summary>
    /// <param name="placed">The pictures of a data set.</param>
    public static string? NoteOn(IEnumerable<PlacedPicture> placed) =>
        Parts([.. placed.Select(item => item.Part)]).Note;

    /// <summary>What was left out, behind another sentence; nothing where nothing was.</summary>
    /// <param name="leftOut">What was left out.</param>
    private static string After(LeftOut leftOut) => leftOut.Text is { } text ? $" {text}" : "";

    /// <summary>What each picture is for, and what people should know of it.</summary>
    /// <param name="parts">What each picture's folder says; null where there are no parts.</param>
    /// <returns>What each is for in the end: without a test part the validation part is it, and a training part alone
    /// is split as if there were no parts. And a sentence on that for people.</returns>
    private static (string?[] Parts, string? Note) Parts(string?[] parts)
    {
        bool Has(string name) => parts.Contains(name);
        if (Has(Validation) && Has(Train) && !Has(Test))
        {
            // Many sets have train and val only, and publish their figures on val: that is the part that no choice
            // may look at.
            return (
                [.. parts.Select(part => part == Validation ? Test : part)],
                "There is no test part: the validation part is the test part, and a tenth of the training part is for validation."
            );
        }

        return Has(Train) && !Has(Validation) && !Has(Test)
            ? (
                new string?[parts.Length],
                "There is a training part only: a tenth of it is for validation, and a tenth is the test part."
            )
            : (parts, null);
    }

    /// <summary>
    /// Each part must be able to show each class: what is never trained on cannot be known, and what is never tested
    /// has no figure.
    /// </summary>
    /// <param name="path">For an error.</param>
    /// <param name="placed">The pictures.</param>
    /// <param name="parts">What each is for.</param>
    /// <exception cref="UserException">A class is missing from a part, or has too few pictures to be
    /// split.</exception>
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
                        + $"{In(Test)} in the test part. Each class must be in both: add pictures, or remove its folders."
                );
            if (parts.Contains(Validation) ? In(Validation) == 0 : forTraining < FewestToSplit)
                throw new UserException(
                    parts.Contains(Validation)
                        ? $"--data {path}: the class '{group.Key}' has no picture in the validation part. Each class must be in "
                            + "every part: add pictures, or remove its folders."
                        : string.Create(
                            System.Globalization.CultureInfo.InvariantCulture,
                            $"--data {path}: the class '{group.Key}' has {forTraining} pictures to be "
                                + $"split. Each class needs at least {FewestToSplit}"
                        )
                            + ", because a tenth of them is held out; or parts of its own, in train/, validation/ and test/."
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
    /// The part that a path names: <c>train</c>, <c>validation</c> or <c>test</c>, in any case and their longer
    /// forms.
    /// </summary>
    /// <param name="name">The picture's path.</param>
    /// <param name="root">What all paths begin with.</param>
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
    /// <param name="root">What all paths begin with.</param>
    private static bool HasClassBelow(string name, string root) => name[root.Length..].Split('/').Length >= 3;

    /// <summary>The folder that a picture's class is named after.</summary>
    /// <param name="name">The picture's path.</param>
    /// <param name="root">What all paths begin with.</param>
    /// <param name="path">For an error.</param>
    /// <exception cref="UserException">The picture lies in no folder of a class.</exception>
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

    /// <summary>
    /// Folders that everything is in (an archive's top folder) say nothing; a single folder right above the pictures
    /// is a class.
    /// </summary>
    /// <param name="pictures">The pictures.</param>
    /// <param name="folders">The folders, empty ones too.</param>
    /// <returns>With a slash at its end, or empty.</returns>
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

    /// <summary>What stands beside parts is in none of them.</summary>
    /// <param name="path">For an error.</param>
    /// <param name="root">What all paths begin with.</param>
    /// <param name="placed">The pictures.</param>
    /// <exception cref="UserException">Some folders are parts, and one beside them is none.</exception>
    private static void RefuseStrangers(string path, string root, IReadOnlyList<PlacedPicture> placed)
    {
        if (
            placed.FirstOrDefault(item => item.Part is not null) is { } inPart
            && placed.FirstOrDefault(item => item.Part is null) is { } stranger
        )
            throw new UserException(
                $"--data {path}: {stranger.Picture.Name} is in no part, but beside "
                    + $"'{inPart.Picture.Name[..(inPart.Picture.Name.IndexOf('/', root.Length) + 1)]}'. Move its folder into "
                    + "train/, validation/ or test/, or out of the data."
            );
    }

    /// <summary>Refuses a class without pictures: it would be missing in silence.</summary>
    /// <param name="path">For an error.</param>
    /// <param name="root">What all paths begin with.</param>
    /// <param name="folders">All folders.</param>
    /// <param name="placed">The pictures.</param>
    /// <param name="leftOut">What does not count may be why a folder is empty.</param>
    /// <exception cref="UserException">A folder holds no picture.</exception>
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
            // From the inside: where a folder is known, those around it are.
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
                $"--data {path}: the class folder '{LeftOut.Printable(empty)}' has no picture in it "
                    + $"({PictureNames.Endings}). Fill it, or remove it.{After(leftOut)}"
            );
    }

    /// <summary>Names of classes go into files, tables, pictures and pages.</summary>
    /// <param name="path">For an error.</param>
    /// <param name="placed">The pictures.</param>
    /// <exception cref="UserException">A name holds what cannot stand in XML, or a control character.</exception>
    private static void RefuseNames(string path, IReadOnlyList<PlacedPicture> placed)
    {
        foreach (var name in placed.Select(item => item.Class).Distinct())
        {
            if (name.Any(char.IsControl) || !IsText(name))
                throw new UserException(
                    $"--data {path}: the class folder '{LeftOut.Printable(name)}' has characters in its name that "
                        + "cannot be written into pictures and pages. Rename it."
                );
        }

        // Blanks at the end of a name are not seen: nobody means two classes. Capital and small letters may be two.
        if (
            placed
                .Select(item => item.Class)
                .Distinct(StringComparer.Ordinal)
                .GroupBy(name => name.Trim(), StringComparer.Ordinal)
                .FirstOrDefault(names => names.Count() > 1) is
            { } alike
        )
            throw new UserException(
                $"--data {path}: there are {alike.Count()} class folders that look like '{alike.Key}', and differ in blanks "
                    + "around the name. Put their pictures into one folder."
            );
    }

    /// <summary>Whether a name can stand in XML, as SVG and HTML need it.</summary>
    /// <param name="name">A class.</param>
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
