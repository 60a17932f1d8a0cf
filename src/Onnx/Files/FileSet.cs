// An ONNX file and its zip, or a model and its data file, belong together, but no file system renames several files
// in one step. The new files are therefore created in a staging folder, and a manifest listing where they go is
// written there last. Once the manifest exists, the set will be published:
//   .torchbridge-ID/           the new files; without a manifest they are discarded
//   .torchbridge-ID/manifest   the files to move, in order, and those to delete; if this process dies, the next one
//                              to start completes the set
//   .torchbridge-ID.lock       held open by the process that stages the set; while it runs, no other process touches
//                              the folder
using System.Text.Json;

namespace TorchBridge.Onnx.Files;

/// <summary>
/// A set of files that becomes visible together, replacing older files. Disposing a set that was not published leaves
/// the older files unchanged.
/// </summary>
internal sealed class FileSet : IDisposable
{
    private const string Prefix = ".torchbridge-",
        LockEnding = ".lock",
        ManifestName = "manifest";
    private readonly string target;
    private readonly FileStream held;

    /// <summary>
    /// Creates the lock file before the folder, so that the folder belongs to a running process from the start.
    /// </summary>
    private FileSet(string target)
    {
        this.target = target;
        Folder = Path.Combine(target, $"{Prefix}{Guid.NewGuid():N}");
        held = new FileStream(Folder + LockEnding, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        Directory.CreateDirectory(Folder);
    }

    /// <summary>
    /// The staging folder: the caller creates the new files here under their final names. Anything else in it is
    /// discarded.
    /// </summary>
    public string Folder { get; }

    /// <summary>
    /// Whether no other set is being staged for the same target folder. Files that look unused may belong to such a
    /// set.
    /// </summary>
    public bool IsAlone =>
        Directory
            .EnumerateFiles(target, $"{Prefix}*{LockEnding}")
            .All(file => Path.GetFullPath(file) == Path.GetFullPath(held.Name));

    /// <summary>The path at which to create a new file, in the staging folder.</summary>
    /// <param name="name">Its final name, without a folder.</param>
    public string this[string name] => Path.Combine(Folder, name);

    /// <summary>
    /// Starts a set, after completing or discarding the sets that killed processes have left in the folder.
    /// </summary>
    /// <param name="folder">Where the files will go.</param>
    /// <exception cref="IOException">The folder does not exist or cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">There is no permission to write to the folder.</exception>
    public static FileSet Stage(string folder)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"there is no folder {folder}");
        Recover(folder);
        return new FileSet(folder);
    }

    /// <summary>
    /// Completes or discards the sets that killed processes have left in a folder. Sets of running processes, and
    /// files that cannot be changed, are left alone.
    /// </summary>
    /// <param name="folder">The folder; it need not exist.</param>
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
            // Another process was faster, or the disk is full or read-only: the next start tries again.
        }
    }

    /// <summary>Makes the files visible, replacing those of the same names.</summary>
    /// <param name="files">Names in the order in which the files are moved; a file that others depend on comes before
    /// them.</param>
    /// <param name="removed">Names of files in the target folder that belong only to the old set; missing ones are
    /// ignored.</param>
    /// <exception cref="IOException">Either nothing was changed, or the manifest is written and the next start
    /// completes the set.</exception>
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
        // If publishing failed halfway, the manifest exists and the next start completes the set.
        if (Directory.Exists(Folder) && !File.Exists(this[ManifestName]))
            Directory.Delete(Folder, recursive: true);
        held.Dispose();
        if (!Directory.Exists(Folder))
            File.Delete(Folder + LockEnding);
    }

    /// <summary>Completes a killed process's set if it has a manifest, and discards it otherwise.</summary>
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
    /// Moves the files that have not been moved yet, deletes those of the old set, and removes the staging folder.
    /// Repeating this is harmless, so the set can be completed after a crash at any point.
    /// </summary>
    private static void Complete(string target, string folder, Manifest manifest)
    {
        foreach (var file in manifest.Files)
        {
            var staged = Path.Combine(folder, file);
            // A file that is missing here was already moved by an earlier attempt.
            if (File.Exists(staged))
                AtomicFile.Rename(staged, Path.Combine(target, file));
        }

        foreach (var file in manifest.Removed.Except(manifest.Files, StringComparer.Ordinal))
            File.Delete(Path.Combine(target, file));
        AtomicFile.FlushFolder(target);
        File.Delete(Path.Combine(folder, ManifestName));
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>The manifest of a set; null where there is none or where this program did not write it.</summary>
    private static Manifest? ReadManifest(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            var manifest = JsonSerializer.Deserialize<Manifest>(File.ReadAllText(path));
            // Plain names only: a forged manifest must not reach files outside the folder.
            return
                manifest is { Files: not null, Removed: not null }
                && manifest.Files.Concat(manifest.Removed).All(IsName)
                ? manifest
                : null;
        }
        catch (JsonException)
        {
            return null; // our own manifests are complete once renamed into place, so this one is not ours
        }
    }

    /// <summary>Whether a text is a plain file name that cannot lead out of the folder.</summary>
    private static bool IsName(string name) =>
        name is not (null or "" or "." or "..") && Path.GetFileName(name) == name;

    /// <summary>The contents of a set, stored as JSON in the staging folder.</summary>
    /// <param name="Files">Names of the new files, in the order in which they are moved.</param>
    /// <param name="Removed">Names of files of the old set that the new set does not contain.</param>
    private sealed record Manifest(string[] Files, string[] Removed);
}
