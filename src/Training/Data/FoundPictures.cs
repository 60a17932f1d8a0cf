namespace TorchBridge.Training.Data;

/// <summary>What a folder or an archive holds.</summary>
/// <param name="Pictures">The pictures, in the order of their names.</param>
/// <param name="Folders">The folders, empty ones too.</param>
/// <param name="LeftOut">What does not count.</param>
internal sealed record FoundPictures(List<EncodedPicture> Pictures, HashSet<string> Folders, LeftOut LeftOut);
