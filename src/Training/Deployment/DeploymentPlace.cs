namespace TorchBridge.Training.Deployment;

/// <summary>Names and addresses of a package.</summary>
/// <param name="Folder">Where it is written.</param>
/// <param name="Name">Name of the model and the service.</param>
/// <param name="Image">Image of the container.</param>
/// <param name="Storage">Where KServe finds the repository.</param>
internal sealed record DeploymentPlace(string Folder, string Name, string Image, string Storage);
