namespace TorchBridge.Training.Data;

/// <summary>A picture of a data set, not decoded.</summary>
/// <param name="Picture">Its file.</param>
/// <param name="Part"><c>train</c>, <c>validation</c> or <c>test</c>; null if the set has no parts.</param>
/// <param name="Class">Name of its folder.</param>
internal sealed record PlacedPicture(EncodedPicture Picture, string? Part, string Class);
