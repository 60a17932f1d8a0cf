using System.Globalization;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>A named pipe with which a test and an item synchronize: opening it waits for the other end.</summary>
internal sealed class Pipe : IDisposable
{
    private readonly string path;
    private FileStream? end;

    private Pipe(string path) => this.path = path;

    /// <summary>Requests that an item waits at a pipe.</summary>
    public static Pipe Of(TestJob job, int index)
    {
        job.Ask(index, "meet");
        var path = Path.Combine(job.Path, "faults", string.Create(CultureInfo.InvariantCulture, $"{index}.pipe"));
        Assert.Equal(0, Run.Command("mkfifo", [path]).ExitCode);
        return new Pipe(path);
    }

    /// <summary>Waits until the item has opened the pipe.</summary>
    public void Meet() => end = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);

    /// <summary>Lets the item continue.</summary>
    public void Let() => end?.Dispose();

    /// <inheritdoc/>
    public void Dispose() => Let();
}
