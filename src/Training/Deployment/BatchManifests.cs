using System.Globalization;
using System.Text.Json;

namespace TorchBridge.Training.Deployment;

/// <summary>Files for running a job with the schedulers of clusters: every item is a pure function of the folder and
/// an index, so no service of this program is needed.</summary>
internal static class BatchManifests
{
    /// <summary>Slurm's default limit for the indices of an array (MaxArraySize 1001).</summary>
    private const int MostSlurmTasks = 1000;

    /// <summary>Kubernetes' limit for an Indexed Job with a backoff limit per index.</summary>
    internal const int MostJobIndices = 100_000;

    private const int AtATime = 32;

    /// <summary>The arguments for doing an item, before its index.</summary>
    /// <param name="isSweep">Whether the items are trials.</param>
    /// <param name="folder">The job's folder.</param>
    public static string[] Arguments(bool isSweep, string folder) =>
        isSweep ? ["sweep", "run", "--out", folder, "--index"] : ["score", "--out", folder, "--shard"];

    /// <summary>A script for sbatch: an array whose tasks take the items in turn. A task that is requeued or
    /// submitted again skips finished items.</summary>
    /// <param name="name">Name of the Slurm job.</param>
    /// <param name="count">Number of items.</param>
    /// <param name="program">Path of the program's assembly on the nodes.</param>
    /// <param name="arguments">The result of <see cref="Arguments"/>.</param>
    public static string Slurm(string name, int count, string program, IEnumerable<string> arguments)
    {
        var tasks = Math.Min(count, MostSlurmTasks);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"""
            #!/bin/bash
            # sbatch this file. {count} items in {tasks} tasks, at most {AtATime} at a time; sent again, it does what is missing.
            # Every node sees the folder and the program under these paths.
            #SBATCH --job-name={name}
            #SBATCH --array=0-{tasks - 1}%{AtATime}
            #SBATCH --cpus-per-task=1
            #SBATCH --mem=2G
            #SBATCH --requeue
            #SBATCH --open-mode=append
            export OMP_NUM_THREADS=1
            failed=0
            for ((item = SLURM_ARRAY_TASK_ID; item < {count}; item += {tasks})); do
              dotnet {Shell(program)} {string.Join(' ', arguments.Select(Shell))} "$item" || failed=1
            done
            exit $failed

            """
        );
    }

    /// <summary>An Indexed Job: each index is retried separately, and a failing one ends neither the others nor the
    /// job.</summary>
    /// <param name="name">Name of the Job.</param>
    /// <param name="image">Image with the training program in <c>/app</c>.</param>
    /// <param name="claim">The volume claim that contains the folder.</param>
    /// <param name="mount">Mount path of the claim: the folder or a parent of it.</param>
    /// <param name="count">Number of items.</param>
    /// <param name="arguments">The result of <see cref="Arguments"/>.</param>
    public static string IndexedJob(
        string name,
        string image,
        string claim,
        string mount,
        int count,
        IEnumerable<string> arguments
    ) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $$"""
            apiVersion: batch/v1
            kind: Job
            metadata:
              name: {{Quoted(name)}}
              labels:
                app.kubernetes.io/name: {{Quoted(name)}}
            spec:
              completionMode: Indexed
              completions: {{count}}
              parallelism: {{Math.Min(count, AtATime)}}
              # An index is tried three times in all; up to a tenth of them may fail before the job gives up.
              backoffLimitPerIndex: 2
              maxFailedIndexes: {{Math.Max(1, count / 10)}}
              podFailurePolicy:
                rules:
                  # A node that went away is no fault of the item.
                  - action: Ignore
                    onPodConditions:
                      - type: DisruptionTarget
                        status: "True"
                  # A command line that is not understood will not be understood the next time.
                  - action: FailJob
                    onExitCodes:
                      containerName: item
                      operator: In
                      values: [2]
              template:
                metadata:
                  labels:
                    app.kubernetes.io/name: {{Quoted(name)}}
                spec:
                  restartPolicy: Never
                  automountServiceAccountToken: false
                  securityContext:
                    runAsNonRoot: true
                    seccompProfile:
                      type: RuntimeDefault
                  containers:
                    - name: item
                      image: {{Quoted(image)}}
                      command: ["dotnet", "/app/TorchBridge.Training.dll"]
                      args: [{{string.Join(", ", arguments.Select(Quoted))}}, "$(JOB_COMPLETION_INDEX)"]
                      env:
                        - name: OMP_NUM_THREADS
                          value: "1"
                      resources:
                        requests:
                          cpu: "1"
                          memory: 1Gi
                        limits:
                          memory: 2Gi
                      securityContext:
                        allowPrivilegeEscalation: false
                        capabilities:
                          drop:
                            - ALL
                      volumeMounts:
                        - name: job
                          mountPath: {{Quoted(mount)}}
                  volumes:
                    - name: job
                      persistentVolumeClaim:
                        claimName: {{Quoted(claim)}}

            """
        );

    /// <summary>Quotes a word for a shell.</summary>
    private static string Shell(string word) => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>A YAML string, written as a JSON string; variable references are escaped.</summary>
    private static string Quoted(string text) =>
        JsonSerializer.Serialize(text.Replace("$(", "$$(", StringComparison.Ordinal));
}
