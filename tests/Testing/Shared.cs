namespace TorchBridge.Testing;

/// <summary>Finds the test material outside of the repository (../shared: reference values, real pictures), which not
/// everybody has.</summary>
public static class Shared
{
    /// <summary>The root folder of the repository, which contains Pipeline.sln.</summary>
    public static string Repository { get; } = FindRepository();

    /// <summary>The folder ../shared, or null if it is not there.</summary>
    public static string? Folder { get; } =
        Path.Combine(Path.GetDirectoryName(Repository)!, "shared") is var path && Directory.Exists(path) ? path : null;

    /// <summary>A file or folder in ../shared, or null if it is not there.</summary>
    public static string? Find(params string[] parts)
    {
        if (Folder is null)
            return null;
        var path = Path.Combine([Folder, .. parts]);
        return File.Exists(path) || Directory.Exists(path) ? path : null;
    }

    private static string FindRepository()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Pipeline.sln")))
                return folder;
        }

        throw new DirectoryNotFoundException("Pipeline.sln is in no folder above the tests");
    }
}
