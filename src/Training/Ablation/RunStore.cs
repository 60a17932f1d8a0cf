using System.Text.Json;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Ablation;

/// <summary>Finished runs, a file each, named by what decided them: a second start finds them, and does only the
/// rest.</summary>
/// <param name="folder">Where they are.</param>
internal sealed class RunStore(string folder)
{
    /// <summary>The stored result of a request; null where there is none, or where the file is broken.</summary>
    public RunResult? Find(RunRequest request)
    {
        var path = PathOf(request);
        if (!File.Exists(path))
            return null;
        try
        {
            return JsonSerializer.Deserialize<RunResult>(File.ReadAllText(path), Json.Options);
        }
        catch (JsonException)
        {
            return null; // it is done again, and replaced
        }
    }

    /// <summary>Stores a result.</summary>
    public void Add(RunResult result)
    {
        Directory.CreateDirectory(folder);
        AtomicWrite.Text(PathOf(result.Request), Json.Text(result) + "\n");
    }

    private string PathOf(RunRequest request) => Path.Combine(folder, $"{request.Key}.json");
}
