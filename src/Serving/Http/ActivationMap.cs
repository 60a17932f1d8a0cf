using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// Reads the output <c>activation_map</c>, which shows how much each part of a picture contributed to the result. Its
/// shape is [n, height, width], [n, 1, height, width] or [n, classes, height, width].
/// </summary>
internal static class ActivationMap
{
    /// <summary>Name of the output.</summary>
    public const string Output = "activation_map";

    /// <summary>
    /// The map of a class for the first row, scaled to 0 to 1; null if the model has no such output, or if it
    /// contains numbers that are not finite.
    /// </summary>
    /// <param name="reply">The model's reply.</param>
    /// <param name="classIndex">The class whose map to return, if there is one per class.</param>
    /// <returns>Rows of values from 0 (smallest) to 1 (largest), rounded to four decimals.</returns>
    public static double[][]? Of(InferenceReply reply, int classIndex)
    {
        if (
            reply.Outputs.FirstOrDefault(output => output.Tensor.Name == Output).Tensor is not { } tensor
            || tensor.Type == TensorType.Bytes
        )
            return null;
        var (channels, height, width) = tensor.Shape switch
        {
            [_, var h, var w] => (1, (int)h, (int)w),
            [_, var c, var h, var w] => ((int)c, (int)h, (int)w),
            _ => (0, 0, 0),
        };
        if (channels == 0 || height == 0 || width == 0 || (channels > 1 && classIndex >= channels))
            return null;
        var start = channels == 1 ? 0 : classIndex * height * width;
        var values = Classification.Numbers(tensor).AsSpan(start, height * width).ToArray();
        if (!values.All(double.IsFinite))
            return null;
        var (least, most) = (values.Min(), values.Max());
        var range = most > least ? most - least : 1;
        return
        [
            .. Enumerable
                .Range(0, height)
                .Select(y =>
                    Enumerable
                        .Range(0, width)
                        .Select(x => Math.Round((values[(y * width) + x] - least) / range, 4))
                        .ToArray()
                ),
        ];
    }
}
