using TorchBridge.Export.Native;

/// <summary>What the runtime calls before Main where the package's .props asks for it: in F# and VB, which have no
/// module initializers.</summary>
/// <remarks>The runtime looks for this name, outside of every namespace.</remarks>
#pragma warning disable CA1050 // the name is the runtime's
internal static class StartupHook
#pragma warning restore CA1050
{
    /// <summary>Prepares the load of TorchSharp.</summary>
    public static void Initialize() => TorchSharpLoader.Install();
}
