namespace TorchBridge.Training.Data;

/// <summary>Names of an archive's entries, and the pictures among them.</summary>
/// <param name="archive">Its path, for errors.</param>
/// <param name="found">What is found.</param>
internal sealed class ArchiveEntries(string archive, FoundPictures found)
{
    private readonly HashSet<string> names = new(StringComparer.Ordinal);

    /// <summary>Reads a name: with forward slashes, whatever wrote the archive, and without ./ before it. True where
    /// the entry does not count; what is hidden is left out.</summary>
    /// <param name="text">As it stands in the archive.</param>
    /// <param name="name">Without a slash at its end.</param>
    /// <param name="isFolder">Whether it is a folder's.</param>
    /// <exception cref="UserException">It leads out of the archive.</exception>
    public bool Name(string text, out string name, out bool isFolder)
    {
        var slashes = text.Replace('\\', '/');
        isFolder = slashes.EndsWith('/');
        string[] parts = [.. slashes.Split('/').Where(part => part is not ("" or "."))];
        name = string.Join('/', parts);
        if (slashes.StartsWith('/') || parts.Contains("..") || parts is [[_, ':'], ..])
            throw new UserException(
                $"--data {archive}: the entry '{LeftOut.Printable(text)}' leads out of the archive. Pack the folder anew."
            );
        if (parts.Length > 0 && !PictureNames.HasHiddenPart(name))
            return false;
        if (parts.Length > 0 && !isFolder)
            found.LeftOut.Add(LeftOut.Reason.Hidden, name);
        return true;
    }

    /// <summary>Adds a picture, where it can be read.</summary>
    /// <param name="picture">The picture; one whose ending does not say whether it can be read is looked at.</param>
    /// <exception cref="UserException">There is one of its name.</exception>
    public void Add(EncodedPicture picture)
    {
        if (!names.Add(picture.Name))
            throw new UserException(
                $"--data {archive} holds {LeftOut.Printable(picture.Name)} twice. Pack the folder anew."
            );
        if (PictureNames.IsUncertain(picture.Name) && !PictureNames.CanRead(picture.Bytes))
            found.LeftOut.Add(LeftOut.Reason.Format, picture.Name);
        else
            found.Pictures.Add(picture);
    }
}
