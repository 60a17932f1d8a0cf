using System.Globalization;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Cluster;

/// <summary>
/// A simulated machine: a network namespace with a virtual cable to this machine, which can be disconnected and
/// connected. Disconnecting closes no connection, so neither side is notified.
/// </summary>
internal sealed class Machine : IDisposable
{
    private readonly string name;
    private readonly string cable;

    private Machine(string name, string cable, string here) => (this.name, this.cable, Here) = (name, cable, here);

    /// <summary>The address of the test's machine on the cable.</summary>
    public string Here { get; }

    /// <summary>The words to put before a command line to run it on the simulated machine.</summary>
    public IReadOnlyList<string> Prefix => ["ip", "netns", "exec", name];

    /// <summary>Creates a machine; skips the test if there is no permission.</summary>
    /// <param name="number">A number from 0 to 63, different for each machine of a test.</param>
    public static Machine Start(int number)
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && Run.IsInstalled("ip"),
            "a machine that can be cut off is a network namespace of Linux, made by ip (apt-get install iproute2)"
        );
        // Two test runs at the same time must not use the same addresses.
        var id = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId % 4096:x}{number:x}");
        var (name, here, there) = ($"tb{id}", $"tbh{id}", $"tbt{id}");
        // A network of 64 x 1024 pairs of addresses.
        var network = string.Create(
            CultureInfo.InvariantCulture,
            $"10.{200 + (number % 50)}.{Environment.ProcessId % 256}"
        );
        var made = Run.Command("ip", ["netns", "add", name]);
        Assert.SkipUnless(made.ExitCode == 0, $"no network namespace can be made here: {made.Error.Trim()}");
        var machine = new Machine(name, here, $"{network}.1");
        try
        {
            Do("link", "add", here, "type", "veth", "peer", "name", there);
            Do("link", "set", there, "netns", name);
            Do("addr", "add", $"{network}.1/30", "dev", here);
            Do("link", "set", here, "up");
            Do("-n", name, "addr", "add", $"{network}.2/30", "dev", there);
            Do("-n", name, "link", "set", there, "up");
            Do("-n", name, "link", "set", "lo", "up");
            return machine;
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>Disconnects the machine.</summary>
    public void CutOff() => Do("link", "set", cable, "down");

    /// <summary>Connects the machine again.</summary>
    public void Heal() => Do("link", "set", cable, "up");

    /// <inheritdoc/>
    public void Dispose() => Run.Command("ip", ["netns", "delete", name]);

    private static void Do(params string[] arguments)
    {
        var result = Run.Command("ip", arguments);
        Assert.True(result.ExitCode == 0, $"ip {string.Join(' ', arguments)}: {result.Error}");
    }
}
