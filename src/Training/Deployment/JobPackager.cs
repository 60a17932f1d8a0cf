using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Deployment;

/// <summary>Writes the file by which a scheduler runs a job.</summary>
internal static class JobPackager
{
    private const string Slurm = "slurm";

    /// <summary>The schedulers.</summary>
    public static IReadOnlyList<string> Targets { get; } = [Slurm, "kubernetes-job"];

    /// <summary>Writes it.</summary>
    /// <param name="target">One of <see cref="Targets"/>.</param>
    /// <param name="job">The job's folder.</param>
    /// <param name="place">Names; <see cref="DeploymentPlace.Storage"/> is the volume claim.</param>
    /// <returns>The file.</returns>
    /// <exception cref="UserException">There is no job, or the folder is there.</exception>
    public static string Package(string target, string job, DeploymentPlace place)
    {
        var full = Path.GetFullPath(job);
        var (work, _) = JobFolder.Open(full);
        using (work)
        {
            if (Path.Exists(place.Folder))
                throw new UserException($"{place.Folder} is there. Delete it, or name another folder with --to.");
            if (full.Any(char.IsControl))
                throw new UserException($"--job {job}: a path with a line break cannot stand in such a file.");
            if (work is SweepWork { Halving: not null })
                throw new UserException(
                    $"The sweep in {job} ends bad settings early: somebody has to decide which, and an array's tasks cannot. "
                        + "Start `sweep --out … --cluster …`, and have the scheduler run `worker --cluster …`; or make the sweep "
                        + "without halving."
                );
            var arguments = BatchManifests.Arguments(work is SweepWork, full);
            if (target != Slurm && work.Count > BatchManifests.MostJobIndices)
                throw new UserException(
                    FormattableString.Invariant(
                        $"The job has {work.Count:N0} items, and an Indexed Job takes {BatchManifests.MostJobIndices:N0}: cut it "
                    ) + "into fewer, larger shards with --of."
                );
            Directory.CreateDirectory(place.Folder);
            var file = Path.Combine(place.Folder, target == Slurm ? "array.sbatch" : "job.yaml");
            AtomicWrite.Text(
                file,
                target == Slurm
                    ? BatchManifests.Slurm(place.Name, work.Count, typeof(JobPackager).Assembly.Location, arguments)
                    : BatchManifests.IndexedJob(place.Name, place.Image, place.Storage, full, work.Count, arguments)
            );
            return file;
        }
    }
}
