using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Runtime;

public class OnnxTypesTests
{
    [Fact]
    public void Every_type_of_the_protocol_has_one_of_ONNX_and_back()
    {
        var types = Enum.GetValues<TensorType>();
        Assert.Equal(types.Length, types.Select(type => type.ToOnnx()).Distinct().Count());
        Assert.All(types, type => Assert.Equal(type, OnnxTypes.Find(type.ToOnnx())));
        Assert.Null(OnnxTypes.Find(TensorElementType.Complex64));
    }
}
