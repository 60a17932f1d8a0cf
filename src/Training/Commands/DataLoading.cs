using Spectre.Console;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Commands;

/// <summary>Loads data, with a progress bar on a terminal.</summary>
internal static class DataLoading
{
    /// <summary>Loads the data that <c>--data</c> names.</summary>
    /// <param name="console">Console for progress.</param>
    /// <param name="name"><c>drawn</c>, <c>cifar10</c> or a path.</param>
    /// <param name="size">Height and width, in pixels, at which pictures from a path are read.</param>
    /// <param name="seed">Seed of the split.</param>
    /// <param name="limits">Largest number of pictures in each part; null for no limit.</param>
    /// <param name="reading">How files are decoded and resized; null to do as stock ML.NET does.</param>
    /// <exception cref="UserException">The data does not exist or cannot be read.</exception>
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

    /// <summary>
    /// Loads the data that a model was trained on, or other data with the same classes, at the model's picture size.
    /// </summary>
    /// <param name="console">Console for progress.</param>
    /// <param name="settings">Settings of the model.</param>
    /// <param name="data">Other data; null for the model's own.</param>
    /// <param name="seed">Another split; null for the model's own.</param>
    /// <returns>Pictures at the model's size, split as they were when it was trained.</returns>
    /// <exception cref="UserException">The data has other classes.</exception>
    public static LoadedData Load(IAnsiConsole console, ModelSettings settings, string? data = null, int? seed = null)
    {
        (int, int, int)? limits = settings.DataLimits is [var training, var validation, var test]
            ? (training, validation, test)
            : null;
        var name = data ?? settings.Data;
        var loaded = Load(console, name, settings.Network.Height, seed ?? settings.Seed, limits, settings.Reading);
        if (!loaded.Data.ClassNames.SequenceEqual(settings.ClassNames))
            throw new UserException(
                $"--data {name} has the classes {string.Join(", ", loaded.Data.ClassNames.Take(12))}, but the "
                    + $"model was trained on {string.Join(", ", settings.ClassNames.Take(12))}. Give data with "
                    + "the model's classes."
            );
        // Data that is named explicitly is used as it is now.
        if (data is null && seed is null)
            RefuseOtherPictures(
                settings,
                loaded.Data,
                $"Restore them, or give --data {name} to use them as they are; test pictures may then have been "
                    + "used for training."
            );
        return loaded;
    }

    /// <summary>Refuses pictures that differ from those of the run: splitting them again would put former test
    /// pictures into the training part.</summary>
    /// <param name="settings">The run's settings.</param>
    /// <param name="data">The current pictures.</param>
    /// <param name="wayOut">What the user can do, for the message.</param>
    /// <exception cref="UserException">They differ; the message says how.</exception>
    public static void RefuseOtherPictures(ModelSettings settings, PictureData data, string wayOut)
    {
        // Drawn pictures are determined by their numbers and the program; their last bits may differ between systems.
        if (settings.Pictures is not { } was || data.Training.Sources is null)
            return;
        if (DataFingerprint.Of(data).Difference(was) is { } difference)
            throw new UserException(
                $"The pictures in {settings.Data} are not the ones that the model was trained on: {difference}. "
                    + $"{wayOut}"
            );
    }
}
