using System.Runtime.InteropServices;
using TorchBridge.Serving.Http;

namespace TorchBridge.Serving.Tests.Http;

public class ActivationMapTests
{
    [Fact]
    public void The_map_of_the_class_is_brought_to_0_to_1()
    {
        float[] two = [0, 0, 0, 0, -1, 3, 1, 0];
        Assert.Equal(
            [
                [0, 1],
                [0.5, 0.25],
            ],
            Of([1, 2, 2, 2], 1, two)!
        );
        Assert.Equal(
            [
                [0, 0],
                [0, 0],
            ],
            Of([1, 2, 2, 2], 0, two)!
        );
        // One map is everybody's.
        Assert.Equal(
            [
                [0, 1],
                [0.5, 0.25],
            ],
            Of([1, 2, 2], 5, [-1, 3, 1, 0])!
        );
    }

    [Fact]
    public void Where_there_is_no_map_there_is_none_to_show()
    {
        Assert.Null(Of([1, 2, 2, 2], 2, new float[8])); // a class without one
        Assert.Null(Of([1, 0, 2], 0, []));
        Assert.Null(Of([4], 0, new float[4]));
        Assert.Null(Of([1, 1, 2], 0, [1, float.NaN]));
    }

    private static double[][]? Of(long[] shape, int classIndex, float[] values)
    {
        var map = new Tensor(ActivationMap.Output, TensorType.FP32, shape)
        {
            Data = MemoryMarshal.AsBytes<float>(values).ToArray(),
        };
        return ActivationMap.Of(Reply(map), classIndex);
    }

    private static InferenceReply Reply(Tensor map) =>
        new("model", "1", null, new Dictionary<string, object>(), [(map, false)]);
}
