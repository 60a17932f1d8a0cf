namespace TorchBridge.Training.Recipes;

/// <summary>The learning-rate schedule after the warm-up.</summary>
internal enum ScheduleKind
{
    /// <summary>Half a cosine down to the final rate.</summary>
    Cosine,

    /// <summary>A line down to the final rate.</summary>
    OneCycle,

    /// <summary>Constant.</summary>
    Constant,
}
