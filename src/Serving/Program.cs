namespace TorchBridge.Serving;

internal static class Program
{
    public static int Main() => 0;
}
