using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Publishing;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>
/// The folder of a job, which every worker sees: <c>job.json</c> says what it is, and all that decides a result is
/// beside it. Results go to <c>results</c>.
/// </summary>
internal static class JobFolder
{
    private const int MostBytes = 1 << 28;

    /// <summary>The specification.</summary>
    public static string JobOf(string folder) => Path.Combine(folder, "job.json");

    /// <summary>A scoring job's pictures.</summary>
    public static string ManifestOf(string folder) => Path.Combine(folder, "manifest.txt");

    /// <summary>A scoring job's model.</summary>
    public static string ModelOf(string folder) => Path.Combine(folder, "model.onnx");

    /// <summary>Where results are published.</summary>
    public static ResultFolder ResultsOf(string folder) => new(Path.Combine(folder, "results"));

    /// <summary>Hash of a job's specification.</summary>
    public static string SpecificationOf(string folder) => ContentHash.OfFile(JobOf(folder));

    /// <summary>Writes a specification, in canonical form. A folder has one job: several that make it at once must make
    /// the same.</summary>
    /// <exception cref="UserException">The folder holds another job.</exception>
    public static void Write<T>(string folder, T specification)
    {
        var text = CanonicalJson.Text(JsonNode.Parse(Json.Text(specification))) + "\n";
        Once(
            JobOf(folder),
            Encoding.UTF8.GetBytes(text),
            $"{folder} holds another job: other pictures, another model, other settings or another version of the program. "
                + "Name another folder with --out."
        );
    }

    /// <summary>Writes a file that no second one may differ from.</summary>
    /// <exception cref="UserException">It is there, with other bytes.</exception>
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

    /// <summary>Whether a folder holds a job.</summary>
    public static bool Exists(string folder) => File.Exists(JobOf(folder));

    /// <summary>Opens the job of a folder.</summary>
    /// <exception cref="UserException">There is none, or it is another version's.</exception>
    public static (IWork Work, ResultFolder Results) Open(string folder) => Open(folder, isRead: false);

    /// <summary>Opens the job of a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isRead">Whether it is only read: then another version's is as good.</param>
    /// <exception cref="UserException">There is none, or it is another version's.</exception>
    public static (IWork Work, ResultFolder Results) Open(string folder, bool isRead)
    {
        var path = JobOf(folder);
        if (!File.Exists(path))
            throw new UserException(
                $"{folder} holds no job ({path} is not there). Every worker needs to see the job's folder under the same path."
            );
        try
        {
            if (new FileInfo(path).Length > MostBytes)
                throw new UserException($"{path} is no job: it is too large.");
            var text = File.ReadAllText(path);
            var head = JsonSerializer.Deserialize<Head>(text, Json.Options);
            if (head is null || (!isRead && head.Program != Versions.Program))
                throw new UserException(
                    $"The job of {folder} is of version {head?.Program ?? "unknown"} of this program, and this is "
                        + $"{Versions.Program}: its results could have other bytes. Use that version, or make the job anew."
                );
            IWork work = head.Kind switch
            {
                ScoringSpecification.KindName => new ScoringWork(folder, Read<ScoringSpecification>(text)),
                SweepJob.KindName => new SweepWork(folder, Read<SweepJob>(text)),
                _ => throw new UserException($"{path}: {head.Kind} is no kind of job that this program knows."),
            };
            return (work, ResultsOf(folder));
        }
        catch (JsonException error)
        {
            throw new UserException($"{path} is no job: {error.Message}", error);
        }
    }

    private static T Read<T>(string text)
        where T : class => JsonSerializer.Deserialize<T>(text, Json.Options) ?? throw new JsonException("it is empty");

    private sealed record Head(string? Kind, string? Program);
}
