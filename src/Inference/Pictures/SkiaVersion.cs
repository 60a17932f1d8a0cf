using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>ML.NET 5 and this library are built against SkiaSharp 2.88; 3 has other members, and each picture would
/// end in a MissingMethodException.</summary>
internal static class SkiaVersion
{
    private const int Supported = 2;

    /// <summary>Says so once, at the start.</summary>
    /// <exception cref="NotSupportedException">The program has another major version.</exception>
    public static void Check() => Check(typeof(SKBitmap).Assembly.GetName().Version!);

    /// <summary>Looks at a version of the assembly.</summary>
    /// <param name="version">Version of the assembly that the program has.</param>
    /// <exception cref="NotSupportedException">Its major version is another one.</exception>
    internal static void Check(Version version)
    {
        if (version.Major == Supported)
            return;
        throw new NotSupportedException(
            $"this program has SkiaSharp {version.Major}.{version.Minor}, and TorchBridge.Inference and "
                + "ML.NET 5 read pictures with SkiaSharp 2.88. "
                + "Reference SkiaSharp 2.88.9 (and SkiaSharp.NativeAssets.* 2.88.9) in its project, or "
                + "serve pictures in a program of its own"
        );
    }
}
