// The model server as a program:
//   dotnet run --project src/Serving -c Release -- --models models
using System.Globalization;
using Microsoft.Extensions.Options;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving;

/// <summary>Entry point: serves a folder of models until the program is told to stop.</summary>
internal static class Program
{
    /// <summary>Exit codes: 1 for an error while running, 2 for invalid arguments or options.</summary>
    private const int Failed = 1,
        Usage = 2;

    /// <summary>Runs the server.</summary>
    /// <param name="args">The program's arguments, or those of the child process that tries a model out.</param>
    /// <returns>0 after a regular stop, 1 after an error, 2 for invalid arguments or options.</returns>
    public static async Task<int> Main(string[] args)
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        if (args is [ChildProcessProbe.Argument, var path, var digest])
            return ModelProbeProgram.Run(path, digest);
        try
        {
            var settings = ProgramArguments.Read(args);
            if (settings is null)
            {
                Console.WriteLine(ProgramArguments.Help);
                return 0;
            }

            await using var app = ServerApplication.Build(settings);
            app.Lifetime.ApplicationStarted.Register(() => ServerApplication.Announce(app));
            await app.RunAsync().ConfigureAwait(false);
            return 0;
        }
        catch (OptionsValidationException error)
        {
            Console.Error.WriteLine(string.Join(Environment.NewLine, error.Failures));
            return Usage;
        }
        catch (UsageException error)
        {
            Console.Error.WriteLine(error.Message);
            return Usage;
        }
        catch (Exception error)
            when (error is IOException or InvalidOperationException or FormatException or InvalidDataException)
        {
            // For example a port in use, a configuration file that is not JSON, a value of the wrong type.
            Console.Error.WriteLine(
                error.InnerException is { } inner ? $"{error.Message} {inner.Message}" : error.Message
            );
            return Failed;
        }
    }
}
