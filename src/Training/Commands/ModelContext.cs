using System.CommandLine;
using Spectre.Console;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Training.Commands;

/// <summary>The model, data and console that a command on a trained model works with.</summary>
internal sealed record ModelContext(
    TrainedModel Model,
    ModelFolder Folder,
    LoadedData Data,
    IAnsiConsole Console,
    ParseResult Parsed
)
{
    /// <summary>
    /// Builds a command that loads the model and its data, does its work, and writes the result if --json is given.
    /// </summary>
    /// <param name="name">Name of the command.</param>
    /// <param name="description">Description for the help.</param>
    /// <param name="work">Does the work on the model with its data; returns the exit code and the object that
    /// <c>--json</c> writes.</param>
    /// <param name="own">Options in addition to the common ones.</param>
    public static Command Command(
        string name,
        string description,
        Func<ModelContext, CancellationToken, (int ExitCode, object Result)> work,
        params Option[] own
    )
    {
        var (outFolder, seed, json, data) = (
            CommonOptions.Out(),
            CommonOptions.Seed(),
            CommonOptions.JsonFile(),
            CommonOptions.DataSet("the data that the model was trained on")
        );
        var command = new Command(name, description) { data, outFolder, json, seed };
        foreach (var option in own)
            command.Options.Add(option);
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    var folder = new ModelFolder(parsed.GetValue(outFolder)!);
                    FileSet.Recover(folder.Path);
                    using var model = TrainedModel.Load(folder.Weights);
                    var loaded = DataLoading.Load(
                        AnsiConsole.Console,
                        model.Settings,
                        parsed.GetValue(data),
                        seed.Whole(parsed)
                    );
                    if (loaded.Data.Note is { } note)
                        AnsiConsole.Console.WriteLine(note);
                    var (exitCode, result) = work(
                        new ModelContext(model, folder, loaded, AnsiConsole.Console, parsed),
                        stop
                    );
                    CommonOptions.WriteJson(parsed.GetValue(json), result);
                    return exitCode;
                })
        );
        return command;
    }
}
