namespace TorchBridge.Inference.Tests;

public class SessionSettingsTests
{
    [Fact]
    public void Threads_are_one_and_up_or_one_for_each_core()
    {
        Assert.Equal(Environment.ProcessorCount, new SessionSettings().ThreadCount);
        Assert.Equal(3, new SessionSettings { Threads = 3 }.ThreadCount);
        Assert.Equal(
            1,
            new SessionSettings { Threads = 3 }
                .OneThreaded
                .ThreadCount
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionSettings { Threads = 0 });
    }

    [Fact]
    public void What_the_settings_throw_is_not_the_models_fault()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["no.onnx"], [1, 2, 3]);
        Assert.Throws<FileNotFoundException>(() => SessionSettings.ReadModel(folder["gone.onnx"]));
        Assert.Throws<InvalidDataException>(() =>
            new SessionSettings().Open(SessionSettings.ReadModel(folder["no.onnx"]), "no.onnx", "a test")
        );
    }
}
