namespace TorchBridge.Training.Artifacts;

/// <summary>Locks a folder for one run, because two runs would mix their files. It is a lock of the operating system,
/// which is released when the process ends, however that happens.</summary>
internal sealed class RunLock : IDisposable
{
    /// <summary>Name of the locked file.</summary>
    public const string Name = ".torchbridge.run";
    private readonly FileStream held;

    private RunLock(FileStream held) => this.held = held;

    /// <summary>Locks a folder.</summary>
    /// <param name="folder">The run's folder, which exists.</param>
    /// <returns>The lock, which is released when it is disposed or when the process ends.</returns>
    /// <exception cref="UserException">Another run has locked it.</exception>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public static RunLock Take(string folder)
    {
        var path = Path.Combine(folder, Name);
        while (true)
        {
            FileStream stream;
            try
            {
                stream = new FileStream(
                    path,
                    FileMode.OpenOrCreate,
                    FileAccess.ReadWrite,
                    FileShare.None,
                    bufferSize: 1,
                    FileOptions.DeleteOnClose
                );
            }
            catch (IOException error) when (File.Exists(path))
            {
                throw new UserException(
                    $"--out {folder}: another run is using this folder. Wait until it has finished, or give "
                        + $"another folder.",
                    error
                );
            }

            // The previous run may have deleted the file between opening and locking; a lock on it would then protect
            // nothing.
            if (File.Exists(path))
                return new RunLock(stream);
            stream.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => held.Dispose();
}
