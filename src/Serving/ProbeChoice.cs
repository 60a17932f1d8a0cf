namespace TorchBridge.Serving;

/// <summary>
/// Which models are first loaded in a process of their own: a file may crash the runtime, and the server with it.
/// </summary>
public enum ProbeChoice
{
    /// <summary>Those that are no classifiers of TorchBridge.</summary>
    Foreign,

    /// <summary>All.</summary>
    All,

    /// <summary>None: a file that crashes the runtime takes the server down.</summary>
    None,
}
