namespace TorchBridge.Inference;

/// <summary>The type of the column <c>PredictedLabel</c>.</summary>
public enum LabelKind
{
    /// <summary>The class name.</summary>
    Text,

    /// <summary>A key whose values are the class names, as ML.NET's evaluators expect.</summary>
    Key,
}
