namespace TorchBridge.Training.Networks;

/// <summary>Where a network's initial weights came from; stored with the model.</summary>
/// <param name="Source"><c>imagenet</c>, or a file's path.</param>
/// <param name="Sha256">SHA-256 of the file, in hexadecimal digits.</param>
internal sealed record WeightsOrigin(string Source, string Sha256);
