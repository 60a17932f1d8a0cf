using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>ML.NET 5 and this library are built against SkiaSharp 2.88; version 3 has different members, and every
/// picture would fail with a MissingMethodException.</summary>
internal static class SkiaVersion
{
    private const int Supported = 2;

    /// <summary>Checks the version once, at startup.</summary>
    /// <exception cref="NotSupportedException">The program uses another major version.</exception>
    public static void Check() => Check(typeof(SKBitmap).Assembly.GetName().Version!);

    /// <summary>Checks a version of the assembly.</summary>
    /// <param name="version">Version of the assembly that the program uses.</param>
    /// <exception cref="NotSupportedException">The major version differs.</exception>
    internal static void Check(Version version)
    {
        if (version.Major == Supported)
            return;
        throw new NotSupportedException(
            $"this program uses SkiaSharp {version.Major}.{version.Minor}, but TorchBridge.Inference and ML.NET "
                + $"5 need SkiaSharp 2.88. Reference SkiaSharp 2.88.9 (and SkiaSharp.NativeAssets.* 2.88.9) in its "
                + $"project, or serve pictures in a separate program"
        );
    }
}
