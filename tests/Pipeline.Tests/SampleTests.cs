using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests;

public class SampleTests
{
    [Fact]
    public void CustomLowering_exports_and_verifies()
    {
        var result = Run.Program(Path.Combine(Run.OutputOf("samples", "CustomLowering"), "CustomLowering.dll"), []);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("1 Where", result.Output, StringComparison.Ordinal);
        Assert.Contains("parity", result.Output, StringComparison.Ordinal);
    }
}
