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

    private FileSet(string target)
    {
        this.target = target;
        Folder = Path.Combine(target, $"{Prefix}{Guid.NewGuid():N}");
        held = new FileStream(Folder + LockEnding, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        Directory.CreateDirectory(Folder);
    }

    /// <summary>Where the new files are made, under their final names. What else is made here is thrown away.</summary>
    public string Folder { get; }

    /// <summary>Whether no other set is being made for the same folder.</summary>
    public bool IsAlone =>
        Directory
            .EnumerateFiles(target, $"{Prefix}*{LockEnding}")
            .All(file => Path.GetFullPath(file) == Path.GetFullPath(held.Name));

    /// <summary>The path of a new file.</summary>
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

    private static void Finish(string target, string folder)
    {
        if (!Directory.Exists(folder))
            return;
        if (ReadManifest(Path.Combine(folder, ManifestName)) is { } manifest)
            Complete(target, folder, manifest);
        else
            Directory.Delete(folder, recursive: true);
    }

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

    private static bool IsName(string name) =>
        name is not (null or "" or "." or "..") && Path.GetFileName(name) == name;

    private sealed record Manifest(string[] Files, string[] Removed);
}
