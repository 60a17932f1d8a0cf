namespace TorchBridge.Inference.Tests;

public class SelfCheckTests
{
    private static readonly ModelCard Card = new(["cat", "dog"], 2, 1);

    [Fact]
    public void Pictures_and_logits_come_back_from_the_metadata()
    {
        var check = new SelfCheck([1, 2, 3, 4, 5, 6], [0.25f, -8], 1e-5);
        var read = SelfCheck.Read(new Dictionary<string, string>([check.ToMetadata()]), Card, "model")!;
        Assert.Equal(check.Planes, read.Planes);
        Assert.Equal(check.Logits, read.Logits);
        Assert.Equal(1, read.Count);
        Assert.Null(SelfCheck.Read(new Dictionary<string, string>(), Card, "model"));
    }

    [Fact]
    public void The_allowed_difference_grows_with_the_logits_and_NaN_never_passes()
    {
        var check = new SelfCheck([1, 2, 3, 4, 5, 6], [1, -8], 0.01);
        var read = SelfCheck.Read(new Dictionary<string, string>([check.ToMetadata()]), Card, "model")!;
        Assert.True(read.Compare([1.07f, -8], 2).Passed); // 0.01 of 8
        Assert.False(read.Compare([1.09f, -8], 2).Passed);
        Assert.False(read.Compare([float.NaN, -8], 2).Passed);
        Assert.Equal(double.PositiveInfinity, read.Compare([float.NaN, -8], 2).LargestDifference);
    }

    [Theory]
    [InlineData(5, 2)] // half a pixel
    [InlineData(6, 3)] // a logit too many
    [InlineData(0, 0)]
    public void Sizes_that_do_not_fit_the_model_are_refused(int bytes, int logits)
    {
        var check = new SelfCheck(new byte[bytes], new float[logits], 1e-5);
        Assert.Throws<InvalidDataException>(() =>
            SelfCheck.Read(new Dictionary<string, string>([check.ToMetadata()]), Card, "model")
        );
    }
}
