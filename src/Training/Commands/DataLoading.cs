using Spectre.Console;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Commands;

/// <summary>Loads data with a progress bar, where there is a terminal.</summary>
internal static class DataLoading
{
    /// <summary>Loads what <c>--data</c> names.</summary>
    /// <param name="console">Where progress goes.</param>
    /// <param name="name"><c>drawn</c>, <c>cifar10</c> or a path.</param>
    /// <param name="size">Height and width of pictures of a path, in pixels.</param>
    /// <param name="seed">Decides the split.</param>
    /// <param name="limits">At most this many pictures of each part; null for all.</param>
    /// <param name="reading">How files become pixels; null as stock ML.NET reads them.</param>
    /// <exception cref="UserException">There is no such data, or it cannot be read.</exception>
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
    /// The data that a model was trained on, or other data of the same classes, in the model's size.
    /// </summary>
    /// <param name="console">Where progress goes.</param>
    /// <param name="settings">The model's.</param>
    /// <param name="data">Other data; null for the model's own.</param>
    /// <param name="seed">Another split; null for the model's own.</param>
    /// <returns>Pictures of the model's size, split as they were when it was trained.</returns>
    /// <exception cref="UserException">Its classes are others.</exception>
    public static LoadedData Load(IAnsiConsole console, ModelSettings settings, string? data = null, int? seed = null)
    {
        (int, int, int)? limits = settings.DataLimits is [var training, var validation, var test]
            ? (training, validation, test)
            : null;
        var name = data ?? settings.Data;
        var loaded = Load(console, name, settings.Network.Height, seed ?? settings.Seed, limits, settings.Reading);
        if (!loaded.Data.ClassNames.SequenceEqual(settings.ClassNames))
            throw new UserException(
                $"--data {name}: its classes are {string.Join(", ", loaded.Data.ClassNames.Take(12))}; the "
                    + $"model knows {string.Join(", ", settings.ClassNames.Take(12))}."
            );
        // Who names the data means it as it is now.
        if (data is null && seed is null)
            RefuseOtherPictures(
                settings,
                loaded.Data,
                $"Put them back as they were, or name them, --data {name}, to take them as they are: parts may be mixed then."
            );
        return loaded;
    }

    /// <summary>Refuses pictures that are not those of the run: what is split anew puts former test pictures among
    /// those that are trained on.</summary>
    /// <param name="settings">The run's settings.</param>
    /// <param name="data">The pictures as they are now.</param>
    /// <param name="wayOut">What can be done.</param>
    /// <exception cref="UserException">They differ; the message says how.</exception>
    public static void RefuseOtherPictures(ModelSettings settings, PictureData data, string wayOut)
    {
        // Drawn ones are decided by their numbers and the program; their last bits may differ between systems.
        if (settings.Pictures is not { } was || data.Training.Sources is null)
            return;
        if (DataFingerprint.Of(data).Difference(was) is { } difference)
            throw new UserException(
                $"The pictures in {settings.Data} are not those that the model was trained on: {difference}. {wayOut}"
            );
    }
}
