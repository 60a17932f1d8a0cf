using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests;

/// <summary>TorchSharp's native library loads: on this machine, in two processes at the same time, and without a
/// changed copy if it loads normally.</summary>
public class NativeLoadTests
{
    private static readonly string Output = Run.OutputOf("tests", "FirstTouch");

    [Fact]
    public void A_program_whose_first_statement_touches_torch_runs_and_copies_nothing_into_its_output()
    {
        using var cache = new TempFolder();
        var before = Directory.GetFileSystemEntries(Output).Length;
        var result = RunFirstTouch(Output, cache.Path);
        Assert.Equal((0, "42"), (result.ExitCode, result.Output.Trim()));
        Assert.Equal(before, Directory.GetFileSystemEntries(Output).Length);
    }

    [Fact]
    public void Two_processes_with_an_empty_cache_at_once_both_run()
    {
        using var cache = new TempFolder();
        var results = new RunResult[2];
        Parallel.For(0, 2, i => results[i] = RunFirstTouch(Output, cache.Path));
        Assert.All(results, result =>
            Assert.Equal((0, "42", ""), (result.ExitCode, result.Output.Trim(), result.Error.Trim()))
        );
        Assert.DoesNotContain(cache.Files, file => file.EndsWith(".tmp", StringComparison.Ordinal));
    }

    [Fact]
    public void Where_the_normal_load_works_nothing_is_mended()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the loader does nothing on this system");
        using var cache = new TempFolder();
        using var healthy = new TempFolder();
        CopyWithMendedLibrary(healthy.Path, cache.Path);
        using var untouched = new TempFolder();
        var result = RunFirstTouch(healthy.Path, untouched.Path);
        Assert.Equal((0, "42"), (result.ExitCode, result.Output.Trim()));
        Assert.Empty(untouched.Files);
    }

    [Fact]
    public void An_unexpected_library_gives_an_error_that_says_what_to_install_and_no_fallback_copy()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the loader does nothing on this system");
        using var broken = new TempFolder();
        LinkAll(Output, broken.Path);
        var library = Directory.GetFiles(broken.Path, "libLibTorchSharp.so", SearchOption.AllDirectories).Single();
        File.Delete(library);
        File.WriteAllBytes(library, new byte[1000]);
        using var cache = new TempFolder();
        var result = RunFirstTouch(broken.Path, cache.Path);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("Install libstdc++6 of GCC 13", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(broken["cpu"]));
    }

    private static void CopyWithMendedLibrary(string folder, string cache)
    {
        // Simulates a system on which the library loads normally, by using the copy that is already adapted.
        LinkAll(Output, folder);
        RunFirstTouch(Output, cache);
        var mended = Directory.GetFiles(cache, "*.so", SearchOption.AllDirectories);
        if (mended.Length == 0)
            return; // the library loads normally on this machine
        var library = Directory.GetFiles(folder, "libLibTorchSharp.so", SearchOption.AllDirectories).Single();
        File.Delete(library);
        File.Copy(mended[0], library);
    }

    private static void LinkAll(string from, string to)
    {
        foreach (var directory in Directory.GetDirectories(from, "*", SearchOption.AllDirectories))
            Directory.CreateDirectory(Path.Combine(to, Path.GetRelativePath(from, directory)));
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            // The half gigabyte of libtorch is linked, small files are copied.
            if (new FileInfo(file).Length > 8 << 20)
                File.CreateSymbolicLink(target, file);
            else
                File.Copy(file, target);
        }
    }

    private static RunResult RunFirstTouch(string folder, string cache) =>
        Run.Program(
            Path.Combine(folder, "FirstTouch.dll"),
            [],
            environment: new Dictionary<string, string> { ["XDG_CACHE_HOME"] = cache }
        );
}
