using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Tests.Optimization;

public class NativeTuningTests
{
    [Theory]
    [InlineData(true, "train", "--epochs", "3")]
    [InlineData(true)]
    [InlineData(false, "train", "--threads", "1")]
    [InlineData(false, "--threads=1", "--epochs", "3")]
    [InlineData(false, "train", "--threads:1")]
    public void Threads_stay_on_their_cores_unless_the_machine_is_shared(bool expected, params string[] args) =>
        Assert.Equal(expected, NativeTuning.BindsThreads(Program.Build().Parse(args)));
}
