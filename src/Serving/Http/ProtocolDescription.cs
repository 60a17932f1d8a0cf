using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Http;

/// <summary>The server's description of itself, used by both REST and gRPC.</summary>
internal static class ProtocolDescription
{
    /// <summary>The server's name.</summary>
    public const string Name = "torchbridge";

    /// <summary>The protocol's name for ONNX models on ONNX Runtime.</summary>
    public const string Platform = "onnx_onnxv1";

    /// <summary>The server's version.</summary>
    public static string Version { get; } = typeof(ProtocolDescription).Assembly.GetName().Version!.ToString(3);

    /// <summary>The supported extensions of the protocol.</summary>
    public static IReadOnlyList<string> Extensions { get; } = ["binary_tensor_data", "classification", "statistics"];

    /// <summary>Properties of a version for which the protocol has no fields of their own.</summary>
    /// <param name="version">A loaded version.</param>
    /// <returns>Hash, maximum batch size, why requests are not batched, outputs that are left out, and how to send
    /// pictures.</returns>
    public static Dictionary<string, string> Properties(ModelVersion version)
    {
        var properties = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["sha256"] = version.Identity.Digest,
            ["max_batch_size"] = version.IsBatched
                ? version.Settings.MaxRows.ToString(System.Globalization.CultureInfo.InvariantCulture)
                : "0",
        };
        if (version.Identity.WhyAlone is { } reason)
            properties["not_batched"] = reason.Split('\n')[0];
        if (version.Signature.LeftOut.Count > 0)
            properties["outputs_left_out"] = string.Join(", ", version.Signature.LeftOut);
        if (version.Identity.Card is { } card)
            properties["picture_input"] =
                $"'{RequestBinder.PictureInput}', BYTES [-1]: JPEG, PNG, BMP or WebP of any size, resized to "
                + $"{card.Width} x {card.Height}; in JSON as base64";
        return properties;
    }
}
