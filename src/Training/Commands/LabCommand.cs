using System.CommandLine;
using Spectre.Console;
using TorchBridge.Training.Data;
using TorchBridge.Training.Lab;

namespace TorchBridge.Training.Commands;

/// <summary><c>lab</c>: techniques to look at.</summary>
internal static class LabCommand
{
    public static Command Build()
    {
        var (data, seed) = (CommonOptions.DataSet("drawn"), CommonOptions.Seed());
        Option<string> folder = new("--out") { Description = "Folder for the pictures.", DefaultValueFactory = _ => "lab", HelpName = "DIR" };
        var augmentations = new Command("augmentations", "A sheet of training pictures under every augmentation: crop, flip, rotation, jitter, cutout, all of them, mixup and CutMix.\nExample: lab augmentations --data cifar10") { data, folder, seed };
        augmentations.SetAction((parsed, _) => CommandRunner.Run(() =>
        {
            var loaded = DataLoading.Load(AnsiConsole.Console, parsed.GetValue(data) ?? DataSource.Drawn, 32, parsed.GetValue(seed) ?? 1, null).Data;
            var path = Path.Combine(parsed.GetValue(folder)!, "augmentations.png");
            try
            {
                Directory.CreateDirectory(parsed.GetValue(folder)!);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new UserException($"--out {parsed.GetValue(folder)}: the folder cannot be made ({error.Message}).", error);
            }

            AugmentationSheet.Write(path, loaded.Training, loaded.ClassNames);
            AnsiConsole.Console.WriteLine($"{path}: a row a picture; two draws of each technique, the share of the first label over mixed ones.");
            return 0;
        }));
        return new Command("lab", "Look at what the techniques do.") { augmentations };
    }
}
