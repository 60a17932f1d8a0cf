namespace TorchBridge.Export.Capture;

/// <summary>What a tensor object stands for at this moment of a trace; objects that are the same memory seen the same way share one.</summary>
internal sealed class Binding
{
    public required TracedValue Value { get; set; }

    /// <summary>Whether this is a view of another tensor's memory.</summary>
    public required bool IsView { get; init; }

    /// <summary>Whether nothing recorded made it: a parameter, a buffer or a constant, which forward must not change.</summary>
    public required bool IsExternal { get; init; }

    /// <summary>All bindings of one memory: the owner and its views.</summary>
    public required List<Binding> Memory { get; init; }

    /// <summary>Where the memory was changed through another of its bindings: what this one would read is not known.</summary>
    public string? ChangedAt { get; set; }
}
