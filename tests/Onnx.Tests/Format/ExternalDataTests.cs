using System.Globalization;
using Google.Protobuf;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Proto;
using DataType = TorchBridge.Onnx.Proto.TensorProto.Types.DataType;

namespace TorchBridge.Onnx.Tests.Format;

/// <summary>Models from outside that say where their tensors are.</summary>
public sealed class ExternalDataTests : IDisposable
{
    private const string Secret = "what nobody else may read";
    private readonly TempFolder folder = new();

    public ExternalDataTests()
    {
        Directory.CreateDirectory(folder["models", "sub"]);
        File.WriteAllText(folder["secret.bin"], Secret);
        File.WriteAllText(folder["models", "sub", "data.bin"], Secret);
        File.WriteAllBytes(folder["models", "data.bin"], [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("0", "8", 8)]
    [InlineData("2", "4", 4)]
    [InlineData("8", "0", 0)]
    [InlineData(null, null, 8)]
    [InlineData("3", null, 5)]
    public void A_plain_file_beside_the_model_is_read(string? offset, string? length, int size)
    {
        var graph = OnnxReader.Read(Model("data.bin", offset, length, size));
        var start = offset is null ? 0 : int.Parse(offset, CultureInfo.InvariantCulture);
        Assert.Equal(
            Enumerable.Range(start + 1, size).Select(value => (byte)value),
            graph.Initializers["w"].Data.ToArray()
        );
        Assert.Equal(
            graph.Initializers["w"].Data.ToArray(),
            Assert.Single(OnnxReader.Initializers(folder["models", "m.onnx"])).Data.ToArray()
        );
    }

    [Theory]
    [InlineData("../secret.bin")]
    [InlineData("..\\secret.bin")]
    [InlineData("sub/data.bin")]
    [InlineData("sub\\data.bin")]
    [InlineData("./data.bin")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("/etc/hostname")]
    [InlineData("C:\\Windows\\win.ini")]
    [InlineData("C:data.bin")]
    [InlineData("data.bin\0.txt")]
    public void Other_places_are_refused(string location)
    {
        var error = Assert.Throws<InvalidDataException>(() => OnnxReader.Read(Model(location, "0", "8", 8)));
        Assert.Contains("'w'", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "only the plain name of a file in the model's folder is allowed",
            error.Message,
            StringComparison.Ordinal
        );
        Assert.Throws<InvalidDataException>(() => OnnxReader.Initializers(folder["models", "m.onnx"]).ToArray());
    }

    [Fact]
    public void An_absolute_path_is_refused_even_to_the_file_beside_the_model() =>
        Assert.Throws<InvalidDataException>(() => OnnxReader.Read(Model(folder["models", "data.bin"], "0", "8", 8)));

    [Fact]
    public void A_link_is_refused_and_a_folder_and_a_file_that_is_not_there_are_not_found()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege on Windows");
        File.CreateSymbolicLink(folder["models", "link.bin"], folder["secret.bin"]);
        File.CreateSymbolicLink(folder["models", "inside.bin"], folder["models", "data.bin"]);
        foreach (var link in (string[])["link.bin", "inside.bin"])
            Assert.Contains(
                "is a link",
                Assert.Throws<InvalidDataException>(() => OnnxReader.Read(Model(link, "0", "8", 8))).Message,
                StringComparison.Ordinal
            );
        foreach (var missing in (string[])["sub", "nothing.bin"])
            Assert.Contains(
                missing,
                Assert.Throws<FileNotFoundException>(() => OnnxReader.Read(Model(missing, "0", "8", 8))).Message,
                StringComparison.Ordinal
            );
    }

    [Theory]
    [InlineData("9", "0", 0)]
    [InlineData("4", "5", 5)]
    [InlineData("0", "9", 9)]
    [InlineData("9223372036854775807", "1", 1)]
    [InlineData("8", "9223372036854775807", 8)]
    [InlineData("9223372036854775800", "100", 8)]
    [InlineData("99999999999999999999", "1", 1)]
    [InlineData("-1", "4", 4)]
    [InlineData("0", "-4", 4)]
    [InlineData("0x0", "4", 4)]
    [InlineData("zero", "4", 4)]
    [InlineData("1,0", "4", 4)]
    [InlineData("0", "", 4)]
    [InlineData("0", "4", 8)]
    [InlineData("0", "8", 4)]
    public void Places_outside_of_the_file_and_sizes_that_do_not_fit_are_refused(
        string offset,
        string length,
        int size
    ) => Assert.Throws<InvalidDataException>(() => OnnxReader.Read(Model("data.bin", offset, length, size)));

    [Fact]
    public void A_tensor_beyond_2_GB_is_refused_before_memory_is_taken()
    {
        Assert.SkipWhen(
            OperatingSystem.IsWindows(),
            "the file is sparse only where the file system does that by itself"
        );
        using (var large = File.Create(folder["models", "large.bin"]))
            large.SetLength(2_300_000_000);
        var before = GC.GetTotalAllocatedBytes();
        var error = Assert.Throws<InvalidDataException>(() =>
            OnnxReader.Read(Model("large.bin", "0", "2300000000", 2_300_000_000))
        );
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 10_000_000);
        Assert.Contains("2 GB", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_constant_nodes_tensor_is_read_too()
    {
        var model = Message("data.bin", "0", "8", 8);
        model.Graph.Node.Add(
            new NodeProto
            {
                OpType = "Constant",
                Output = { "c" },
                Attribute =
                {
                    new AttributeProto
                    {
                        Name = "value",
                        T = model.Graph.Initializer[0].Clone(),
                        Type = AttributeProto.Types.AttributeType.Tensor,
                    },
                },
            }
        );
        File.WriteAllBytes(folder["models", "m.onnx"], model.ToByteArray());
        var stored = (AttributeProto)OnnxReader.Read(folder["models", "m.onnx"]).Nodes[^1].Attributes["value"];
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], stored.T.RawData.ToByteArray());
        Assert.Empty(stored.T.ExternalData);
    }

    private string Model(string location, string? offset, string? length, long size)
    {
        File.WriteAllBytes(folder["models", "m.onnx"], Message(location, offset, length, size).ToByteArray());
        return folder["models", "m.onnx"];
    }

    private static ModelProto Message(string location, string? offset, string? length, long size)
    {
        var tensor = new TensorProto
        {
            Name = "w",
            DataType = (int)DataType.Uint8,
            Dims = { size },
            DataLocation = TensorProto.Types.DataLocation.External,
        };
        foreach (
            var (key, value) in ((string, string?)[])[("location", location), ("offset", offset), ("length", length)]
        )
        {
            if (value is not null)
                tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        }

        var model = new ModelProto
        {
            IrVersion = 8,
            Graph = new GraphProto
            {
                Initializer = { tensor },
                Node =
                {
                    new NodeProto
                    {
                        OpType = "Identity",
                        Input = { "w" },
                        Output = { "y" },
                    },
                },
            },
        };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        return model;
    }
}
