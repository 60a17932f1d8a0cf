namespace TorchBridge.Onnx.Files;

/// <summary>Location of files that can be recreated at any time.</summary>
internal static class UserCache
{
    /// <summary>
    /// A folder in the user's cache: <c>$XDG_CACHE_HOME/torchbridge/NAME</c>, or <c>~/.cache/torchbridge/NAME</c>
    /// where that variable is not set. It need not exist.
    /// </summary>
    /// <param name="name">Name of the subfolder, for example <c>native</c>.</param>
    /// <returns>An absolute path.</returns>
    public static string Folder(string name) =>
        Path.Combine(
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache
                ? cache
                : Path.Combine(
                    Environment.GetFolderPath(
                        Environment.SpecialFolder.UserProfile,
                        Environment.SpecialFolderOption.DoNotVerify
                    ),
                    ".cache"
                ),
            "torchbridge",
            name
        );
}
