using System.Globalization;
using System.Text.Json;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Ablation;

/// <summary>A store of finished runs, one file per run, named by a hash of the request, so that a second start does
/// only the missing runs.</summary>
/// <param name="folder">Folder of the files.</param>
internal sealed class RunStore(string folder)
{
    /// <summary>The stored result of a request; null if there is none, or if the file is damaged.</summary>
    /// <param name="request">The request, including the program's version and the pictures.</param>
    public RunResult? Find(RunRequest request)
    {
        // A file with that name but another request was put there manually.
        return Read(PathOf(request)) is { Request: not null } result && result.Request.Key == request.Key
            ? result
            : null;
    }

    /// <summary>
    /// A stored result; null if the file is missing or invalid, in which case the run is done again.
    /// </summary>
    /// <param name="path">The file.</param>
    private static RunResult? Read(string path)
    {
        try
        {
            return File.Exists(path)
                ? JsonSerializer.Deserialize<RunResult>(File.ReadAllText(path), Json.Options)
                : null;
        }
        catch (JsonException)
        {
            return null; // it is done again, and replaced
        }
    }

    /// <summary>The request without the pictures and the program.</summary>
    private static string Plain(RunRequest request) => Json.Text(request with { Content = null, Program = "" });

    /// <summary>
    /// Describes stored runs that differ from the requests only in their pictures or program version, and are
    /// therefore not used; null if there are none.
    /// </summary>
    /// <param name="requests">The current requests.</param>
    /// <returns>One sentence with their number and the reason, or null.</returns>
    public string? OtherThan(IReadOnlyList<RunRequest> requests)
    {
        if (!Directory.Exists(folder))
            return null;
        var asked = requests.Select(Plain).ToHashSet(StringComparer.Ordinal);
        var (count, pictures, programs) = (0, false, new SortedSet<string>(StringComparer.Ordinal));
        foreach (var file in Directory.EnumerateFiles(folder, "*.json"))
        {
            if (
                Read(file)?.Request is not { } stored
                || !asked.Contains(Plain(stored))
                || requests.Any(request => request.Key == stored.Key)
            )
                continue;
            count++;
            pictures |= requests.All(request => request.Content != stored.Content);
            if (stored.Program != Versions.Program)
                programs.Add(stored.Program);
        }

        string[] why =
        [
            .. pictures ? ["on other pictures"] : Array.Empty<string>(),
            .. programs.Select(program => $"of version {program} (this is {Versions.Program})"),
        ];
        return count == 0
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{count:N0} stored runs are {string.Join(" or ", why)} and are not used."
            );
    }

    /// <summary>Stores a result.</summary>
    /// <param name="result">A finished run with its request.</param>
    /// <exception cref="UserException">The folder cannot be written.</exception>
    public void Add(RunResult result)
    {
        Directory.CreateDirectory(folder);
        AtomicWrite.Text(PathOf(result.Request), Json.Text(result) + "\n");
    }

    /// <summary>Path of a request's file, named by the hash of the request.</summary>
    /// <param name="request">The run.</param>
    private string PathOf(RunRequest request) => Path.Combine(folder, $"{request.Key}.json");
}
