namespace TorchBridge.Onnx.Files;

/// <summary>Where files are kept that can be made again.</summary>
internal static class UserCache
{
    /// <summary>
    /// A folder of the user's cache: <c>$XDG_CACHE_HOME/torchbridge/NAME</c>, or <c>torchbridge/NAME</c> in
    /// <c>~/.cache</c>. It need not be there.
    /// </summary>
    /// <param name="name">Name of the folder inside: <c>native</c>, say.</param>
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
