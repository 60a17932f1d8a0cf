namespace TorchBridge.Training.Artifacts;

/// <summary>Keeps a folder for one run: two that write into it would mix their files. The lock is the system's and
/// goes with the process, however that ends.</summary>
internal sealed class RunLock : IDisposable
{
    private const string Name = ".torchbridge.run";
    private readonly FileStream held;

    private RunLock(FileStream held) => this.held = held;

    /// <summary>Takes a folder.</summary>
    /// <param name="folder">The run's folder, which exists.</param>
    /// <returns>The lock; it is given back when this is disposed, and by the system when the process ends.</returns>
    /// <exception cref="UserException">Another run has it.</exception>
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
                    $"--out {folder}: another run is at work in this folder. Wait for its end, or name another folder.",
                    error
                );
            }

            // The run before may have removed the file between its opening and its locking: then it guards nothing.
            if (File.Exists(path))
                return new RunLock(stream);
            stream.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => held.Dispose();
}
