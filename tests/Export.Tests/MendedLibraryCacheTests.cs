using TorchBridge.Export.Native;

namespace TorchBridge.Export.Tests;

public class MendedLibraryCacheTests
{
    [Fact]
    public void Many_writers_at_once_leave_one_whole_file_and_no_temporary_one()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["lib.so"], FakeElf.Make());
        var paths = new string[16];
        Parallel.For(0, paths.Length, new ParallelOptions { MaxDegreeOfParallelism = paths.Length }, i =>
            paths[i] = MendedLibraryCache.GetOrAdd(folder["lib.so"], folder["cache"])
        );
        Assert.Single(paths.Distinct());
        Assert.Equal(ElfMender.Mend(FakeElf.Make()), File.ReadAllBytes(paths[0]));
        Assert.Single(Directory.GetFiles(folder["cache"]));
    }

    [Fact]
    public void A_damaged_copy_in_the_cache_is_replaced()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["lib.so"], FakeElf.Make());
        var path = MendedLibraryCache.GetOrAdd(folder["lib.so"], folder["cache"]);
        File.WriteAllBytes(path, new byte[File.ReadAllBytes(path).Length]);
        Assert.Equal(path, MendedLibraryCache.GetOrAdd(folder["lib.so"], folder["cache"]));
        Assert.Equal(ElfMender.Mend(FakeElf.Make()), File.ReadAllBytes(path));
    }

    [Fact]
    public void An_unexpected_library_says_what_to_install()
    {
        using var folder = new TempFolder();
        using var kept = new KeptVariable("NUGET_PACKAGES");
        File.WriteAllBytes(folder["lib.so"], new byte[100]);
        var error = Assert.Throws<DllNotFoundException>(() =>
            TorchSharpLoader.Load(folder["lib.so"], folder["libtorch.so"], folder["cache"])
        );
        Assert.Contains("libstdc++6 of GCC 13", error.Message, StringComparison.Ordinal);
        Assert.Contains(folder["lib.so"], error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["cache"]));
    }
}
