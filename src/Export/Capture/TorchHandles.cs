using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Looks at the native handle of a module: TorchSharp keeps it internal. A test pins the names.</summary>
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
    /// Whether a module's native part is gone, or a parameter's: TorchSharp leaves disposed parameters out of
    /// named_parameters in silence.
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
