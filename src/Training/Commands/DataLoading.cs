using Spectre.Console;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Commands;

/// <summary>Loads data with a progress bar, where there is a terminal.</summary>
internal static class DataLoading
{
    public static LoadedData Load(
        IAnsiConsole console,
        string name,
        int size,
        int seed,
        (int Training, int Validation, int Test)? limits,
        PictureReading? reading = null
    )
    {
        if (name == DataSource.Drawn || !console.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
            return DataSource.Load(name, size, seed, limits, reading: reading);
        return console
            .Progress()
            .Start(context =>
            {
                var bar = context.AddTask($"reading {name}");
                return DataSource.Load(
                    name,
                    size,
                    seed,
                    limits,
                    (done, all) => (bar.MaxValue, bar.Value) = (Math.Max(1, Math.Max(done, all)), done),
                    reading
                );
            });
    }

    /// <summary>The data that a model was trained on, or other data of the same classes, in the model's size.</summary>
    /// <exception cref="UserException">Its classes are others.</exception>
    public static LoadedData Load(IAnsiConsole console, ModelSettings settings, string? data = null, int? seed = null)
    {
        (int, int, int)? limits = settings.DataLimits is [var training, var validation, var test]
            ? (training, validation, test)
            : null;
        var name = data ?? settings.Data;
        var loaded = Load(console, name, settings.Network.Height, seed ?? settings.Seed, limits, settings.Reading);
        if (loaded.Data.ClassNames.SequenceEqual(settings.ClassNames))
            return loaded;
        throw new UserException(
            $"--data {name}: its classes are {string.Join(", ", loaded.Data.ClassNames.Take(12))}; the "
                + $"model knows {string.Join(", ", settings.ClassNames.Take(12))}."
        );
    }
}
