using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using SkiaSharp;
using TorchBridge.Inference;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Testing;
using TorchBridge.Training.Networks;

namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>The inputs from which mutants are made: small ones that are created here, and files that once caused a
/// fault, from ../shared/findings/files if that folder is there.</summary>
internal static class FuzzCorpus
{
    private const int Side = 8,
        Classes = 3,
        Channels = 12,
        LargestFound = 64 << 10;

    /// <summary>Files of a kind from ../shared/findings/files that are small enough for mutants.</summary>
    public static IEnumerable<byte[]> Found(string kind) =>
        Shared.Find("findings", "files", kind) is { } folder
            ? Directory
                .GetFiles(folder)
                .Order(StringComparer.Ordinal)
                .Select(File.ReadAllBytes)
                .Where(bytes => bytes.Length < LargestFound)
            : [];

    /// <summary>A picture in each supported format.</summary>
    public static IEnumerable<byte[]> Pictures()
    {
        using var bitmap = new SKBitmap(24, 18);
        for (var i = 0; i < bitmap.Width * bitmap.Height; i++)
            bitmap.SetPixel(
                i % bitmap.Width,
                i / bitmap.Width,
                new SKColor((byte)(i * 7), (byte)(i * 3), (byte)i, (byte)(255 - (i % 32)))
            );
        foreach (
            var format in (SKEncodedImageFormat[])
                [SKEncodedImageFormat.Png, SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Webp]
        )
        {
            using var data = bitmap.Encode(format, 80);
            yield return data.ToArray();
        }

        yield return Bmp(5, 4);
    }

    /// <summary>A picture classifier of one convolution and one matrix product, with the names that the training
    /// program uses.</summary>
    public static byte[] Classifier()
    {
        var graph = new OnnxGraph { Opset = 17 };
        var random = new Random(1);
        float[] Weights(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)];
        graph.Inputs.Add(new ValueInfo(ModelNames.Pixels, ElementType.Float32, ["batch", 3L, (long)Side, (long)Side]));
        graph.Add(Initializer.Of("conv.weight", Weights(Channels * 3 * 9), Channels, 3, 3, 3));
        graph.Add(Initializer.Of("conv.bias", Weights(Channels), Channels));
        graph.Add(Initializer.Of("fc.weight", Weights(Classes * Channels), Classes, Channels));
        graph.Add(Initializer.Of("fc.bias", Weights(Classes), Classes));
        Add("Conv", [ModelNames.Pixels, "conv.weight", "conv.bias"], "conv", ("pads", new long[] { 1, 1, 1, 1 }));
        Add("Relu", ["conv"], "relu");
        Add("GlobalAveragePool", ["relu"], "pool");
        Add("Flatten", ["pool"], "flat");
        Add("Gemm", ["flat", "fc.weight", "fc.bias"], ModelNames.Logits, ("transB", 1L));
        Add("Softmax", [ModelNames.Logits], ModelNames.Probabilities, ("axis", -1L));
        graph.Outputs.Add(new ValueInfo(ModelNames.Logits, ElementType.Float32, ["batch", (long)Classes]));
        graph.Outputs.Add(new ValueInfo(ModelNames.Probabilities, ElementType.Float32, ["batch", (long)Classes]));
        foreach (var (key, value) in Card())
            graph.Metadata[key] = value;
        return OnnxWriter.ToBytes(graph);

        void Add(string type, List<string> inputs, string output, params (string Name, object Value)[] attributes)
        {
            var node = new OnnxNode
            {
                OpType = type,
                Name = output,
                Inputs = inputs,
                Outputs = [output],
            };
            foreach (var (name, value) in attributes)
                node.Attributes[name] = value;
            graph.Nodes.Add(node);
        }
    }

    /// <summary>The classifier's model card, with a self-check of one picture.</summary>
    public static Dictionary<string, string> Card()
    {
        var card = new Dictionary<string, string>(
            new ModelCard(["cat", "dog", "ship"], Side, Side).ToMetadata(),
            StringComparer.Ordinal
        );
        var (key, value) = new SelfCheck(
            new byte[3 * Side * Side],
            [0.5f, -0.25f, 1],
            SelfCheck.Float32Tolerance
        ).ToMetadata();
        card[key] = value;
        return card;
    }

    /// <summary>The model card as JSON.</summary>
    public static byte[] CardText() => JsonSerializer.SerializeToUtf8Bytes(Card());

    /// <summary>A zip with pictures of two classes; either compressed, or stored, so that changes reach the
    /// pictures.</summary>
    public static byte[] Zip(CompressionLevel level)
    {
        using var memory = new MemoryStream();
        using (var archive = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in Files())
            {
                using var stream = archive.CreateEntry(name, level).Open();
                stream.Write(bytes);
            }
        }

        return memory.ToArray();
    }

    /// <summary>The same pictures in a tar that is not compressed.</summary>
    public static byte[] Tar()
    {
        using var memory = new MemoryStream();
        using (var archive = new TarWriter(memory, leaveOpen: true))
        {
            foreach (var (name, bytes) in Files())
                archive.WriteEntry(
                    new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(bytes) }
                );
        }

        return memory.ToArray();
    }

    private static IEnumerable<(string Name, byte[] Bytes)> Files()
    {
        var pictures = Pictures().ToArray();
        string[] endings = [".png", ".jpg", ".webp", ".bmp"];
        return from name in (string[])["cat", "dog"]
            from i in Enumerable.Range(0, 12)
            select ($"{name}/{i:D2}{endings[i % 4]}", pictures[i % 4]);
    }

    private static byte[] Bmp(int width, int height)
    {
        var row = ((3 * width) + 3) / 4 * 4;
        using var memory = new MemoryStream();
        using var writer = new BinaryWriter(memory, Encoding.ASCII, leaveOpen: true);
        writer.Write("BM"u8);
        foreach (var value in (int[])[54 + (row * height), 0, 54, 40, width, height])
            writer.Write(value);
        writer.Write((short)1);
        writer.Write((short)24);
        foreach (var value in (int[])[0, row * height, 2835, 2835, 0, 0])
            writer.Write(value);
        writer.Write(Enumerable.Range(0, row * height).Select(i => (byte)i).ToArray());
        writer.Flush();
        return memory.ToArray();
    }
}
