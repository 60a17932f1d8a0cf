using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Reads the native handle of a module, which TorchSharp keeps internal. A test verifies that the names
/// still exist.</summary>
internal static class TorchHandles
{
    /// <summary>The private field that holds a module's native handle.</summary>
    private static readonly FieldInfo Handle = typeof(nn.Module).GetField(
        "handle",
        BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public
    ) ?? throw new MissingFieldException("torch.nn.Module", "handle");

    /// <summary>The private field that holds a module's own parameters.</summary>
    private static readonly FieldInfo Parameters = typeof(nn.Module).GetField(
        "_internal_params",
        BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public
    ) ?? throw new MissingFieldException("torch.nn.Module", "_internal_params");

    /// <summary>
    /// Whether the native part of a module or of one of its parameters has been disposed: TorchSharp silently omits
    /// disposed parameters from named_parameters.
    /// </summary>
    /// <param name="module">Any module.</param>
    public static bool IsDisposed(nn.Module module)
    {
        if (Handle.GetValue(module) is SafeHandle { IsClosed: true })
            return true;
        return Parameters.GetValue(module) is IEnumerable<(string Name, Parameter Parameter)> parameters
            && parameters.Any(pair => pair.Parameter is { IsInvalid: true });
    }
}
