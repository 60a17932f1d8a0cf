using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Jobs;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary><c>score</c>: classifies any number of pictures, in shards, here or on many machines.</summary>
internal static class ScoreCommand
{
    private const int PicturesOfShard = 1000;

    public static Command Build()
    {
        Argument<string?> pictures = new("MANIFEST")
        {
            Description =
                "A folder of pictures; or a file with a path a line; or what sha256sum writes, which saves reading every "
                + "picture twice. Leave it out to go on with the job in --out.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string> model = new("--model")
        {
            Description = "The exported model, which is copied into --out.",
            DefaultValueFactory = _ => Path.Combine("models", "modern-cnn.onnx"),
            HelpName = "FILE",
        };
        Option<string> outFolder = new("--out")
        {
            Description = "Folder of the job and its results; one job a folder.",
            Required = true,
            HelpName = "DIR",
        };
        Option<string> format = new("--format")
        {
            Description = "How the rows are written.",
            DefaultValueFactory = _ => "parquet",
            HelpName = "parquet|csv",
        };
        format.AcceptOnlyFromAmong("parquet", "csv");
        NumberOption of = new("--of", new AllowedAttribute(1, 1_000_000))
        {
            Description = "Shards that the manifest is cut into. Default: one a thousand pictures.",
            HelpName = "N",
        };
        NumberOption shard = new("--shard", new AllowedAttribute(0, 999_999))
        {
            Description =
                "Do this shard alone, from 0, in this process: for schedulers of your own, such as a Slurm array or an "
                + "Indexed Job. See `package --target slurm`.",
            HelpName = "K",
        };
        Option<bool> prepare = new("--prepare") { Description = "Make the job's folder, and do nothing yet." };
        var sharing = new Jobs.ClusterOptions();
        var command = new Command(
            "score",
            "Classify any number of pictures. The manifest is cut into shards; each is done once, by whichever worker, and "
                + "its rows are in the manifest's order: the results are the same bytes however many workers there were. A "
                + "picture that cannot be read is a row with its error. The same command again does only what is missing.\n"
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

    /// <summary>Does one item of a job, in this process.</summary>
    /// <param name="console">For the result.</param>
    /// <param name="folder">The job's folder.</param>
    /// <param name="index">The item.</param>
    /// <param name="count">How many the caller thinks there are; null where it does not say.</param>
    /// <param name="stop">Ends it.</param>
    /// <exception cref="UserException">There is no such item.</exception>
    internal static int One(IAnsiConsole console, string folder, int index, int? count, CancellationToken stop)
    {
        var (work, results) = JobFolder.Open(folder);
        using (work)
        {
            if (count is { } said && said != work.Count)
                throw new UserException(
                    FormattableString.Invariant($"The job in {folder} has {work.Count} items, and not {said}.")
                );
            if (index >= work.Count)
                throw new UserException(
                    FormattableString.Invariant(
                        $"There is no item {index}: the job in {folder} has {work.Count}, from 0 to {work.Count - 1}."
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
                FormattableString.Invariant($"--of is {cut}, and there are {count} pictures: a shard has at least one.")
            );
        var job = new ScoringSpecification(
            ContentHash.Of(onnx),
            ContentHash.Of(text),
            count,
            cut,
            format == "csv" ? ResultFormat.Csv : ResultFormat.Parquet,
            root
        );
        // First what it is: a folder of another job is refused before anything is written into it.
        JobFolder.Write(folder, job);
        JobFolder.Once(JobFolder.ModelOf(folder), onnx, $"{JobFolder.ModelOf(folder)} was changed.");
        JobFolder.Once(JobFolder.ManifestOf(folder), text, $"{JobFolder.ManifestOf(folder)} was changed.");
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
