using TorchBridge.Scale.Contract;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Data;
using TorchBridge.Training.Jobs;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests.Jobs;

public class SweepWorkTests
{
    [Fact]
    public void A_trial_that_was_broken_off_goes_on_elsewhere_to_the_same_bytes()
    {
        using var folder = new TempFolder();
        var whole = Open(folder["whole"], epochs: 3);
        using var bytes = new MemoryStream();
        whole.Do(whole.Item(0), bytes, TestContext.Current.CancellationToken);

        var broken = Open(folder["broken"], epochs: 3);
        var checkpoint = folder["broken", "work", $"{broken.Item(0).Id}.checkpoint.safetensors"];
        using (var stop = new CancellationTokenSource())
        {
            // The first checkpoint ends the first worker.
            TorchBridge.Onnx.Files.AtomicFile.BeforeRename = path =>
            {
                if (path == checkpoint)
                    stop.Cancel();
            };
            try
            {
                Assert.ThrowsAny<OperationCanceledException>(() =>
                    broken.Do(broken.Item(0), new MemoryStream(), stop.Token)
                );
            }
            finally
            {
                TorchBridge.Onnx.Files.AtomicFile.BeforeRename = null;
            }
        }

        Assert.True(File.Exists(checkpoint));
        var elsewhere = Open(folder["broken"], epochs: 3);
        using var resumed = new MemoryStream();
        elsewhere.Do(elsewhere.Item(0), resumed, TestContext.Current.CancellationToken);
        Assert.Equal(bytes.ToArray(), resumed.ToArray());

        // A broken checkpoint must not make the trial fail.
        File.WriteAllText(checkpoint, "no checkpoint");
        using var anew = new MemoryStream();
        elsewhere.Do(elsewhere.Item(0), anew, TestContext.Current.CancellationToken);
        Assert.Equal(bytes.ToArray(), anew.ToArray());
        elsewhere.Forget(elsewhere.Item(0));
        Assert.False(File.Exists(checkpoint));
    }

    [Fact]
    public void A_folder_has_one_job_and_another_versions_is_not_worked_on()
    {
        using var folder = new TempFolder();
        Open(folder["job"], epochs: 1);
        Open(folder["job"], epochs: 1); // the same once more
        var error = Assert.Throws<UserException>(() => Open(folder["job"], epochs: 2));
        Assert.Contains("another job", error.Message, StringComparison.Ordinal);

        var path = JobFolder.JobOf(folder["job"]);
        File.WriteAllText(
            path,
            File.ReadAllText(path).Replace(Artifacts.Versions.Program, "9.9.9", StringComparison.Ordinal)
        );
        error = Assert.Throws<UserException>(() => JobFolder.Open(folder["job"]));
        Assert.Contains("9.9.9", error.Message, StringComparison.Ordinal);
        JobFolder.Open(folder["job"], isRead: true).Work.Dispose();
        File.WriteAllText(path, "{}");
        Assert.Throws<UserException>(() => JobFolder.Open(folder["job"], isRead: true));
        Assert.Throws<UserException>(() => JobFolder.Open(folder["nowhere"]));
    }

    private static IWork Open(string folder, int epochs)
    {
        var recipe = RunConfiguration.Named("lesson");
        var configuration = recipe with
        {
            Training = recipe.Training with { Epochs = epochs },
            Network = recipe.Network with { Channels = 8 },
        };
        JobFolder.Write(folder, new SweepJob([new RunRequest(configuration, DataSource.Drawn, 60, 1)]));
        return JobFolder.Open(folder).Work;
    }
}
