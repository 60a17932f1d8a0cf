using System.Globalization;
using k8s;
using k8s.Models;
using TorchBridge.Testing;
using TorchBridge.Training.Deployment;

namespace TorchBridge.Pipeline.Tests.Deployment;

public class BatchManifestsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(24)]
    [InlineData(2500)]
    public void Kubernetes_gets_an_Indexed_Job_that_its_own_client_reads(int count)
    {
        var text = BatchManifests.IndexedJob(
            "scores",
            "registry.example.org/train:1",
            "jobs",
            "/shared/$(a) \"b\"",
            count,
            BatchManifests.Arguments(isSweep: false, "/shared/$(a) \"b\"")
        );
        // Strict: a field that Kubernetes does not have is an error.
        var job = KubernetesYaml.Deserialize<V1Job>(text, strict: true);
        Assert.Equal(("Indexed", count), (job.Spec.CompletionMode, job.Spec.Completions));
        Assert.Equal((2, Math.Max(1, count / 10)), (job.Spec.BackoffLimitPerIndex, job.Spec.MaxFailedIndexes));
        var pod = job.Spec.Template.Spec;
        Assert.Equal("Never", pod.RestartPolicy); // required by a pod failure policy
        var container = Assert.Single(pod.Containers);
        Assert.Equal(["score", "--out", "/shared/$$(a) \"b\"", "--shard", "$(JOB_COMPLETION_INDEX)"], container.Args);
        Assert.Equal(container.Name, job.Spec.PodFailurePolicy.Rules[1].OnExitCodes.ContainerName);
        Assert.Equal(
            (pod.Volumes[0].Name, "jobs"),
            (container.VolumeMounts[0].Name, pod.Volumes[0].PersistentVolumeClaim.ClaimName)
        );
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1000)]
    [InlineData(2503)]
    public void A_Slurm_array_does_every_item_once(int count)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the script is for bash");
        using var folder = new TempFolder();
        File.WriteAllText(
            folder["array.sbatch"],
            BatchManifests.Slurm(
                "scores",
                count,
                "it's here/program.dll",
                BatchManifests.Arguments(isSweep: true, "/shared/a b")
            )
        );
        var array = File.ReadAllLines(folder["array.sbatch"])
            .Single(line => line.StartsWith("#SBATCH --array=0-", StringComparison.Ordinal));
        var last = int.Parse(array["#SBATCH --array=0-".Length..].Split('%')[0], CultureInfo.InvariantCulture);
        Assert.InRange(last, 0, 999);
        // A program that prints its arguments replaces dotnet, and a loop replaces Slurm.
        var said = Run.Command(
            "bash",
            [
                "-c",
                $"dotnet() {{ printf '%s|' \"$@\"; echo; }}; export -f dotnet; "
                    + $"for ((i = 0; i <= {last}; i++)); do SLURM_ARRAY_TASK_ID=$i bash array.sbatch; done",
            ],
            folder.Path
        );
        Assert.Equal((0, ""), (said.ExitCode, said.Error));
        var lines = said.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            Enumerable
                .Range(0, count)
                .Select(index =>
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"it's here/program.dll|sweep|run|--out|/shared/a b|--index|{index}|"
                    )
                )
                .Order(StringComparer.Ordinal),
            lines.Order(StringComparer.Ordinal)
        );
    }
}
