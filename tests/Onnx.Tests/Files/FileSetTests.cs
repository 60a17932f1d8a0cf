using TorchBridge.Onnx.Files;

namespace TorchBridge.Onnx.Tests.Files;

public class FileSetTests
{
    [Fact]
    public void Files_replace_others_together_and_what_belongs_to_the_old_set_goes()
    {
        using var folder = Old();
        using (var set = FileSet.Stage(folder.Path))
        {
            File.WriteAllText(set["a.txt"], "new");
            File.WriteAllText(set["b.txt"], "new");
            File.WriteAllText(set["scratch.txt"], "not published");
            Assert.Equal("old old old", State(folder));
            set.Publish(["a.txt", "b.txt"], ["c.txt", "was not there.txt"]);
            Assert.Equal("new new -", State(folder));
        }

        Assert.Equal(["a.txt", "b.txt"], folder.Files);
    }

    [Fact]
    public void A_set_that_is_not_published_leaves_everything_as_it_was()
    {
        using var folder = Old();
        using (var set = FileSet.Stage(folder.Path))
            File.WriteAllText(set["a.txt"], "new");
        Assert.Equal("old old old", State(folder));
        Assert.Equal(["a.txt", "b.txt", "c.txt"], folder.Files);
        Assert.Empty(Directory.GetDirectories(folder.Path));
        using var other = FileSet.Stage(folder.Path);
        Assert.ThrowsAny<IOException>(() => other.Publish(["not made.txt"], ["c.txt"]));
        Assert.Equal("old old old", State(folder));
    }

    [Fact]
    public void A_kill_at_any_rename_ends_with_the_old_set_or_the_new_one()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGKILL");
        var ends = new List<string>();
        for (var rename = 1; ; rename++)
        {
            using var folder = Old();
            if (!Killed.Before("set", folder.Path, rename, "new"))
                break;
            Assert.True(folder.Files.Length > 3, "what was staged is there");
            FileSet.Recover(folder.Path);
            ends.Add(State(folder));
            Assert.Equal(ends[^1].Count(c => c != '-' && c != ' ') / 3, folder.Files.Length); // nothing is left over
            Assert.Empty(Directory.GetDirectories(folder.Path));
        }

        // Before the manifest has its name nothing is decided; from then on the new set is completed.
        Assert.Equal(["old old old", "new new -", "new new -"], ends);
    }

    [Fact]
    public void A_set_that_was_killed_is_completed_before_the_next_begins()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGKILL");
        using var folder = Old();
        Assert.True(Killed.Before("set", folder.Path, 3, "new"));
        Assert.Equal("new old old", State(folder)); // a mixture, for now
        Assert.True(Killed.Before("set", folder.Path, 1, "newer")); // in the midst of completing
        Assert.Equal("new old old", State(folder));
        Assert.True(Killed.Before("set", folder.Path, 2, "newer")); // completed; its own is not decided
        Assert.Equal("new new -", State(folder));
        Assert.False(Killed.Before("set", folder.Path, 0, "newest"));
        Assert.Equal("newest newest -", State(folder));
        Assert.Equal(["a.txt", "b.txt"], folder.Files);
    }

    [Fact]
    public void What_a_living_process_is_at_is_left_alone()
    {
        using var folder = Old();
        using var living = FileSet.Stage(folder.Path);
        Assert.True(living.IsAlone);
        File.WriteAllText(living["a.txt"], "new");
        using (var other = FileSet.Stage(folder.Path))
        {
            Assert.False(other.IsAlone);
            File.WriteAllText(other["b.txt"], "other");
            other.Publish(["b.txt"]);
        }

        FileSet.Recover(folder.Path);
        Assert.Equal("old other old", State(folder));
        living.Publish(["a.txt"]);
        Assert.Equal("new other old", State(folder));
    }

    [Theory]
    [InlineData("""{"Files":["../outside.txt"],"Removed":[]}""")]
    [InlineData("""{"Files":["a.txt"],"Removed":["../outside.txt"]}""")]
    [InlineData("""{"Files":["a.txt"]}""")]
    [InlineData("[]")]
    [InlineData("not json")]
    public void A_manifest_that_is_not_ours_is_not_followed(string manifest)
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["in", ".torchbridge-0"]);
        File.WriteAllText(folder["outside.txt"], "outside");
        File.WriteAllText(folder["in", "a.txt"], "old");
        File.WriteAllText(folder["in", ".torchbridge-0", "a.txt"], "new");
        File.WriteAllText(folder["in", ".torchbridge-0", "manifest"], manifest);
        File.WriteAllText(folder["in", ".torchbridge-0.lock"], "");
        FileSet.Recover(folder["in"]);
        Assert.Equal("outside", File.ReadAllText(folder["outside.txt"]));
        Assert.Equal("old", File.ReadAllText(folder["in", "a.txt"]));
        Assert.Equal([Path.Combine("in", "a.txt"), "outside.txt"], folder.Files);
    }

    [Fact]
    public void A_folder_that_is_not_there_is_named()
    {
        using var folder = new TempFolder();
        Assert.Contains(
            folder["nowhere"],
            Assert.Throws<DirectoryNotFoundException>(() => FileSet.Stage(folder["nowhere"])).Message,
            StringComparison.Ordinal
        );
        FileSet.Recover(folder["nowhere"]);
    }

    private static TempFolder Old()
    {
        var folder = new TempFolder();
        foreach (var name in (string[])["a.txt", "b.txt", "c.txt"])
            File.WriteAllText(folder[name], "old");
        return folder;
    }

    private static string State(TempFolder folder) =>
        string.Join(
            ' ',
            ((string[])["a.txt", "b.txt", "c.txt"]).Select(name =>
                File.Exists(folder[name]) ? File.ReadAllText(folder[name]) : "-"
            )
        );
}
