using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace TorchBridge.Inference.Tests;

public class InputKindTests
{
    private static readonly ModelCard Card = new(["cat", "dog"], 4, 2);

    [Fact]
    public void A_columns_type_tells_what_it_holds()
    {
        Assert.Equal(InputKind.Path, InputKinds.Of("x", TextDataViewType.Instance, Card));
        Assert.Equal(InputKind.Image, InputKinds.Of("x", new ImageDataViewType(), Card));
        Assert.Equal(InputKind.Encoded, InputKinds.Of("x", Vector(NumberDataViewType.Byte, 0), Card));
        Assert.Equal(InputKind.Pixels, InputKinds.Of("x", Vector(NumberDataViewType.Single, 0), Card));
        Assert.Equal(InputKind.Pixels, InputKinds.Of("x", Vector(NumberDataViewType.Single, 24), Card));
    }

    [Fact]
    public void What_it_cannot_hold_is_named_with_the_width_that_fits()
    {
        foreach (var type in (DataViewType[])[Vector(NumberDataViewType.Single, 23), NumberDataViewType.Int32])
            Assert.Contains(
                "24 floats",
                Assert.Throws<ArgumentException>(() => InputKinds.Of("x", type, Card)).Message,
                StringComparison.Ordinal
            );
    }

    private static VectorDataViewType Vector(PrimitiveDataViewType item, int size) => new(item, size);
}
