using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Jobs;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>score</c> command: classifies any number of pictures in shards, on this or on many
/// machines.</summary>
internal static class ScoreCommand
{
    private const int PicturesOfShard = 1000;

    public static Command Build()
    {
        Argument<string?> pictures = new("MANIFEST")
        {
            Description =
                "A folder of pictures, a file with one path per line, or the output of sha256sum, which avoids "
                + "reading every picture twice. Omit it to continue the job in --out.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string> model = new("--model")
        {
            Description = "The exported model, which is copied to --out.",
            DefaultValueFactory = _ => Path.Combine("models", "modern-cnn.onnx"),
            HelpName = "FILE",
        };
        Option<string> outFolder = new("--out")
        {
            Description = "Folder of the job and its results; one folder per job.",
            Required = true,
            HelpName = "DIR",
        };
        Option<string> format = new("--format")
        {
            Description = "File format of the results.",
            DefaultValueFactory = _ => "parquet",
            HelpName = "parquet|csv",
        };
        format.AcceptOnlyFromAmong("parquet", "csv");
        NumberOption of = new("--of", new AllowedAttribute(1, 1_000_000))
        {
            Description = "Number of shards. Default: one per thousand pictures.",
            HelpName = "N",
        };
        NumberOption shard = new("--shard", new AllowedAttribute(0, 999_999))
        {
            Description =
                "Do only this shard (numbered from 0), in this process: for your own scheduler, such as a Slurm "
                + "array or an Indexed Job. See `package --target slurm`.",
            HelpName = "K",
        };
        Option<bool> prepare = new("--prepare") { Description = "Create the job's folder without starting the job." };
        var sharing = new Jobs.ClusterOptions();
        var command = new Command(
            "score",
            "Classify any number of pictures. The manifest is split into shards; each is done once, by any "
                + "worker, and "
                + "its rows are in the manifest's order, so the results are the same bytes whatever the number "
                + "of workers. A "
                + "picture that cannot be read is a row with its error. Running the same command again does only "
                + "the missing shards.\n"
                + "Example: score ./pictures --model models/modern-cnn.onnx --out scores\n"
                + "Example: score list.txt --out /shared/scores --cluster redis://host, and on each machine: worker "
                + "--cluster redis://host\n"
                + "Example: score list.txt --out scores --of 100 --prepare, and then in a job array: score --out scores "
                + "--shard 17"
        )
        {
            pictures,
            model,
            outFolder,
            format,
            of,
            shard,
            prepare,
        };
        foreach (var option in sharing.All)
            command.Options.Add(option);
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    var console = AnsiConsole.Console;
                    var folder = parsed.GetValue(outFolder)!;
                    var shared = sharing.Read(parsed);
                    var count = of.Whole(parsed);
                    if (parsed.GetValue(pictures) is { } source)
                        Make(console, source, parsed.GetValue(model)!, folder, parsed.GetValue(format)!, count, stop);
                    if (shard.Whole(parsed) is { } number)
                        return One(console, folder, number, count, stop);
                    return parsed.GetValue(prepare) ? 0 : JobRunner.Run(console, folder, shared, stop);
                })
        );
        return command;
    }

    /// <summary>Does one item of a job in this process.</summary>
    /// <param name="console">Console for the result.</param>
    /// <param name="folder">The job's folder.</param>
    /// <param name="index">Number of the item, from 0.</param>
    /// <param name="count">Expected number of items; null if not given.</param>
    /// <param name="stop">Cancels the work.</param>
    /// <exception cref="UserException">There is no such item.</exception>
    internal static int One(IAnsiConsole console, string folder, int index, int? count, CancellationToken stop)
    {
        var (work, results) = JobFolder.Open(folder);
        using (work)
        {
            if (count is { } said && said != work.Count)
                throw new UserException(
                    FormattableString.Invariant($"The job in {folder} has {work.Count} items, not {said}.")
                );
            if (index >= work.Count)
                throw new UserException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"There is no item {index}: the job in {folder} has {work.Count} items, from 0 to "
                            + $"{work.Count - 1}."
                    )
                );
            var receipt = results.DoOnce(work, work.Item(index), stop);
            console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{receipt.File}: {receipt.Rows:N0} rows, {receipt.Errors:N0} of them with an error."
                )
            );
            return 0;
        }
    }

    private static void Make(
        IAnsiConsole console,
        string source,
        string model,
        string folder,
        string format,
        int? shards,
        CancellationToken stop
    )
    {
        var onnx = ReadModel(model);
        var (text, root) = Jobs.Manifest.Make(source, (_, _) => { }, stop);
        var count = text.AsSpan().Count((byte)'\n');
        var cut = shards ?? ((count + PicturesOfShard - 1) / PicturesOfShard);
        if (cut > count)
            throw new UserException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"--of is {cut}, but there are only {count} pictures, and a shard "
                        + $"needs at least one. Use at most that many shards."
                )
            );
        var job = new ScoringSpecification(
            ContentHash.Of(onnx),
            ContentHash.Of(text),
            count,
            cut,
            format == "csv" ? ResultFormat.Csv : ResultFormat.Parquet,
            root
        );
        // The job's description first: a folder of another job is refused before anything is written to it.
        JobFolder.Write(folder, job);
        JobFolder.Once(
            JobFolder.ModelOf(folder),
            onnx,
            $"{JobFolder.ModelOf(folder)} has been changed since the job was created."
        );
        JobFolder.Once(
            JobFolder.ManifestOf(folder),
            text,
            $"{JobFolder.ManifestOf(folder)} has been changed since the job was created."
        );
        console.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{count:N0} pictures in {cut:N0} shards, in {folder}.")
        );
    }

    private static byte[] ReadModel(string path)
    {
        try
        {
            using (Inference.ImageClassifier.Load(path))
                return File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new UserException($"--model {path}: {error.Message}", error);
        }
    }
}
