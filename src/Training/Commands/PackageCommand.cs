using System.CommandLine;
using System.Text.RegularExpressions;
using Spectre.Console;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Deployment;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Training.Commands;

/// <summary>The <c>package</c> command: packages the exported model for other servers and schedulers.</summary>
internal static partial class PackageCommand
{
    /// <summary>Builds the command with its options: target, folder, name, image.</summary>
    /// <returns>For the program's root command.</returns>
    public static Command Build()
    {
        var targets = Enum.GetValues<DeploymentTarget>()
            .ToDictionary(value => value.ToString().ToLowerInvariant(), StringComparer.Ordinal);
        Option<string> target = new("--target")
        {
            Description =
                "triton: a model repository. kserve: also an InferenceService. docker: also a Dockerfile "
                + "for TorchBridge's own server. kubernetes: also a Deployment. slurm, kubernetes-job: a job of "
                + "`score` or `sweep` (--job) as a Slurm array or an Indexed Job.",
            Required = true,
            HelpName = string.Join('|', targets.Keys.Concat(JobPackager.Targets)),
        };
        target.AcceptOnlyFromAmong([.. targets.Keys, .. JobPackager.Targets]);
        Option<string?> job = new("--job")
        {
            Description =
                "For slurm and kubernetes-job: the job's folder, created by `score --prepare` or `sweep "
                + "--prepare`, where the nodes can access it.",
            HelpName = "DIR",
        };
        Option<string> claim = new("--claim")
        {
            Description = "For kubernetes-job: the volume claim that is mounted at the job's folder.",
            DefaultValueFactory = _ => "torchbridge-jobs",
            HelpName = "NAME",
        };
        Option<string?> to = new("--to")
        {
            Description = "Folder to write; it must not exist yet. Default: deploy/TARGET.",
            HelpName = "DIR",
        };
        Option<string> name = new("--name")
        {
            Description = "Name of the model and the service: lower-case letters, digits and '-'.",
            DefaultValueFactory = _ => "modern-cnn",
            HelpName = "NAME",
        };
        Option<string?> image = new("--image")
        {
            Description = "Name of the container image. Default: NAME:latest.",
            HelpName = "IMAGE",
        };
        Option<string> storage = new("--storage")
        {
            Description = "Storage URI from which KServe loads the repository.",
            DefaultValueFactory = _ => "pvc://models",
            HelpName = "URI",
        };
        Option<string?> variant = new("--variant")
        {
            Description =
                "Package a quantized copy of the model that `quantize` has created: int8, weights-int8 or float16.",
            HelpName = "int8|weights-int8|float16",
        };
        variant.AcceptOnlyFromAmong("int8", "weights-int8", "float16");
        var outFolder = CommonOptions.Out();
        var command = new Command(
            "package",
            "Package the exported model for other servers: a Triton model repository with its "
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
                    "lower-case letters, digits and '-', at most 63 characters, starting with a letter and not "
                        + "ending with '-'"
                );
                var container = parsed.GetValue(image) ?? $"{chosen}:latest";
                RecipeOptions.Require(
                    ImageName().IsMatch(container),
                    "--image",
                    container,
                    "a name such as registry.example.org/team/name:tag"
                );
                var written = parsed.GetValue(to) ?? Path.Combine("deploy", parsed.GetValue(target)!);
                RecipeOptions.Require(
                    !written.Any(letter => char.IsControl(letter) || letter is '"' or '$' or '`'),
                    "--to",
                    written,
                    "a path that needs no quoting in a shell"
                );
                var isJob = JobPackager.Targets.Contains(parsed.GetValue(target));
                if (isJob != parsed.GetValue(job) is not null)
                    throw new UserException(
                        "--target slurm and kubernetes-job require --job, the folder of a job; the other targets "
                            + "package the model in --out and do not accept --job."
                    );
                if (isJob)
                {
                    var claimed = parsed.GetValue(claim)!;
                    RecipeOptions.Require(
                        ServiceName().IsMatch(claimed),
                        "--claim",
                        claimed,
                        "lower-case letters, digits and '-'"
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

    /// <summary>Matches the service names that Kubernetes accepts.</summary>
    /// <returns>Lower-case letters, digits and dashes, 63 characters at most (RFC 1035).</returns>
    [GeneratedRegex(@"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?\z")]
    private static partial Regex ServiceName();

    /// <summary>Matches the names of container images, with registry and tag.</summary>
    [GeneratedRegex(@"^[a-z0-9][A-Za-z0-9._:/@-]{0,254}\z")]
    private static partial Regex ImageName();
}
