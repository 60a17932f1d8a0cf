using TorchBridge.Onnx.Files;

namespace TorchBridge.Onnx.Tests.Files;

public class AtomicFileTests
{
    [Fact]
    public void A_file_is_replaced_and_nothing_else_is_left()
    {
        using var folder = new TempFolder();
        AtomicFile.Text(folder["a.txt"], "old");
        AtomicFile.Text(folder["a.txt"], "näw");
        Assert.Equal("näw", File.ReadAllText(folder["a.txt"]));
        Assert.Equal(4, new FileInfo(folder["a.txt"]).Length); // no byte order mark
        Assert.Equal(["a.txt"], folder.Files);
    }

    [Fact]
    public void Where_writing_fails_the_file_is_as_it_was()
    {
        using var folder = new TempFolder();
        AtomicFile.Text(folder["a.txt"], "old");
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(folder["a.txt"], stream =>
            {
                stream.WriteByte(1);
                throw new InvalidOperationException();
            }));
        Assert.Equal("old", File.ReadAllText(folder["a.txt"]));
        Assert.Equal(["a.txt"], folder.Files);
        Assert.Throws<DirectoryNotFoundException>(() => AtomicFile.Text(folder["nowhere", "a.txt"], "new"));
    }

    [Fact]
    public void A_kill_before_the_rename_leaves_the_old_file_and_the_next_start_takes_the_temporary_one_away()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGKILL");
        using var folder = new TempFolder();
        AtomicFile.Text(folder["a.txt"], "old");
        Assert.True(Killed.Before("file", folder["a.txt"], 1, "new"));
        Assert.Equal("old", File.ReadAllText(folder["a.txt"]));
        Assert.Equal(2, folder.Files.Length);
        FileSet.Recover(folder.Path);
        Assert.Equal(["a.txt"], folder.Files);
        Assert.False(Killed.Before("file", folder["a.txt"], 0, "new"));
        Assert.Equal("new", File.ReadAllText(folder["a.txt"]));
    }

    [Fact]
    public void Temporary_files_of_the_living_and_files_of_others_are_left_alone()
    {
        using var folder = new TempFolder();
        string[] others = ["a.tmp", "b.0123.tmp", $"c.{Guid.NewGuid():N}.tmp.txt", $"{Guid.NewGuid():D}.tmp"];
        foreach (var other in others)
            File.WriteAllText(folder[other], "");
        AtomicFile.Write(folder["a.txt"], stream =>
        {
            stream.WriteByte(1);
            FileSet.Recover(folder.Path);
            Assert.Equal(others.Length + 1, folder.Files.Length);
        });
        Assert.Equal(others.Append("a.txt").Order(StringComparer.Ordinal), folder.Files);
    }
}
