using Microsoft.AspNetCore.Http;
using TorchBridge.Serving.Http;

namespace TorchBridge.Serving.Tests.Http;

public class ErrorReplyTests
{
    [Fact]
    public void Every_refusal_has_a_status_of_an_error() =>
        Assert.All(Enum.GetValues<RefusalKind>(), kind => Assert.InRange(ErrorReply.StatusOf(kind), 400, 599));

    [Theory]
    [InlineData(503, "Retry-After")]
    [InlineData(401, "WWW-Authenticate")]
    [InlineData(413, "Connection")]
    [InlineData(408, "Connection")]
    public async Task A_status_brings_the_header_that_belongs_to_it(int status, string header)
    {
        var context = new DefaultHttpContext();
        context.Response.Body = new MemoryStream();
        await ErrorReply.WriteAsync(context, status, "why \"so\" <now>");
        Assert.Equal(status, context.Response.StatusCode);
        Assert.Contains(header, context.Response.Headers.Keys);
        context.Response.Body.Position = 0;
        using var json = await System.Text.Json.JsonDocument.ParseAsync(
            context.Response.Body,
            cancellationToken: TestContext.Current.CancellationToken
        );
        Assert.Equal("why \"so\" <now>", json.RootElement.GetProperty("error").GetString());
    }

    [Fact]
    public async Task HEAD_is_told_the_length_and_gets_no_body()
    {
        var context = new DefaultHttpContext();
        context.Request.Method = HttpMethods.Head;
        context.Response.Body = new MemoryStream();
        await ErrorReply.WriteAsync(context, 404, "nothing");
        Assert.Equal(0, context.Response.Body.Length);
        Assert.True(context.Response.ContentLength > 0);
    }
}
