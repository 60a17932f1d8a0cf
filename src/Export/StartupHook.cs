using TorchBridge.Export.Native;

/// <summary>Called by the runtime before Main where the package's .props file asks for it: in F# and VB, which have
/// no module initializers.</summary>
/// <remarks>The runtime looks for exactly this name in the global namespace.</remarks>
#pragma warning disable CA1050 // the name is the runtime's
internal static class StartupHook
#pragma warning restore CA1050
{
    /// <summary>Prepares the loading of TorchSharp.</summary>
    public static void Initialize() => TorchSharpLoader.Install();
}
