using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Http;

/// <summary>What the server says of itself, at every door the same.</summary>
internal static class ProtocolDescription
{
    /// <summary>The server's name.</summary>
    public const string Name = "torchbridge";

    /// <summary>The protocol's name of ONNX models on ONNX Runtime.</summary>
    public const string Platform = "onnx_onnxv1";

    /// <summary>The server's version.</summary>
    public static string Version { get; } = typeof(ProtocolDescription).Assembly.GetName().Version!.ToString(3);

    /// <summary>Extensions of the protocol that are understood.</summary>
    public static IReadOnlyList<string> Extensions { get; } = ["binary_tensor_data", "classification", "statistics"];

    /// <summary>Facts of a version that the protocol has no place for.</summary>
    /// <param name="version">A loaded version.</param>
    /// <returns>Hash, batch size, why it is not batched, outputs that are left out, and how pictures are
    /// sent.</returns>
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
                $"'{RequestBinder.PictureInput}', BYTES [-1]: JPEG, PNG, BMP or WebP of any size, read at "
                + $"{card.Width} x {card.Height}; in JSON as base64";
        return properties;
    }
}
