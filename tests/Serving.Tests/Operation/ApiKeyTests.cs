using System.Text;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests.Operation;

public class ApiKeyTests
{
    private const string Secret = "a-key-of-sixteen-letters";
    private static readonly ApiKey Key = new(new ModelServerOptions { ApiKey = Secret });

    [Fact]
    public void Without_a_key_everybody_may() => Assert.True(new ApiKey(new ModelServerOptions()).Allows(null, null));

    [Fact]
    public void The_key_is_taken_from_any_of_the_three_places()
    {
        Assert.True(Key.IsRequired);
        Assert.True(Key.Allows(null, Secret));
        Assert.True(Key.Allows($"Bearer {Secret}", null));
        Assert.True(Key.Allows($"bearer  {Secret} ", null));
        Assert.True(Key.Allows($"Basic {Base64($"anybody:{Secret}")}", null));
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData(null, "")]
    [InlineData(null, "a-key-of-sixteen-letters ")]
    [InlineData("Bearer", null)]
    [InlineData("Bearer A-KEY-OF-SIXTEEN-LETTERS", null)]
    [InlineData("Basic !!!", null)]
    [InlineData("Basic YS1rZXk=", null)] // no colon in it
    [InlineData("Digest a-key-of-sixteen-letters", null)]
    public void Nothing_else_opens(string? authorization, string? apiKey) =>
        Assert.False(Key.Allows(authorization, apiKey));

    [Fact]
    public void A_wrong_header_of_its_own_is_not_made_good_by_the_other() =>
        Assert.False(Key.Allows($"Bearer {Secret}", "wrong"));

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
