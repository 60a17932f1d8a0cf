namespace TorchBridge.Training.Data;

/// <summary>Names of an archive's entries, and the pictures among them.</summary>
/// <param name="archive">Path of the archive, for error messages.</param>
/// <param name="found">Receives the pictures.</param>
internal sealed class ArchiveEntries(string archive, FoundPictures found)
{
    private readonly HashSet<string> names = new(StringComparer.Ordinal);

    /// <summary>Normalizes a name: with forward slashes and without a leading ./. True if the entry does not count,
    /// because it is hidden.</summary>
    /// <param name="text">The name as stored in the archive.</param>
    /// <param name="name">The normalized name, without a trailing slash.</param>
    /// <param name="isFolder">Whether the entry is a folder.</param>
    /// <exception cref="UserException">The name leads out of the archive.</exception>
    public bool Name(string text, out string name, out bool isFolder)
    {
        var slashes = text.Replace('\\', '/');
        isFolder = slashes.EndsWith('/');
        string[] parts = [.. slashes.Split('/').Where(part => part is not ("" or "."))];
        name = string.Join('/', parts);
        if (slashes.StartsWith('/') || parts.Contains("..") || parts is [[_, ':'], ..])
            throw new UserException(
                $"--data {archive}: the path of entry '{LeftOut.Printable(text)}' leads out of the archive. "
                    + "Create the archive again."
            );
        if (parts.Length > 0 && !PictureNames.HasHiddenPart(name))
            return false;
        if (parts.Length > 0 && !isFolder)
            found.LeftOut.Add(LeftOut.Reason.Hidden, name);
        return true;
    }

    /// <summary>Adds a picture if it can be read.</summary>
    /// <param name="picture">An entry whose name may be a picture's.</param>
    /// <param name="head">Its first bytes.</param>
    /// <exception cref="UserException">There is already a picture with this name.</exception>
    public void Add(EncodedPicture picture, ReadOnlySpan<byte> head)
    {
        if (!names.Add(picture.Name))
            throw new UserException(
                $"--data {archive} contains {LeftOut.Printable(picture.Name)} twice. Create the archive again."
            );
        if (PictureNames.WhyNot(picture.Name, head, () => picture.Bytes) is { } reason)
            found.LeftOut.Add(reason, picture.Name);
        else
            found.Pictures.Add(picture);
    }
}
