// Why: an ONNX file and its zip, or a model and its data file, belong together, and no file system renames several
// files at once. So the new ones are made in a folder of their own, and a manifest that says where they go is written
// there last. From that moment the set is decided:
//   .torchbridge-ID/           the new files; without a manifest they are thrown away
//   .torchbridge-ID/manifest   the files to move, in order, and those to delete; with it the set is completed, by
// whoever comes next
//   .torchbridge-ID.lock       held open by the process that makes the set: while it lives, nobody else touches the
// folder
using System.Text.Json;

namespace TorchBridge.Onnx.Files;

/// <summary>Files that replace others together. Disposing of a set that was not published leaves everything as it
/// was.</summary>
internal sealed class FileSet : IDisposable
{
    private const string Prefix = ".torchbridge-",
        LockEnding = ".lock",
        ManifestName = "manifest";
    private readonly string target;
    private readonly FileStream held;

    /// <summary>
    /// Locks first, and makes the folder then: from its first moment the folder belongs to a living process.
    /// </summary>
    private FileSet(string target)
    {
        this.target = target;
        Folder = Path.Combine(target, $"{Prefix}{Guid.NewGuid():N}");
        held = new FileStream(Folder + LockEnding, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        Directory.CreateDirectory(Folder);
    }

    /// <summary>Where the new files are made, under their final names. What else is made here is thrown away.</summary>
    public string Folder { get; }

    /// <summary>
    /// Whether no other set is being made for the same folder: files that nothing seems to need may belong to such a
    /// set.
    /// </summary>
    public bool IsAlone =>
        Directory
            .EnumerateFiles(target, $"{Prefix}*{LockEnding}")
            .All(file => Path.GetFullPath(file) == Path.GetFullPath(held.Name));

    /// <summary>The path under which a new file is made.</summary>
    /// <param name="name">Its final name, without a folder.</param>
    public string this[string name] => Path.Combine(Folder, name);

    /// <summary>Begins a set, once sets that killed processes have left in the folder are completed or thrown
    /// away.</summary>
    /// <param name="folder">Where the files will go.</param>
    /// <exception cref="IOException">The folder is not there, or cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder must not be written.</exception>
    public static FileSet Stage(string folder)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"there is no folder {folder}");
        Recover(folder);
        return new FileSet(folder);
    }

    /// <summary>
    /// Completes or throws away what killed processes have left in a folder. What living processes are at, and what
    /// cannot be written, is left alone.
    /// </summary>
    /// <param name="folder">The folder; it need not be there.</param>
    public static void Recover(string folder)
    {
        if (!Directory.Exists(folder))
            return;
        try
        {
            foreach (var file in Directory.EnumerateFiles(folder, $"{Prefix}*{LockEnding}"))
            {
                if (!AtomicFile.IsAbandoned(file))
                    continue;
                Finish(folder, file[..^LockEnding.Length]);
                File.Delete(file);
            }

            AtomicFile.RemoveLeftovers(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Somebody else was quicker, or the disk is full or read-only: the next start tries again.
        }
    }

    /// <summary>Makes the files visible, replacing those of the same names.</summary>
    /// <param name="files">Names, in the order in which they move: what others depend on first.</param>
    /// <param name="removed">Names of files in the target folder that belong to the old set only; those that are not
    /// there are no fault.</param>
    /// <exception cref="IOException">Nothing was changed; or the set is decided, and is completed at the next
    /// start.</exception>
    public void Publish(IEnumerable<string> files, IEnumerable<string>? removed = null)
    {
        var manifest = new Manifest([.. files], [.. (removed ?? []).Distinct(StringComparer.Ordinal)]);
        foreach (var file in manifest.Files)
            AtomicFile.Flush(this[file]);
        AtomicFile.FlushFolder(Folder);
        AtomicFile.Text(this[ManifestName], JsonSerializer.Serialize(manifest));
        Complete(target, Folder, manifest);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Where publishing failed half-way the manifest is there: the next start completes it.
        if (Directory.Exists(Folder) && !File.Exists(this[ManifestName]))
            Directory.Delete(Folder, recursive: true);
        held.Dispose();
        if (!Directory.Exists(Folder))
            File.Delete(Folder + LockEnding);
    }

    /// <summary>
    /// Completes a set whose maker was killed: with a manifest it was decided, without one it never was.
    /// </summary>
    private static void Finish(string target, string folder)
    {
        if (!Directory.Exists(folder))
            return;
        if (ReadManifest(Path.Combine(folder, ManifestName)) is { } manifest)
            Complete(target, folder, manifest);
        else
            Directory.Delete(folder, recursive: true);
    }

    /// <summary>
    /// Moves the files that have not moved yet, deletes those of the old set, and takes the staging folder away.
    /// Repeating it is harmless: that is what makes the set whole after a crash at any point.
    /// </summary>
    private static void Complete(string target, string folder, Manifest manifest)
    {
        foreach (var file in manifest.Files)
        {
            var staged = Path.Combine(folder, file);
            // One that is not here is there: this is not the first attempt.
            if (File.Exists(staged))
                AtomicFile.Rename(staged, Path.Combine(target, file));
        }

        foreach (var file in manifest.Removed.Except(manifest.Files, StringComparer.Ordinal))
            File.Delete(Path.Combine(target, file));
        AtomicFile.FlushFolder(target);
        File.Delete(Path.Combine(folder, ManifestName));
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>
    /// The manifest of a set; null where there is none, or where it is not one of ours.
    /// </summary>
    private static Manifest? ReadManifest(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            var manifest = JsonSerializer.Deserialize<Manifest>(File.ReadAllText(path));
            // Names, no paths: whoever writes into the folder must not reach out of it.
            return
                manifest is { Files: not null, Removed: not null }
                && manifest.Files.Concat(manifest.Removed).All(IsName)
                ? manifest
                : null;
        }
        catch (JsonException)
        {
            return null; // it was renamed into place whole, so it is not ours
        }
    }

    /// <summary>Whether a text is the plain name of a file, and no way out of the folder.</summary>
    private static bool IsName(string name) =>
        name is not (null or "" or "." or "..") && Path.GetFileName(name) == name;

    /// <summary>What a set consists of, as JSON in the staging folder.</summary>
    /// <param name="Files">Names of the new files, in the order in which they move.</param>
    /// <param name="Removed">Names of files of the old set that the new one does not have.</param>
    private sealed record Manifest(string[] Files, string[] Removed);
}
