using Google.Protobuf;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Tests.Format;

public class EmbeddedModelTests
{
    private static readonly byte[] Numbers = [0, 0, 128, 63, 0, 0, 0, 64]; // 1 and 2 in float32

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_tensor_outside_comes_in_wherever_it_stands(bool isInside)
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["weights.bin"], Numbers);
        var graph = new GraphProto { Name = "g" };
        if (isInside)
        {
            var body = new GraphProto { Name = "body", Initializer = { Outside("weights.bin") } };
            graph.Node.Add(
                new NodeProto
                {
                    Attribute =
                    {
                        new AttributeProto { Name = "then_branch", G = body },
                    },
                }
            );
        }
        else
        {
            graph.Initializer.Add(Outside("weights.bin"));
        }

        File.WriteAllBytes(folder["model.onnx"], new ModelProto { Graph = graph }.ToByteArray());
        var read = ModelProto.Parser.ParseFrom(EmbeddedModel.Read(folder["model.onnx"])).Graph;
        var tensor = (isInside ? read.Node[0].Attribute[0].G : read).Initializer[0];
        Assert.Equal(Numbers, tensor.RawData.ToByteArray());
        Assert.Empty(tensor.ExternalData);
    }

    [Fact]
    public void A_file_without_such_tensors_is_given_as_it_is_and_so_is_what_is_no_model()
    {
        using var folder = new TempFolder();
        foreach (
            var bytes in (byte[][])
                [
                    [.. "no model, and no location"u8],
                    [1, 2, 3],
                    [],
                ]
        )
        {
            File.WriteAllBytes(folder["some.onnx"], bytes);
            Assert.Equal(bytes, EmbeddedModel.Read(folder["some.onnx"]));
        }
    }

    [Fact]
    public void A_missing_file_of_weights_is_named()
    {
        using var folder = new TempFolder();
        var model = new ModelProto { Graph = new GraphProto { Initializer = { Outside("gone.bin") } } };
        File.WriteAllBytes(folder["model.onnx"], model.ToByteArray());
        var error = Assert.Throws<FileNotFoundException>(() => EmbeddedModel.Read(folder["model.onnx"]));
        Assert.Contains("gone.bin", error.Message, StringComparison.Ordinal);
    }

    private static TensorProto Outside(string file) =>
        new()
        {
            Name = "w",
            DataType = (int)ElementType.Float32,
            Dims = { 2 },
            DataLocation = TensorProto.Types.DataLocation.External,
            ExternalData =
            {
                new StringStringEntryProto { Key = "location", Value = file },
            },
        };
}
