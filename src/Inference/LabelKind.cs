namespace TorchBridge.Inference;

/// <summary>What the column <c>PredictedLabel</c> holds.</summary>
public enum LabelKind
{
    /// <summary>The class name.</summary>
    Text,

    /// <summary>A key whose values are the class names, as ML.NET's evaluators take it.</summary>
    Key,
}
