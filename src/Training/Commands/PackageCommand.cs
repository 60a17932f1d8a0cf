using System.CommandLine;
using System.Text.RegularExpressions;
using Spectre.Console;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Deployment;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Training.Commands;

/// <summary><c>package</c>: the exported model as others serve it.</summary>
internal static partial class PackageCommand
{
    /// <summary>The command with its options: target, folder, name, image.</summary>
    /// <returns>For the program's root command.</returns>
    public static Command Build()
    {
        var targets = Enum.GetValues<DeploymentTarget>()
            .ToDictionary(value => value.ToString().ToLowerInvariant(), StringComparer.Ordinal);
        Option<string> target = new("--target")
        {
            Description =
                "triton: a model repository. kserve: and an InferenceService. docker: and a Dockerfile "
                + "of our own server. kubernetes: and a Deployment. slurm, kubernetes-job: a job of `score` or `sweep` "
                + "(--job) as a Slurm array or an Indexed Job.",
            Required = true,
            HelpName = string.Join('|', targets.Keys.Concat(JobPackager.Targets)),
        };
        target.AcceptOnlyFromAmong([.. targets.Keys, .. JobPackager.Targets]);
        Option<string?> job = new("--job")
        {
            Description =
                "With slurm and kubernetes-job: the job's folder, made by `score --prepare` or `sweep --prepare`, where the "
                + "nodes see it.",
            HelpName = "DIR",
        };
        Option<string> claim = new("--claim")
        {
            Description = "With kubernetes-job: the volume claim that is mounted where the job's folder is.",
            DefaultValueFactory = _ => "torchbridge-jobs",
            HelpName = "NAME",
        };
        Option<string?> to = new("--to")
        {
            Description = "Folder to write; it must not be there. Default: deploy/TARGET.",
            HelpName = "DIR",
        };
        Option<string> name = new("--name")
        {
            Description = "Name of the model and the service: small letters, digits and '-'.",
            DefaultValueFactory = _ => "modern-cnn",
            HelpName = "NAME",
        };
        Option<string?> image = new("--image")
        {
            Description = "Name of the container's image. Default: NAME:latest.",
            HelpName = "IMAGE",
        };
        Option<string> storage = new("--storage")
        {
            Description = "Where you will put the repository for KServe.",
            DefaultValueFactory = _ => "pvc://models",
            HelpName = "URI",
        };
        Option<string?> variant = new("--variant")
        {
            Description = "A quantized copy of the model, as `quantize` makes it: int8, weights-int8 or float16.",
            HelpName = "int8|weights-int8|float16",
        };
        variant.AcceptOnlyFromAmong("int8", "weights-int8", "float16");
        var outFolder = CommonOptions.Out();
        var command = new Command(
            "package",
            "Write the exported model as others serve it: a Triton model repository with its "
                + "configuration and labels, and what KServe, Docker or Kubernetes need.\nExample: package "
                + "--target triton\nExample: package --target kubernetes --image "
                + "registry.example.org/modern-cnn:1\nExample: package --target slurm --job /shared/scores"
        )
        {
            target,
            to,
            name,
            image,
            storage,
            variant,
            job,
            claim,
            outFolder,
        };
        command.SetAction(parsed =>
            CommandRunner.Run(() =>
            {
                var chosen = parsed.GetValue(name)!;
                RecipeOptions.Require(
                    ServiceName().IsMatch(chosen),
                    "--name",
                    chosen,
                    "small letters, digits and '-', at most 63, a letter first and no '-' last"
                );
                var container = parsed.GetValue(image) ?? $"{chosen}:latest";
                RecipeOptions.Require(
                    ImageName().IsMatch(container),
                    "--image",
                    container,
                    "a name as registry.example.org/team/name:tag"
                );
                var written = parsed.GetValue(to) ?? Path.Combine("deploy", parsed.GetValue(target)!);
                RecipeOptions.Require(
                    !written.Any(letter => char.IsControl(letter) || letter is '"' or '$' or '`'),
                    "--to",
                    written,
                    "a path that a shell takes as it is"
                );
                var isJob = JobPackager.Targets.Contains(parsed.GetValue(target));
                if (isJob != parsed.GetValue(job) is not null)
                    throw new UserException(
                        "--target slurm and kubernetes-job need --job, the folder of a job; the other targets package the model "
                            + "in --out, and take no --job."
                    );
                if (isJob)
                {
                    var claimed = parsed.GetValue(claim)!;
                    RecipeOptions.Require(
                        ServiceName().IsMatch(claimed),
                        "--claim",
                        claimed,
                        "small letters, digits and '-'"
                    );
                    var file = JobPackager.Package(
                        parsed.GetValue(target)!,
                        parsed.GetValue(job)!,
                        new DeploymentPlace(written, chosen, container, claimed)
                    );
                    AnsiConsole.Console.WriteLine($"  {Path.GetRelativePath(Environment.CurrentDirectory, file)}");
                    return 0;
                }

                var folder = new ModelFolder(parsed.GetValue(outFolder)!);
                FileSet.Recover(folder.Path);
                if (parsed.GetValue(variant) is { } which)
                    folder = folder.MadeFrom(which);
                var place = new DeploymentPlace(written, chosen, container, parsed.GetValue(storage)!);
                var (files, note) = DeploymentPackager.Package(folder.Onnx, targets[parsed.GetValue(target)!], place);
                AnsiConsole.Console.WriteLine($"{folder.Onnx}, {note}");
                foreach (var file in files)
                    AnsiConsole.Console.WriteLine(
                        FormattableString.Invariant(
                            $"  {Path.GetRelativePath(Environment.CurrentDirectory, file)} ({new FileInfo(file).Length:N0} bytes)"
                        )
                    );
                return 0;
            })
        );
        return command;
    }

    /// <summary>What Kubernetes takes for the name of a service.</summary>
    /// <returns>Lower-case letters, digits and dashes, 63 characters at most (RFC 1035).</returns>
    [GeneratedRegex(@"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?\z")]
    private static partial Regex ServiceName();

    /// <summary>What is taken for the name of a container's image, with registry and tag.</summary>
    [GeneratedRegex(@"^[a-z0-9][A-Za-z0-9._:/@-]{0,254}\z")]
    private static partial Regex ImageName();
}
