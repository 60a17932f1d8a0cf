using System.Globalization;

namespace TorchBridge.Training.Artifacts;

/// <summary>Looks at what every command needs of the machine, before its work begins: what is missing is told then, and
/// not after an hour.</summary>
internal static class MachineCheck
{
    /// <summary>Bytes of address space, of which .NET and libtorch reserve far more than they use; with less, native
    /// code ends the process without a word.</summary>
    private const long LeastAddressSpace = 8L << 30;

    /// <summary>Checks it.</summary>
    /// <exception cref="UserException">Something is missing; the message says what and how to get it.</exception>
    public static void Require()
    {
        using (TemporaryFolder.OpenFile()) { }
        if (AddressSpace() is { } bytes and < LeastAddressSpace)
            throw new UserException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The address space of this process is limited to {bytes:N0} bytes (ulimit -v), and native libraries "
                        + $"would end without a word: they reserve more than they use. Allow {LeastAddressSpace:N0}, or "
                        + $"limit the memory itself, with a cgroup or a container."
                )
            );
    }

    /// <summary>The limit of the address space, on Linux; null where there is none.</summary>
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
