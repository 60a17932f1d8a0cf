using System.Diagnostics;
using System.Globalization;
using Npgsql;
using StackExchange.Redis;
using TorchBridge.Scale.Tests.Work;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Cluster;

/// <summary>A Redis or PostgreSQL server that a test starts for itself, from Debian's packages.</summary>
internal sealed class StoreServer : IDisposable
{
    private readonly Process process;
    private readonly string? idFile;

    /// <param name="process">The process that was started.</param>
    /// <param name="address">The value of <c>--cluster</c>.</param>
    /// <param name="idFile">A file whose first line is the server's process id, for a server that is a child of the
    /// started process, which does not forward signals.</param>
    private StoreServer(Process process, string address, string? idFile = null) =>
        (this.process, Address, this.idFile) = (process, address, idFile);

    /// <summary>The value of <c>--cluster</c> for this server.</summary>
    public string Address { get; }

    /// <summary>Starts a server; skips the test if it is not installed.</summary>
    /// <param name="kind"><c>redis</c> or <c>postgres</c>.</param>
    /// <param name="folder">The folder for its data.</param>
    /// <param name="address">The address on which Redis listens; the simulated machines of a test need one that they
    /// can reach.</param>
    public static Task<StoreServer> Start(string kind, string folder, string address = "127.0.0.1") =>
        kind == "redis" ? Redis(folder, address) : Postgres(folder);

    /// <inheritdoc/>
    public void Dispose()
    {
        // SIGINT is PostgreSQL's fast shutdown, which also ends its child processes.
        var id = idFile is null ? process.Id.ToString(CultureInfo.InvariantCulture) : File.ReadLines(idFile).First();
        Run.Command("kill", ["-INT", id]);
        process.WaitForExit();
        process.Dispose();
    }

    private static async Task<StoreServer> Redis(string folder, string address)
    {
        Assert.SkipUnless(
            Run.IsInstalled("redis-server"),
            "redis-server is not installed (apt-get install redis-server)"
        );
        var (port, _) = TestJob.FreePorts();
        var process = Start(
            "redis-server",
            [
                "--port",
                $"{port}",
                "--bind",
                address,
                "--protected-mode",
                "no",
                "--dir",
                folder,
                "--save",
                "",
                "--appendonly",
                "no",
            ]
        );
        var options = ConfigurationOptions.Parse($"{address}:{port}");
        await Until(async () =>
        {
            await using var connection = await ConnectionMultiplexer.ConnectAsync(options);
            await connection.GetDatabase().PingAsync();
        });
        return new StoreServer(process, $"redis://{address}:{port}");
    }

    private static async Task<StoreServer> Postgres(string folder)
    {
        var programs = Directory.Exists("/usr/lib/postgresql")
            ? Directory.EnumerateDirectories("/usr/lib/postgresql").Select(path => Path.Combine(path, "bin")).ToArray()
            : [];
        Assert.SkipUnless(
            programs.Length > 0 && File.Exists(Path.Combine(programs[^1], "initdb")),
            "PostgreSQL is not installed (apt-get install postgresql)"
        );
        var data = Path.Combine(folder, "data");
        var (port, _) = TestJob.FreePorts();
        // The server refuses to run as root.
        string[] user = Environment.UserName == "root" ? ["runuser", "-u", "postgres", "--"] : [];
        if (user.Length > 0)
        {
            Directory.CreateDirectory(data);
            Assert.Equal(0, Run.Command("chown", ["-R", "postgres", folder]).ExitCode);
        }

        string[] initialize =
        [
            .. user,
            Path.Combine(programs[^1], "initdb"),
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "test",
            "--no-sync",
        ];
        var made = Run.Command(initialize[0], initialize[1..], folder);
        Assert.True(made.ExitCode == 0, made.Error);
        string[] serve =
        [
            .. user,
            Path.Combine(programs[^1], "postgres"),
            "-D",
            data,
            "-p",
            $"{port}",
            "-k",
            data,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ];
        var process = Start(serve[0], serve[1..]);
        await Until(async () =>
        {
            await using var connection = new NpgsqlConnection(
                $"Host=127.0.0.1;Port={port};Username=test;Database=postgres;Pooling=false"
            );
            await connection.OpenAsync();
        });
        return new StoreServer(
            process,
            $"postgres://test@127.0.0.1:{port}/postgres",
            Path.Combine(data, "postmaster.pid")
        );
    }

    private static Process Start(string program, string[] arguments)
    {
        var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true }
        )!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    /// <summary>Repeats an action until it succeeds; the time limit of the test ends it otherwise.</summary>
    private static async Task Until(Func<Task> work)
    {
        while (true)
        {
            try
            {
                await work();
                return;
            }
            catch (Exception error) when (error is NpgsqlException or RedisException)
            {
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }
        }
    }
}
