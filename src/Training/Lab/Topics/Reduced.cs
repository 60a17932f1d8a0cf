using TorchBridge.Training.Networks;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>The ModernCNN that the lab trains: the same blocks, fewer channels, no dropout.</summary>
internal static class Reduced
{
    /// <summary>The lab's network for a topic's data.</summary>
    /// <param name="context">Width, classes and size.</param>
    public static NetworkOptions Options(LabContext context) =>
        new()
        {
            Channels = context.Width,
            Classes = context.Data.Classes,
            Height = context.Data.Pictures.Training.Height,
            Width = context.Data.Pictures.Training.Width,
            Dropout = 0,
        };
}
