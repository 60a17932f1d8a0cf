using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Onnx.Proto;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Runtime;

public class OnnxScanTests
{
    [Fact]
    public void Metadata_and_opset_are_those_of_the_file()
    {
        var onnx = TestModels.Classifier();
        var model = ModelProto.Parser.ParseFrom(onnx);
        var scan = OnnxScan.Of(onnx, "m");
        Assert.Equal(model.MetadataProps.ToDictionary(entry => entry.Key, entry => entry.Value), scan.Metadata);
        Assert.Equal(17, scan.Opset);
        Assert.Empty(scan.ExternalFiles);
    }

    [Theory]
    [InlineData("../w.bin")]
    [InlineData("..\\w.bin")]
    [InlineData("/etc/passwd")]
    [InlineData("C:\\w.bin")]
    [InlineData("sub/w.bin")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("w.bin\0.txt")]
    [InlineData("missing.bin")]
    public void Tensors_elsewhere_are_refused(string location)
    {
        foreach (var inSubgraph in (bool[])[false, true])
        {
            using var folder = new TempFolder();
            File.WriteAllBytes(folder["m.onnx"], TestModels.External(location, inSubgraph));
            Assert.Contains(
                "keeps tensors in",
                Assert.Throws<ModelLoadException>(() => ModelSource.Read(folder["m.onnx"])).Message,
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void A_link_to_another_folder_is_not_followed_and_a_plain_sibling_is_read()
    {
        using var folder = new TempFolder();
        using var other = new TempFolder();
        File.WriteAllBytes(folder["m.onnx"], TestModels.External("w.bin"));
        File.WriteAllBytes(other["w.bin"], new byte[12]);
        File.CreateSymbolicLink(folder["w.bin"], other["w.bin"]);
        Assert.Contains(
            "link",
            Assert.Throws<ModelLoadException>(() => ModelSource.Read(folder["m.onnx"])).Message,
            StringComparison.Ordinal
        );
        File.Delete(folder["w.bin"]);
        File.WriteAllBytes(
            folder["w.bin"],
            [.. BitConverter.GetBytes(2f), .. BitConverter.GetBytes(3f), .. BitConverter.GetBytes(4f)]
        );
        using var session = RuntimeSession.Open(ModelSource.Read(folder["m.onnx"]), new RuntimeSettings());
        using var memory = new RunMemory();
        var x = new Tensor("x", TensorType.FP32, [1, 3]) { Data = MemoryMarshal.AsBytes<float>([1, 1, 1]).ToArray() };
        var y = session.Run(
            memory,
            [
                [x],
            ],
            [0]
        )[0][0];
        Assert.Equal([2, 3, 4], MemoryMarshal.Cast<byte, float>(y.Data.Span).ToArray());
    }

    [Fact]
    public void Bytes_that_are_no_file_are_refused_and_nothing_else_happens()
    {
        var onnx = TestModels.Classifier();
        var random = new Random(11);
        for (var i = 0; i < 3000; i++)
        {
            var broken = onnx.AsSpan(0, random.Next(onnx.Length)).ToArray();
            for (var k = 0; k < 5 && broken.Length > 0; k++)
                broken[random.Next(broken.Length)] = (byte)random.Next(256);
            try
            {
                OnnxScan.Of(broken, "m");
            }
            catch (ModelLoadException)
            {
                // It said so.
            }
        }
    }

    [Fact]
    public void Graphs_in_graphs_without_end_are_refused()
    {
        byte[] graph = [];
        for (var i = 0; i < 40; i++)
        {
            var attribute = Field(6, graph);
            graph = Field(1, Field(5, attribute));
        }

        Assert.Throws<ModelLoadException>(() => OnnxScan.Of(Field(7, graph), "m"));
    }

    private static byte[] Field(int number, byte[] bytes)
    {
        var target = new MemoryStream();
        using (var output = new CodedOutputStream(target, leaveOpen: true))
        {
            output.WriteTag(number, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(bytes));
        }

        return target.ToArray();
    }
}
