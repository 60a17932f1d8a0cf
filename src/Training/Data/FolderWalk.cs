using System.Formats.Tar;

namespace TorchBridge.Training.Data;

/// <summary>Finds the pictures below a folder by their names; contents are read only when needed.</summary>
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

    /// <summary>Walks a folder.</summary>
    /// <param name="path">The folder, which may be a link.</param>
    /// <exception cref="UserException">A picture is a broken link.</exception>
    /// <exception cref="IOException">A folder cannot be read.</exception>
    public static FoundPictures Of(string path)
    {
        var walk = new FolderWalk(path);
        walk.Walk(walk.root, "", [walk.realRoot]);
        return new FoundPictures(walk.pictures, walk.folders, walk.leftOut);
    }

    /// <summary>Visits a folder and everything below it, in the order of names.</summary>
    /// <param name="folder">Its path, with links resolved.</param>
    /// <param name="name">Its path below the root, with forward slashes.</param>
    /// <param name="chain">Real paths of the parent folders, to detect circular links.</param>
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

    /// <summary>Adds a file, or notes why it does not count.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="file">The file itself, with links resolved.</param>
    /// <param name="name">Its path below the root.</param>
    private void Add(string path, FileInfo file, string name)
    {
        if (!PictureNames.MayBePicture(name))
            leftOut.Add(LeftOut.Reason.NoPicture, name);
        else if (IsSpecial(file))
            leftOut.Add(LeftOut.Reason.Special, name);
        else if (
            PictureNames.WhyNot(name, BoundedPicture.HeadOf(path), () => BoundedPicture.ReadFile(path, name)) is
            { } reason
        )
            leftOut.Add(reason, name);
        else
            pictures.Add(new EncodedPicture(name, () => BoundedPicture.ReadFile(path, name)));
    }

    /// <summary>The target of a link; null if it does not count. A folder or file that is read at its real location
    /// must not be read a second time, for example as two classes or in two parts.</summary>
    private FileSystemInfo? Follow(FileSystemInfo link, string name, IReadOnlyList<string> chain)
    {
        FileSystemInfo? target;
        try
        {
            target = link.ResolveLinkTarget(returnFinalTarget: true);
        }
        catch (IOException)
        {
            target = null; // circular links
        }

        if (target is not { Exists: true })
        {
            if (PictureNames.IsPicture(name))
                throw new UserException($"{LeftOut.Printable(name)} is a broken link. Remove or fix it.");
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

    /// <summary>Whether a path is inside a folder.</summary>
    /// <param name="path">A path without links.</param>
    /// <param name="folder">A folder without links.</param>
    private static bool IsBelow(string path, string folder) =>
        path.StartsWith(
            Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar,
            StringComparison.Ordinal
        );

    /// <summary>Whether Windows hides the entry; on other systems a leading dot marks hidden names.</summary>
    /// <param name="entry">A file or a folder.</param>
    private static bool IsHiddenOnWindows(FileSystemInfo entry) =>
        OperatingSystem.IsWindows() && (entry.Attributes & (FileAttributes.Hidden | FileAttributes.System)) != 0;

    /// <summary>
    /// Whether a file is not a regular file. Opening a pipe could block forever, and a device may never end; both
    /// report a length of 0, and .NET exposes the kind of a file only through its tar writer.
    /// </summary>
    /// <param name="file">The file; a file with a length is a regular one.</param>
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
            return true; // a socket cannot be put into an archive
        }
    }

    /// <summary>A path without links.</summary>
    /// <param name="path">Any path.</param>
    /// <param name="links">Number of links followed so far.</param>
    /// <exception cref="IOException">There are too many links, so they must be circular.</exception>
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
