namespace TorchBridge.Testing;

/// <summary>A temporary folder for a test, which is deleted after it.</summary>
public sealed class TempFolder : IDisposable
{
    /// <summary>The folder's path.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("torchbridge-test-").FullName;

    /// <summary>The path of a name in the folder.</summary>
    public string this[params string[] parts] => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>Names of the files in the folder and its sub-folders.</summary>
    public string[] Files =>
        [
            .. Directory
                .EnumerateFiles(Path, "*", SearchOption.AllDirectories)
                .Select(file => System.IO.Path.GetRelativePath(Path, file))
                .Order(StringComparer.Ordinal),
        ];

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Path, recursive: true);
}
