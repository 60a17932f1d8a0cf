namespace TorchBridge.Training.Deployment;

/// <summary>The server for which a model is packaged.</summary>
internal enum DeploymentTarget
{
    /// <summary>A model repository for Triton, which TorchBridge's server can use too.</summary>
    Triton,

    /// <summary>The repository, and an InferenceService for KServe.</summary>
    KServe,

    /// <summary>The repository, and a Dockerfile for TorchBridge's server with it.</summary>
    Docker,

    /// <summary>The same as <see cref="Docker"/>, and a Deployment with its Service.</summary>
    Kubernetes,
}
