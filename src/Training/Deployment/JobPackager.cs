using System.Globalization;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Deployment;

/// <summary>Writes the file with which a scheduler runs a job.</summary>
internal static class JobPackager
{
    private const string Slurm = "slurm";

    /// <summary>Names of the schedulers.</summary>
    public static IReadOnlyList<string> Targets { get; } = [Slurm, "kubernetes-job"];

    /// <summary>Writes the file.</summary>
    /// <param name="target">One of <see cref="Targets"/>.</param>
    /// <param name="job">The job's folder.</param>
    /// <param name="place">Names; <see cref="DeploymentPlace.Storage"/> is the volume claim.</param>
    /// <returns>Path of the file.</returns>
    /// <exception cref="UserException">There is no job, or the folder exists already.</exception>
    public static string Package(string target, string job, DeploymentPlace place)
    {
        var full = Path.GetFullPath(job);
        var (work, _) = JobFolder.Open(full);
        using (work)
        {
            if (Path.Exists(place.Folder))
                throw new UserException($"{place.Folder} exists already. Delete it, or give another folder with --to.");
            if (full.Any(char.IsControl))
                throw new UserException($"--job {job}: a path with a line break cannot be written to such a file.");
            if (work is SweepWork { Halving: not null })
                throw new UserException(
                    $"The sweep in {job} ends bad settings early, which needs a coordinator; the tasks of an "
                        + $"array cannot decide it. "
                        + "Start `sweep --out … --cluster …` and let the scheduler run `worker --cluster …`, or "
                        + "create the sweep without halving."
                );
            var arguments = BatchManifests.Arguments(work is SweepWork, full);
            if (target != Slurm && work.Count > BatchManifests.MostJobIndices)
                throw new UserException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"The job has {work.Count:N0} items, but an Indexed Job can have at most "
                            + $"{BatchManifests.MostJobIndices:N0}. Split it "
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
