namespace TorchBridge.Training.Deployment;

/// <summary>Names and addresses of a package.</summary>
/// <param name="Folder">Folder to write.</param>
/// <param name="Name">Name of the model and the service.</param>
/// <param name="Image">Name of the container image.</param>
/// <param name="Storage">Storage URI from which KServe loads the repository.</param>
internal sealed record DeploymentPlace(string Folder, string Name, string Image, string Storage);
