namespace TorchBridge.Serving.Tests.Protocol;

public class TensorTypesTests
{
    public static TheoryData<int> All => [.. Enum.GetValues<TensorType>().Select(type => (int)type)];

    [Theory]
    [MemberData(nameof(All))]
    public void Names_are_found_again_as_the_protocol_writes_them(int number)
    {
        var type = (TensorType)number;
        Assert.Equal(type, TensorTypes.Find(type.NameOf()));
        Assert.Null(TensorTypes.Find(type.NameOf().ToLowerInvariant()));
        Assert.Contains(type.NameOf(), TensorTypes.AllNames, StringComparison.Ordinal);
        Assert.StartsWith("TYPE_", type.TritonNameOf(), StringComparison.Ordinal);
        var digits = string.Concat(type.NameOf().Where(char.IsAsciiDigit));
        if (digits.Length > 0)
            Assert.Equal(int.Parse(digits, System.Globalization.CultureInfo.InvariantCulture), 8 * type.SizeOf());
    }
}
