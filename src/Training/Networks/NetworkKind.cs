namespace TorchBridge.Training.Networks;

/// <summary>The network to train. All but the first have torchvision's architecture and state-dict keys.</summary>
internal enum NetworkKind
{
    /// <summary>The lesson's network.</summary>
    ModernCnn,

    /// <summary>18 layers, 512 features; He et al. 2016.</summary>
    Resnet18,

    /// <summary>34 layers, 512 features.</summary>
    Resnet34,

    /// <summary>50 layers, 2,048 features.</summary>
    Resnet50,

    /// <summary>576 features and a hidden layer of 1,024; Howard et al. 2019.</summary>
    MobilenetV3Small,

    /// <summary>960 features and a hidden layer of 1,280.</summary>
    MobilenetV3Large,
}
