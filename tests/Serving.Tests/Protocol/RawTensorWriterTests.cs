namespace TorchBridge.Serving.Tests.Protocol;

public class RawTensorWriterTests
{
    [Fact]
    public void Texts_stand_behind_their_lengths_and_numbers_as_they_are()
    {
        var texts = Tensor.OfStrings("x", [2], ["ab"u8.ToArray(), default]);
        Assert.Equal([2, 0, 0, 0, 97, 98, 0, 0, 0, 0], RawTensorWriter.ToBytes(texts).ToArray());
        Assert.Equal(10, RawTensorWriter.SizeOf(texts));
        var bytes = new byte[] { 1, 2, 3, 4 };
        var number = new Tensor("x", TensorType.FP32, [1]) { Data = bytes };
        Assert.Equal(bytes, RawTensorWriter.ToBytes(number).ToArray());
        Assert.Equal(4, RawTensorWriter.SizeOf(number));
    }
}
