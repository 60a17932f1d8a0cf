namespace TorchBridge.Training.Recipes;

/// <summary>How the learning rate falls after its warm-up.</summary>
internal enum ScheduleKind
{
    /// <summary>Half a cosine, to zero.</summary>
    Cosine,

    /// <summary>A line, to zero.</summary>
    OneCycle,

    /// <summary>Not at all.</summary>
    Constant,
}
