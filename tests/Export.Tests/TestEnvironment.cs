namespace TorchBridge.Export.Tests;

/// <summary>Restores an environment variable of this process after a test that changes it.</summary>
internal sealed class KeptVariable(string name) : IDisposable
{
    private readonly string? value = Environment.GetEnvironmentVariable(name);

    public void Dispose() => Environment.SetEnvironmentVariable(name, value);
}
