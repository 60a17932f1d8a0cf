using TorchBridge.Onnx.Files;

namespace TorchBridge.Onnx.Tests.Files;

public class UserCacheTests
{
    [Fact]
    public void The_folder_is_the_users_and_is_not_made()
    {
        var name = $"never-made-{Guid.NewGuid():N}";
        var folder = UserCache.Folder(name);
        Assert.True(Path.IsPathFullyQualified(folder));
        Assert.EndsWith(Path.Combine("torchbridge", name), folder, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder));
    }
}
