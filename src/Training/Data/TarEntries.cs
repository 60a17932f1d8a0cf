using System.Formats.Tar;

namespace TorchBridge.Training.Data;

/// <summary>Reads the entries of a tar.</summary>
internal static class TarEntries
{
    /// <summary>The next entry; null at the end.</summary>
    /// <param name="archive">The archive, which can only be read forward.</param>
    /// <exception cref="InvalidDataException">The archive is damaged. For numbers in a header that are too large, the
    /// library throws arithmetic exceptions, which are wrapped.</exception>
    public static TarEntry? Next(TarReader archive)
    {
        try
        {
            return archive.GetNextEntry();
        }
        catch (Exception error) when (error is OverflowException or ArgumentException or FormatException)
        {
            throw new InvalidDataException($"a header of the archive is damaged: {error.Message}", error);
        }
    }
}
