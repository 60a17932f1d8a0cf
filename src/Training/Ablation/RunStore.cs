using System.Globalization;
using System.Text.Json;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Ablation;

/// <summary>Finished runs, a file each, named by what decided them: a second start finds them, and does only the
/// rest.</summary>
/// <param name="folder">Where they are.</param>
internal sealed class RunStore(string folder)
{
    /// <summary>The stored result of a request; null where there is none, or where the file is broken.</summary>
    /// <param name="request">All that decides a run, the program's version and the pictures among it.</param>
    public RunResult? Find(RunRequest request)
    {
        // A file of that name that holds another run was put there by hand.
        return Read(PathOf(request)) is { Request: not null } result && result.Request.Key == request.Key
            ? result
            : null;
    }

    /// <summary>
    /// A stored result; null where the file is missing, or is no JSON of ours, and the run is then done again.
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

    /// <summary>What is asked for, whatever the pictures and the program.</summary>
    private static string Plain(RunRequest request) => Json.Text(request with { Content = null, Program = "" });

    /// <summary>
    /// How stored runs that are asked for in all but their pictures or their program differ, for people; null where
    /// there are none. They are not used.
    /// </summary>
    /// <param name="requests">What is asked for now.</param>
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
                $"{count:N0} stored runs are {string.Join(" or ", why)}, and are not used."
            );
    }

    /// <summary>Stores a result.</summary>
    /// <param name="result">A finished run, with its request: the two decide the file's name and its text.</param>
    /// <exception cref="UserException">The folder cannot be written.</exception>
    public void Add(RunResult result)
    {
        Directory.CreateDirectory(folder);
        AtomicWrite.Text(PathOf(result.Request), Json.Text(result) + "\n");
    }

    /// <summary>The file of a request: named by the hash of all of it.</summary>
    /// <param name="request">The run.</param>
    private string PathOf(RunRequest request) => Path.Combine(folder, $"{request.Key}.json");
}
