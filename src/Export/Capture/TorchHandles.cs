using System.Reflection;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Looks at the native handle of a module: TorchSharp keeps it internal. A test pins the names.</summary>
internal static class TorchHandles
{
    private static readonly FieldInfo Handle = typeof(nn.Module).GetField("handle", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public)
        ?? throw new MissingFieldException("torch.nn.Module", "handle");

    /// <summary>Whether a module's native part is gone.</summary>
    public static bool IsDisposed(nn.Module module) => Handle.GetValue(module) is SafeHandle { IsClosed: true } or SafeHandle { IsInvalid: true } && HasNativePart(module);

    // Custom modules of some kinds never get a native part; only one that had one and lost it is disposed.
    private static bool HasNativePart(nn.Module module) => Handle.GetValue(module) is SafeHandle { IsClosed: true };
}
