using System.Formats.Tar;

namespace TorchBridge.Training.Data;

/// <summary>Finds the pictures below a folder, by their names: contents are read when they are needed.</summary>
internal sealed class FolderWalk
{
    private const int MostLinks = 40;
    private readonly string root;
    private readonly string realRoot;
    private readonly List<EncodedPicture> pictures = [];
    private readonly HashSet<string> folders = new(StringComparer.Ordinal);
    private readonly LeftOut leftOut = new();

    private FolderWalk(string path)
    {
        root = Path.GetFullPath(path);
        realRoot = RealPath(root);
    }

    /// <summary>Walks through a folder.</summary>
    /// <param name="path">The folder, which may be a link.</param>
    /// <exception cref="UserException">A picture is a link to nothing.</exception>
    /// <exception cref="IOException">A folder cannot be read.</exception>
    public static FoundPictures Of(string path)
    {
        var walk = new FolderWalk(path);
        walk.Walk(walk.root, "", [walk.realRoot]);
        return new FoundPictures(walk.pictures, walk.folders, walk.leftOut);
    }

    /// <summary>Goes through a folder and everything below it, in the order of names.</summary>
    /// <param name="folder">Where it is, links followed.</param>
    /// <param name="name">Its path below the root, with forward slashes.</param>
    /// <param name="chain">Real paths of the folders that lead here, so that a link back is seen.</param>
    private void Walk(string folder, string name, IReadOnlyList<string> chain)
    {
        foreach (
            var entry in new DirectoryInfo(folder)
                .EnumerateFileSystemInfos()
                .OrderBy(e => e.Name, StringComparer.Ordinal)
        )
        {
            var inner = name + entry.Name;
            if (PictureNames.IsHidden(entry.Name) || IsHiddenOnWindows(entry))
            {
                leftOut.Add(LeftOut.Reason.Hidden, inner);
                continue;
            }

            var target = entry.LinkTarget is null ? entry : Follow(entry, inner, chain);
            if (target is DirectoryInfo)
            {
                folders.Add(inner);
                Walk(entry.FullName, inner + "/", [.. chain, RealPath(target.FullName)]);
            }
            else if (target is FileInfo file)
                Add(entry.FullName, file, inner);
        }
    }

    /// <summary>Takes a file in, or notes why it does not count.</summary>
    /// <param name="path">Where it is.</param>
    /// <param name="file">The file itself, links followed.</param>
    /// <param name="name">Its path below the root.</param>
    private void Add(string path, FileInfo file, string name)
    {
        if (!PictureNames.IsPicture(name))
            leftOut.Add(LeftOut.Reason.NoPicture, name);
        else if (IsSpecial(file))
            leftOut.Add(LeftOut.Reason.Special, name);
        else if (PictureNames.IsUncertain(name) && !PictureNames.CanRead(BoundedPicture.ReadFile(path, name)))
            leftOut.Add(LeftOut.Reason.Format, name);
        else
            pictures.Add(new EncodedPicture(name, () => BoundedPicture.ReadFile(path, name)));
    }

    /// <summary>What a link leads to; null where it does not count. A folder or a file that is read at its own place
    /// must not be read twice: as two classes, say, or in two parts.</summary>
    private FileSystemInfo? Follow(FileSystemInfo link, string name, IReadOnlyList<string> chain)
    {
        FileSystemInfo? target;
        try
        {
            target = link.ResolveLinkTarget(returnFinalTarget: true);
        }
        catch (IOException)
        {
            target = null; // links that lead to each other
        }

        if (target is not { Exists: true })
        {
            if (PictureNames.IsPicture(name))
                throw new UserException($"{LeftOut.Printable(name)} is a link to nothing. Remove or mend it.");
            leftOut.Add(LeftOut.Reason.Link, name);
            return null;
        }

        var real = RealPath(target.FullName);
        var isInside = IsBelow(real, realRoot);
        var isReadAnyway =
            isInside && !PictureNames.HasHiddenPart(Path.GetRelativePath(realRoot, real).Replace('\\', '/'));
        if (!isInside || isReadAnyway || chain.Any(folder => folder == real || IsBelow(folder, real)))
        {
            leftOut.Add(LeftOut.Reason.Link, name);
            return null;
        }

        return target;
    }

    /// <summary>Whether a path lies inside of a folder.</summary>
    /// <param name="path">Without links.</param>
    /// <param name="folder">Without links.</param>
    private static bool IsBelow(string path, string folder) =>
        path.StartsWith(
            Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar,
            StringComparison.Ordinal
        );

    /// <summary>Whether Windows hides it; elsewhere a name's first dot tells.</summary>
    /// <param name="entry">A file or a folder.</param>
    private static bool IsHiddenOnWindows(FileSystemInfo entry) =>
        OperatingSystem.IsWindows() && (entry.Attributes & (FileAttributes.Hidden | FileAttributes.System)) != 0;

    /// <summary>
    /// Whether a file is no regular one. To open a pipe could wait for ever, a device may never end; both say that
    /// they are empty, and .NET tells a file's kind only to who puts it into an archive.
    /// </summary>
    /// <param name="file">The file; one with a length is a regular one.</param>
    public static bool IsSpecial(FileInfo file)
    {
        if (OperatingSystem.IsWindows() || file.Length > 0)
            return false;
        using var memory = new MemoryStream();
        try
        {
            using (var writer = new TarWriter(memory, TarEntryFormat.Pax, leaveOpen: true))
                writer.WriteEntry(file.FullName, "entry");
            memory.Position = 0;
            using var reader = new TarReader(memory);
            return TarEntries.Next(reader) is not { EntryType: TarEntryType.RegularFile or TarEntryType.HardLink };
        }
        catch (IOException)
        {
            return true; // a socket has no place in an archive
        }
    }

    /// <summary>A path without links.</summary>
    /// <param name="path">Any path.</param>
    /// <param name="links">How many links were followed so far.</param>
    /// <exception cref="IOException">There are so many that they must be a circle.</exception>
    private static string RealPath(string path, int links = 0)
    {
        var full = Path.GetFullPath(path);
        var real = Path.GetPathRoot(full)!;
        foreach (
            var part in full[real.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries)
        )
        {
            real = Path.Combine(real, part);
            if (new FileInfo(real).LinkTarget is not { } target)
                continue;
            if (links == MostLinks)
                throw new IOException($"{path} has too many links");
            real = RealPath(Path.Combine(Path.GetDirectoryName(real)!, target), links + 1);
        }

        return real;
    }
}
