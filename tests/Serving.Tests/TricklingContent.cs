using System.Net;

namespace TorchBridge.Serving.Tests;

/// <summary>A body whose first half is sent, and the second when the test says so.</summary>
internal sealed class TricklingContent(int length) : HttpContent
{
    private readonly TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource finish = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when the first half has been sent.</summary>
    public Task HasBegun => begun.Task;

    public void Finish() => finish.TrySetResult();

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        await stream.WriteAsync(new byte[length / 2]);
        await stream.FlushAsync();
        begun.TrySetResult();
        await finish.Task;
        await stream.WriteAsync(new byte[length - (length / 2)]);
    }

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return true;
    }
}
