namespace TorchBridge.Pipeline.Tests;

/// <summary>oneDNN's backward pass of a 1x1 convolution with a stride writes beyond its buffer if there are few
/// channels, two threads and an odd batch. That would crash the process, so the test starts a separate one.</summary>
public class NarrowNetworkTests
{
    [Theory]
    [InlineData("float32")]
    [InlineData("bfloat16")]
    public void The_narrowest_network_trains_with_two_threads_and_odd_batches(string precision)
    {
        using var folder = new TempFolder();
        string[] data = ["--pictures", "100", "--epochs", "2", "--batch", "7"];
        string[] compute = ["--width", "8", "--threads", "2", "--precision", precision];
        var result = TinyModel.Program(["train", .. data, .. compute, "--out", folder.Path]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
    }
}
