using TorchBridge.Training.Data;

namespace TorchBridge.Training.Explanation;

/// <summary>Lays a class-activation map over its picture: nothing where there is no evidence, yellow where there is
/// some, red where there is most.</summary>
internal static class MapOverlay
{
    private const int SmallestSide = 224;
    private const double Strength = 0.65;

    /// <summary>A picture as PNG, small ones enlarged.</summary>
    /// <param name="planes">Planes of red, green and blue.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="map">What to lay over it, or null.</param>
    public static byte[] Png(ReadOnlySpan<byte> planes, int width, int height, ClassActivation? map)
    {
        var factor = Math.Max(1, (SmallestSide + Math.Min(width, height) - 1) / Math.Min(width, height));
        int toWidth = width * factor,
            toHeight = height * factor,
            plane = toWidth * toHeight;
        var shown = new byte[3 * plane];
        // Evidence against the class is not shown; a map without any for it is left empty.
        var most = map is null ? 0 : Math.Max(0, map.Values.Max());
        for (var row = 0; row < toHeight; row++)
        {
            for (var column = 0; column < toWidth; column++)
            {
                var heat =
                    most > 0 ? Math.Max(0, At(map!, (row + 0.5) / toHeight, (column + 0.5) / toWidth)) / most : 0;
                var from = ((row / factor) * width) + (column / factor);
                var to = (row * toWidth) + column;
                var cover = Strength * heat;
                Blend(shown, to, planes[from], 255, cover);
                Blend(shown, plane + to, planes[(width * height) + from], 255 * (1 - heat), cover);
                Blend(shown, (2 * plane) + to, planes[(2 * width * height) + from], 0, cover);
            }
        }

        return DataSource.ToPng(shown, toWidth, toHeight);
    }

    /// <summary>Lays one channel of a colour over a pixel.</summary>
    /// <param name="target">The bytes that are written.</param>
    /// <param name="at">Which byte.</param>
    /// <param name="below">The picture's value, 0 to 255.</param>
    /// <param name="above">The colour's value, 0 to 255.</param>
    /// <param name="cover">How much of the colour, 0 to 1.</param>
    private static void Blend(byte[] target, int at, byte below, double above, double cover) =>
        target[at] = (byte)Math.Round((below * (1 - cover)) + (above * cover));

    /// <summary>Bilinear between the centres of the map's cells; y and x from 0 to 1.</summary>
    /// <param name="map">Rows x columns of evidence.</param>
    /// <param name="y">Down, 0 to 1.</param>
    /// <param name="x">To the right, 0 to 1.</param>
    private static double At(ClassActivation map, double y, double x)
    {
        double row = Math.Clamp((y * map.Rows) - 0.5, 0, map.Rows - 1),
            column = Math.Clamp((x * map.Columns) - 0.5, 0, map.Columns - 1);
        int top = (int)row,
            left = (int)column,
            low = Math.Min(top + 1, map.Rows - 1),
            right = Math.Min(left + 1, map.Columns - 1);
        double down = row - top,
            across = column - left;
        double Value(int r, int c) => map.Values[(r * map.Columns) + c];
        return ((1 - down) * (((1 - across) * Value(top, left)) + (across * Value(top, right))))
            + (down * (((1 - across) * Value(low, left)) + (across * Value(low, right))));
    }
}
