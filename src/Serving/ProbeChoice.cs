namespace TorchBridge.Serving;

/// <summary>
/// Which models are first loaded in a separate process, because a file may crash ONNX Runtime and with it the server.
/// </summary>
public enum ProbeChoice
{
    /// <summary>All models except TorchBridge classifiers.</summary>
    Foreign,

    /// <summary>All models.</summary>
    All,

    /// <summary>No model: a file that crashes ONNX Runtime then crashes the server.</summary>
    None,
}
