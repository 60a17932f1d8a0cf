namespace TorchBridge.Training.Deployment;

/// <summary>Who serves the package.</summary>
internal enum DeploymentTarget
{
    /// <summary>A model repository for Triton, which our own server reads too.</summary>
    Triton,

    /// <summary>The repository, and an InferenceService for KServe.</summary>
    KServe,

    /// <summary>The repository, and an image of our own server with it.</summary>
    Docker,

    /// <summary>The same, and a Deployment with its Service.</summary>
    Kubernetes,
}
