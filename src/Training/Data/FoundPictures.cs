namespace TorchBridge.Training.Data;

/// <summary>The contents of a folder or an archive.</summary>
/// <param name="Pictures">The pictures, in the order of their names.</param>
/// <param name="Folders">The folders, including empty ones.</param>
/// <param name="LeftOut">Files that do not count.</param>
internal sealed record FoundPictures(List<EncodedPicture> Pictures, HashSet<string> Folders, LeftOut LeftOut);
