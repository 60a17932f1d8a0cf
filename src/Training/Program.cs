using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Spectre.Console;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Commands;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training;

/// <summary>The program: trains, exports, packages and verifies picture classifiers.</summary>
internal static class Program
{
    /// <summary>Runs the command given by the arguments.</summary>
    /// <param name="args">The command line.</param>
    /// <returns>The exit code, one of <see cref="ExitCodes"/>.</returns>
    public static async Task<int> Main(string[] args)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        // A file or a pipe has no width, so lines are not wrapped.
        if (Console.IsOutputRedirected)
            AnsiConsole.Profile.Width = 1000;
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, stop));

        var parsed = Build().Parse(args);
        if (CommandLineFaults.Of(parsed).ToArray() is [_, ..] faults)
        {
            Console.Error.WriteLine($"{string.Join(" ", faults)} See `--help`.");
            return ExitCodes.Usage;
        }

        NativeTuning.Apply(NativeTuning.BindsThreads(parsed));
        // The program's own signal handlers end the work cleanly; the library's would kill it after two seconds.
        return await parsed
            .InvokeAsync(
                new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false },
                stop.Token
            )
            .ConfigureAwait(false);
    }

    /// <summary>Builds the root command; without a subcommand the program trains.</summary>
    /// <returns>The root command with every subcommand; by itself it accepts the options of <c>train</c>.</returns>
    internal static RootCommand Build()
    {
        var train = new TrainCommand();
        var root = new RootCommand(
            "TorchBridge: train a regularized ModernCNN in TorchSharp, export it to ONNX with BatchNorm "
                + "folded, package it for ML.NET, and verify that all of these give the same predictions.\n"
                + "Without a command it trains on built-in pictures.\nExample: dotnet run --project "
                + "src/Training -c Release -- train --data ./my-pictures --epochs 20"
        );
        foreach (var option in train.Options)
            root.Options.Add(option);
        root.SetAction(train.Run);
        root.Subcommands.Add(new TrainCommand().Build());
        root.Subcommands.Add(ModelCommands.Evaluate());
        root.Subcommands.Add(ModelCommands.Export());
        root.Subcommands.Add(ModelCommands.Parity());
        root.Subcommands.Add(QuantizeCommand.Build());
        root.Subcommands.Add(PackageCommand.Build());
        root.Subcommands.Add(ModelCommands.Predict());
        root.Subcommands.Add(InspectCommand.Build());
        root.Subcommands.Add(LabCommand.Build());
        root.Subcommands.Add(AblateCommand.Build());
        root.Subcommands.Add(AblateCommand.BuildRun());
        root.Subcommands.Add(ScoreCommand.Build());
        root.Subcommands.Add(SweepCommand.Build());
        root.Subcommands.Add(WorkerCommand.Build());
        root.Subcommands.Add(WorkerCommand.BuildServe());
        root.Subcommands.Add(VerifyCommand.Build());
        root.Subcommands.Add(OperatorsCommand.Build());
        GroupedHelp.Use(root);
        return root;
    }

    /// <summary>The first signal stops the work at its next safe point; the second ends the process immediately,
    /// which leaves no incomplete files either.</summary>
    /// <param name="signal">Ctrl-C, or a request to terminate.</param>
    /// <param name="stop">Cancels the command.</param>
    private static void Stop(PosixSignalContext signal, CancellationTokenSource stop)
    {
        if (stop.IsCancellationRequested)
            return;
        signal.Cancel = true;
        Console.Error.WriteLine("Stopping at the next safe point. Press Ctrl-C again to end the program immediately.");
        stop.Cancel();
    }
}
