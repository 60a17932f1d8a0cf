using Spectre.Console;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Commands;

/// <summary>Loads data with a progress bar, where there is a terminal.</summary>
internal static class DataLoading
{
    public static LoadedData Load(IAnsiConsole console, string name, int size, int seed, (int Training, int Validation, int Test)? limits)
    {
        if (name == DataSource.Drawn || !console.Profile.Capabilities.Interactive || Console.IsOutputRedirected) return DataSource.Load(name, size, seed, limits);
        return console.Progress().Start(context =>
        {
            var bar = context.AddTask($"reading {name}");
            return DataSource.Load(name, size, seed, limits, (done, all) => (bar.MaxValue, bar.Value) = (Math.Max(1, Math.Max(done, all)), done));
        });
    }
}
