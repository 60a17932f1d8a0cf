using System.Text.Json;

namespace TorchBridge.Training;

/// <summary>Names of enum values as they are written on the command line and in files.</summary>
internal static class Naming
{
    /// <summary><c>mobilenet_v3_small</c> for MobilenetV3Small.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <param name="value">A value of the enum.</param>
    public static string Of<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
