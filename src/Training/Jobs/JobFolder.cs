using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Publishing;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>
/// The folder of a job, to which every worker has access: <c>job.json</c> specifies the job, and everything else that
/// determines a result is beside it. Results are written to <c>results</c>.
/// </summary>
internal static class JobFolder
{
    private const int MostBytes = 1 << 28;

    /// <summary>Path of the specification.</summary>
    public static string JobOf(string folder) => Path.Combine(folder, "job.json");

    /// <summary>Path of the manifest of a scoring job's pictures.</summary>
    public static string ManifestOf(string folder) => Path.Combine(folder, "manifest.txt");

    /// <summary>Path of a scoring job's model.</summary>
    public static string ModelOf(string folder) => Path.Combine(folder, "model.onnx");

    /// <summary>The folder of published results.</summary>
    public static ResultFolder ResultsOf(string folder) => new(Path.Combine(folder, "results"));

    /// <summary>Hash of a job's specification.</summary>
    public static string SpecificationOf(string folder) => ContentHash.OfFile(JobOf(folder));

    /// <summary>Writes a specification in canonical form. A folder has one job: processes that create it concurrently
    /// must create the same one.</summary>
    /// <exception cref="UserException">The folder contains another job.</exception>
    public static void Write<T>(string folder, T specification)
    {
        var text = CanonicalJson.Text(JsonNode.Parse(Json.Text(specification))) + "\n";
        Once(
            JobOf(folder),
            Encoding.UTF8.GetBytes(text),
            $"{folder} contains another job: with other pictures, another model, other settings or another "
                + $"version of the program. Give another folder with --out."
        );
    }

    /// <summary>Writes a file that, if it exists, must have the same content.</summary>
    /// <exception cref="UserException">It exists with other content.</exception>
    public static void Once(string path, byte[] content, string otherwise)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            if (
                !OnceFile.Write(path, stream => stream.Write(content))
                && !File.ReadAllBytes(path).AsSpan().SequenceEqual(content)
            )
                throw new UserException(otherwise);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>Whether a folder contains a job.</summary>
    public static bool Exists(string folder) => File.Exists(JobOf(folder));

    /// <summary>Opens the job in a folder.</summary>
    /// <exception cref="UserException">There is no job, or it was created by another version.</exception>
    public static (IWork Work, ResultFolder Results) Open(string folder) => Open(folder, isRead: false);

    /// <summary>Opens the job in a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isRead">Whether it is only read, so that a job of another version is accepted.</param>
    /// <exception cref="UserException">There is no job, or it was created by another version.</exception>
    public static (IWork Work, ResultFolder Results) Open(string folder, bool isRead)
    {
        var path = JobOf(folder);
        if (!File.Exists(path))
            throw new UserException(
                $"{folder} contains no job ({path} does not exist). Every worker needs access to the job's "
                    + $"folder under the same path."
            );
        try
        {
            if (new FileInfo(path).Length > MostBytes)
                throw new UserException($"{path} is not a job: it is too large.");
            var text = File.ReadAllText(path);
            var head = JsonSerializer.Deserialize<Head>(text, Json.Options);
            if (head is null || (!isRead && head.Program != Versions.Program))
                throw new UserException(
                    $"The job in {folder} was created by version {head?.Program ?? "unknown"} of this program, "
                        + $"but this is version "
                        + $"{Versions.Program}, whose results could differ. Use that version, or create the job "
                        + $"again."
                );
            IWork work = head.Kind switch
            {
                ScoringSpecification.KindName => new ScoringWork(folder, Read<ScoringSpecification>(text)),
                SweepJob.KindName => new SweepWork(folder, Read<SweepJob>(text)),
                _ => throw new UserException($"{path}: {head.Kind} is not a kind of job that this program knows."),
            };
            return (work, ResultsOf(folder));
        }
        catch (JsonException error)
        {
            throw new UserException($"{path} is not a job: {error.Message}", error);
        }
    }

    private static T Read<T>(string text)
        where T : class => JsonSerializer.Deserialize<T>(text, Json.Options) ?? throw new JsonException("it is empty");

    private sealed record Head(string? Kind, string? Program);
}
