using System.Globalization;

namespace TorchBridge.Training.Artifacts;

/// <summary>Checks the machine before a command starts its work, so that problems are reported at once and not after
/// an hour.</summary>
internal static class MachineCheck
{
    /// <summary>Smallest address space in bytes. .NET and libtorch reserve far more than they use; with less, native
    /// code terminates the process without a message.</summary>
    private const long LeastAddressSpace = 8L << 30;

    /// <summary>Checks the machine.</summary>
    /// <exception cref="UserException">A requirement is not met; the message says which and what to do.</exception>
    public static void Require()
    {
        using (TemporaryFolder.OpenFile()) { }
        if (AddressSpace() is { } bytes and < LeastAddressSpace)
            throw new UserException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The address space of this process is limited to {bytes:N0} bytes (ulimit -v), and native libraries "
                        + $"would terminate without a message, because they reserve more than they use. Allow "
                        + $"{LeastAddressSpace:N0} bytes, or limit the memory itself with a cgroup or a container."
                )
            );
    }

    /// <summary>The limit of the address space on Linux; null if there is none.</summary>
    private static long? AddressSpace()
    {
        const string limits = "/proc/self/limits",
            name = "Max address space";
        try
        {
            return
                File.Exists(limits)
                && File.ReadLines(limits).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))
                    is { } line
                && long.TryParse(
                    line[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0],
                    NumberStyles.None,
                    CultureInfo.InvariantCulture,
                    out var bytes
                )
                ? bytes
                : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
