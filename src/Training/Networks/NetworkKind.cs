namespace TorchBridge.Training.Networks;

/// <summary>Which network is trained. All but the first have torchvision's shape and state-dict keys.</summary>
internal enum NetworkKind
{
    /// <summary>The lesson's.</summary>
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
