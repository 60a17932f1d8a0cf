using System.Globalization;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Cluster;

/// <summary>
/// A "machine" on this one: a network namespace with a cable to this machine's, which can be pulled and put back. What is
/// cut off hears nothing: no connection is closed.
/// </summary>
internal sealed class Machine : IDisposable
{
    private readonly string name;
    private readonly string cable;

    private Machine(string name, string cable, string here) => (this.name, this.cable, Here) = (name, cable, here);

    /// <summary>This machine's address on the cable.</summary>
    public string Here { get; }

    /// <summary>Words before a command line, so that it runs over there.</summary>
    public IReadOnlyList<string> Prefix => ["ip", "netns", "exec", name];

    /// <summary>Makes a machine; skips the test where that is not allowed.</summary>
    /// <param name="number">From 0 to 63, another one for each of a test's machines.</param>
    public static Machine Start(int number)
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && Run.IsInstalled("ip"),
            "a machine that can be cut off is a network namespace of Linux, made by ip (apt-get install iproute2)"
        );
        // Two test runs at once must not meet.
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

    /// <summary>Pulls the cable.</summary>
    public void CutOff() => Do("link", "set", cable, "down");

    /// <summary>Puts it back.</summary>
    public void Heal() => Do("link", "set", cable, "up");

    /// <inheritdoc/>
    public void Dispose() => Run.Command("ip", ["netns", "delete", name]);

    private static void Do(params string[] arguments)
    {
        var result = Run.Command("ip", arguments);
        Assert.True(result.ExitCode == 0, $"ip {string.Join(' ', arguments)}: {result.Error}");
    }
}
