using TorchBridge.Training.Data;

namespace TorchBridge.Training.Explanation;

/// <summary>Overlays a picture with its class-activation map: transparent without evidence, yellow for some, red for
/// the most.</summary>
internal static class MapOverlay
{
    private const int SmallestSide = 224;
    private const double Strength = 0.65;

    /// <summary>Encodes a picture as PNG; small ones are enlarged.</summary>
    /// <param name="planes">Planes of red, green and blue.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="map">The map to overlay, or null.</param>
    public static byte[] Png(ReadOnlySpan<byte> planes, int width, int height, ClassActivation? map)
    {
        var factor = Math.Max(1, (SmallestSide + Math.Min(width, height) - 1) / Math.Min(width, height));
        int toWidth = width * factor,
            toHeight = height * factor,
            plane = toWidth * toHeight;
        var shown = new byte[3 * plane];
        // Evidence against the class is not shown; a map without positive evidence stays empty.
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

    /// <summary>Blends one channel of a colour with a pixel.</summary>
    /// <param name="target">The bytes to write to.</param>
    /// <param name="at">Index of the byte.</param>
    /// <param name="below">The picture's value, 0 to 255.</param>
    /// <param name="above">The colour's value, 0 to 255.</param>
    /// <param name="cover">Opacity of the colour, 0 to 1.</param>
    private static void Blend(byte[] target, int at, byte below, double above, double cover) =>
        target[at] = (byte)Math.Round((below * (1 - cover)) + (above * cover));

    /// <summary>Interpolates the map bilinearly between the centres of its cells; y and x are from 0 to 1.</summary>
    /// <param name="map">Rows x columns of evidence.</param>
    /// <param name="y">Vertical position, 0 to 1.</param>
    /// <param name="x">Horizontal position, 0 to 1.</param>
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
