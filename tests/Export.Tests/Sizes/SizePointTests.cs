using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Tests;

public class SizePointTests
{
    [Fact]
    public void Points_of_the_same_sizes_are_one()
    {
        SizePoint point = new(2, 48, 64),
            same = new(2, 48, 64);
        Assert.True(point.Equals(same));
        Assert.True(point.Equals((object)same));
        Assert.Equal(point.GetHashCode(), same.GetHashCode());
        Assert.NotEqual(point.GetHashCode(), new SizePoint(2, 64, 48).GetHashCode());
        Assert.False(point.Equals(new SizePoint(2, 48, 65)));
        Assert.False(point.Equals(new SizePoint(2, 48)));
        Assert.False(point.Equals((SizePoint?)null));
        Assert.False(point.Equals((object)"2, 48, 64"));
    }

    [Fact]
    public void Another_size_makes_another_point()
    {
        var point = new SizePoint(2, 48);
        var other = point.With(1, 50);
        Assert.Equal([2, 50], other.Sizes);
        Assert.Equal((2, 50), (other[0], other[1]));
        Assert.Equal([2, 48], point.Sizes);
    }
}
