using System.Net;
using System.Text;

namespace TorchBridge.Serving.Tests.Http;

/// <summary>What an unfriendly client may send; after each the server is still there.</summary>
public sealed class HostileTests : IAsyncLifetime
{
    private const int MostBytes = 200_000;
    private TestServer server = null!;

    public async ValueTask InitializeAsync() =>
        server = await TestServer.Start(
            TestServer.Plain(
                ("affine", TestModels.Affine()),
                ("cats", TestModels.Classifier()),
                ("texts", TestModels.Texts())
            ),
            ("MaxRequestBytes", $"{MostBytes}"),
            ("RequestTimeoutMilliseconds", "2000"),
            ("MaxPicturePixels", "1000000")
        );

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Theory]
    [InlineData(
        "affine",
        """{"inputs":[{"name":"x","datatype":"FP32","shape":[4611686018427387904,4],"data":[1]}]}""",
        413
    )]
    [InlineData("affine", """{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,3],"data":[1,2,3]}]}""", 400)]
    [InlineData("affine", """{"inputs":[{"name":"x","datatype":"FP32","shape":[0,3],"data":[]}]}""", 400)]
    [InlineData("affine", """{"inputs":[{"name":"x","datatype":"FP32","shape":[3],"data":[1,2,3]}]}""", 400)]
    [InlineData("affine", """{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}""", 400)]
    [InlineData("affine", """{"inputs":[{"name":"x","datatype":"FP64","shape":[1,3],"data":[1,2,3]}]}""", 400)]
    [InlineData("affine", """{"inputs":[{"name":"z","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}""", 400)]
    [InlineData("affine", """{"inputs":[]}""", 400)]
    [InlineData(
        "affine",
        """
            {"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]},{"name":"x","datatype":"FP32",
            "shape":[1,3],"data":[1,2,3]}]}
            """,
        400
    )]
    [InlineData(
        "affine",
        """{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}],"outputs":[{"name":"y"},{"name":"y"}]}""",
        400
    )]
    [InlineData(
        "affine",
        """{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}],"outputs":[{"name":"nothing"}]}""",
        400
    )]
    [InlineData("affine", """{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,NaN]}]}""", 400)]
    [InlineData(
        "affine",
        """{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}],"parameters":{"timeout":"soon"}}""",
        400
    )]
    [InlineData(
        "affine",
        """{"id":"1","id":"2","inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}""",
        400
    )]
    [InlineData("affine", "", 400)]
    [InlineData("affine", "{", 400)]
    [InlineData(
        "texts",
        """
            {"inputs":[{"name":"x","datatype":"BYTES","shape":[1,1],"data":["a"]}],"outputs":[{"name":"y",
            "parameters":{"classification":1}}]}
            """,
        400
    )]
    [InlineData("cats", """{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["not base64!"]}]}""", 400)]
    [InlineData("cats", """{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["AAAA"]}]}""", 400)]
    [InlineData("cats", """{"inputs":[{"name":"image","datatype":"BYTES","shape":[0],"data":[]}]}""", 400)]
    [InlineData("cats", """{"inputs":[{"name":"image","datatype":"FP32","shape":[1],"data":[1]}]}""", 400)]
    public async Task A_request_that_cannot_be_answered(string model, string json, int status)
    {
        var answer = await server.Infer(model, json);
        Assert.Equal(status, (int)answer.Status);
        Assert.NotEqual("", (string)answer.Json!["error"]!);
        await server.StillLive();
    }

    [Fact]
    public async Task More_rows_than_a_batch_has()
    {
        var answer = await server.Infer(
            "affine",
            $$"""{"inputs":[{"name":"x","datatype":"FP32","shape":[33,3],"data":[{{string.Join(',', Enumerable.Repeat("1", 99))}}]}]}"""
        );
        Assert.Equal(
            (HttpStatusCode.BadRequest, true),
            (answer.Status, ((string)answer.Json!["error"]!).Contains("up to 32", StringComparison.Ordinal))
        );
        await server.StillLive();
    }

    [Theory]
    [InlineData("..%2faffine")]
    [InlineData("%2e%2e%2faffine")]
    [InlineData("%252e%252e%252faffine")]
    [InlineData("..%5caffine")]
    [InlineData("%2fetc%2fpasswd")]
    [InlineData("%5c%5cserver%5cshare")]
    [InlineData("affine%00")]
    [InlineData("affine%0a")]
    [InlineData("AFFINE")]
    [InlineData("affine.onnx")]
    [InlineData("C:affine")]
    [InlineData("%3Cscript%3E")]
    [InlineData("%ff%fe")]
    public async Task A_name_is_looked_up_and_nothing_else(string name)
    {
        foreach (
            var path in (string[])
                [
                    "/v2/models/{0}",
                    "/v2/models/{0}/ready",
                    "/v2/models/{0}/versions/1/infer",
                    "/v2/models/{0}/infer",
                    "/examples/{0}/0",
                ]
        )
        {
            var verb = path.EndsWith("infer", StringComparison.Ordinal) ? "POST" : "GET";
            var answer = await Raw(
                $"{verb} {path.Replace("{0}", name, StringComparison.Ordinal)} HTTP/1.1\r\nHost: "
                    + "localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            Assert.Matches("^HTTP/1.1 40[04] ", answer);
            Assert.DoesNotContain("<script", answer, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(server.Folder.Path, answer, StringComparison.Ordinal);
        }

        await server.StillLive();
    }

    [Theory]
    [InlineData("/v2/models/affine/versions/..%2f1")]
    [InlineData("/v2/models/affine/versions/01")]
    [InlineData("/v2/models/affine/versions/-1")]
    [InlineData("/v2/models/affine/versions/99999999999999999999")]
    [InlineData("/v2/models/affine/versions/1%20")]
    public async Task A_version_is_a_number_of_the_table(string path)
    {
        Assert.StartsWith(
            "HTTP/1.1 404 ",
            await Raw($"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
            StringComparison.Ordinal
        );
        await server.StillLive();
    }

    [Theory]
    [InlineData("99999999999")]
    [InlineData("-1")]
    [InlineData("1e3")]
    [InlineData("5000")]
    [InlineData("3")]
    public async Task A_header_length_that_does_not_fit(string length)
    {
        using var content = new StringContent(TestServer.Affine(1));
        Assert.Equal(
            HttpStatusCode.BadRequest,
            (await server.Post("v2/models/affine/infer", content, (BinaryBody.LengthHeader, length))).Status
        );
        await server.StillLive();
    }

    [Fact]
    public async Task A_body_beyond_the_limit_whatever_its_header_says()
    {
        using var large = new ByteArrayContent(new byte[MostBytes + 1]);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await server.Post("v2/models/affine/infer", large)).Status);
        using var chunked = new StreamContent(new MemoryStream(new byte[MostBytes + 1]));
        server.Http.DefaultRequestHeaders.TransferEncodingChunked = true;
        Assert.Equal(
            HttpStatusCode.RequestEntityTooLarge,
            (await server.Post("v2/models/affine/infer", chunked)).Status
        );
        server.Http.DefaultRequestHeaders.TransferEncodingChunked = null;
        // It claims more than there will ever be; nothing is allocated for a claim.
        Assert.StartsWith(
            "HTTP/1.1 413 ",
            await Raw(
                "POST /v2/models/affine/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9223372036854775807\r\n\r\n"
            ),
            StringComparison.Ordinal
        );
        await server.StillLive();
    }

    [Fact]
    public async Task A_body_of_exactly_the_limit_is_read()
    {
        var json = TestServer.Affine(1);
        using var content = new StringContent(json + new string(' ', MostBytes - json.Length));
        Assert.Equal(HttpStatusCode.OK, (await server.Post("v2/models/affine/infer", content)).Status);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    public async Task A_bomb_that_unpacks_beyond_the_limit(string encoding)
    {
        using var bomb = Packed.Content(new byte[100 * MostBytes], encoding);
        Assert.True(bomb.Headers.ContentLength < MostBytes);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await server.Post("v2/models/affine/infer", bomb)).Status);
        await server.StillLive();
    }

    [Fact]
    public async Task Bytes_that_are_not_packed_as_they_say()
    {
        using var nonsense = new ByteArrayContent("nonsense"u8.ToArray())
        {
            Headers = { ContentEncoding = { "gzip" } },
        };
        Assert.Equal(HttpStatusCode.BadRequest, (await server.Post("v2/models/affine/infer", nonsense)).Status);
        using var unknown = new ByteArrayContent(new byte[3]) { Headers = { ContentEncoding = { "zstd" } } };
        Assert.Equal(
            HttpStatusCode.UnsupportedMediaType,
            (await server.Post("v2/models/affine/infer", unknown)).Status
        );
        using var twice = new ByteArrayContent(new byte[3]) { Headers = { ContentEncoding = { "gzip", "gzip" } } };
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await server.Post("v2/models/affine/infer", twice)).Status);
        await server.StillLive();
    }

    [Fact]
    public async Task A_flood_of_small_chunks()
    {
        var request = new StringBuilder(
            "POST /v2/models/affine/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        foreach (var letter in TestServer.Affine(1) + new string(' ', 70_000))
            request.Append("1\r\n").Append(letter).Append("\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", await Raw($"{request}0\r\n\r\n"), StringComparison.Ordinal);
        await server.StillLive();
    }

    [Theory]
    [InlineData("Transfer-Encoding: chunked\r\n\r\nxyz\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n-1\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")]
    [InlineData("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")]
    [InlineData("Content-Length: -1\r\n\r\n")]
    [InlineData("Content-Length: 18446744073709551617\r\n\r\n")]
    public async Task Framing_that_is_none(string headers)
    {
        var answer = await Raw(
            $"POST /v2/models/affine/infer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
        );
        Assert.Matches("^HTTP/1.1 4[0-9][0-9] ", answer);
        await server.StillLive();
    }

    [Fact]
    public async Task Headers_without_end()
    {
        var headers = string.Concat(Enumerable.Range(0, 1000).Select(i => $"X-{i}: 1\r\n"));
        Assert.StartsWith(
            "HTTP/1.1 431 ",
            await Raw($"GET /v2 HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"),
            StringComparison.Ordinal
        );
        await server.StillLive();
    }

    [Fact]
    public async Task A_client_that_does_not_send_what_it_promised()
    {
        // The test waits for the answer, not for a time: the server ends the wait after its own limit.
        Assert.StartsWith(
            "HTTP/1.1 408 ",
            await Raw("POST /v2/models/affine/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"),
            StringComparison.Ordinal
        );
        await server.StillLive();
    }

    [Fact]
    public async Task A_client_that_goes_away_frees_its_place()
    {
        for (var i = 0; i < 300; i++)
        {
            using var client = new System.Net.Sockets.TcpClient();
            var address = new Uri(server.Addresses[0]);
            await client.ConnectAsync(address.Host, address.Port, TestContext.Current.CancellationToken);
            await client
                .GetStream()
                .WriteAsync(
                    Encoding.ASCII.GetBytes(
                        "POST /v2/models/affine/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
                    ),
                    TestContext.Current.CancellationToken
                );
        }

        // 256 may be in the house at once; all have gone.
        await server.StillLive();
    }

    [Theory]
    [InlineData(1, 500_000_000)]
    [InlineData(60_000, 60_000)]
    [InlineData(int.MaxValue, int.MaxValue)]
    [InlineData(0, 0)]
    [InlineData(1001, 1000)]
    public async Task A_picture_whose_header_claims_any_size(int width, int height)
    {
        foreach (var picture in (byte[][])[PictureBombs.Png(width, height), PictureBombs.Bmp(width, height)])
        {
            var answer = await server.Post("classify", new ByteArrayContent(picture));
            Assert.True(
                answer.Status is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge,
                $"{answer.Status}"
            );
        }

        await server.StillLive();
    }

    [Fact]
    public async Task A_picture_that_is_damaged_or_none()
    {
        foreach (
            var format in (SkiaSharp.SKEncodedImageFormat[])
                [
                    SkiaSharp.SKEncodedImageFormat.Png,
                    SkiaSharp.SKEncodedImageFormat.Jpeg,
                    SkiaSharp.SKEncodedImageFormat.Webp,
                ]
        )
        {
            var whole = TestPictures.Encode(40, 30, format);
            Assert.Equal(
                HttpStatusCode.OK,
                (await server.Post("classify?model=cats", new ByteArrayContent(whole))).Status
            );
            foreach (var length in (int[])[1, 4, 12, 30, whole.Length / 2])
                Assert.Equal(
                    HttpStatusCode.BadRequest,
                    (await server.Post("classify", new ByteArrayContent(whole[..length]))).Status
                );
        }

        byte[][] others =
        [
            "GIF89a"u8.ToArray(),
            "%PDF-1.4"u8.ToArray(),
            "<svg xmlns='http://www.w3.org/2000/svg'/>"u8.ToArray(),
            [0, 0, 1, 0, 1, 0],
            [],
        ];
        foreach (var other in others)
            Assert.Equal(
                HttpStatusCode.BadRequest,
                (await server.Post("classify", new ByteArrayContent(other))).Status
            );
        await server.StillLive();
    }

    [Fact]
    public async Task Pictures_that_are_rare_are_read()
    {
        foreach (
            var picture in (byte[][])
                [PictureBombs.Png16(9, 5), PictureBombs.Png16(9, 5, frames: uint.MaxValue), PictureBombs.CmykJpeg()]
        )
            Assert.Equal(HttpStatusCode.OK, (await server.Post("classify", new ByteArrayContent(picture))).Status);
        await server.StillLive();
    }

    [Fact]
    public async Task A_form_that_is_none()
    {
        foreach (
            var (type, body) in ((string, string)[])
                [
                    ("multipart/form-data", "x"),
                    ("multipart/form-data; boundary=a", "x"),
                    (
                        "multipart/form-data; boundary=a",
                        "--a\r\nContent-Disposition: form-data; name=picture; filename=x\r\n\r\nabc"
                    ),
                    ($"multipart/form-data; boundary={new string('b', 5000)}", "x"),
                    (
                        "multipart/form-data; boundary=a",
                        "--a\r\nContent-Disposition: form-data; name=other\r\n\r\nabc\r\n--a--\r\n"
                    ),
                ]
        )
        {
            using var content = new ByteArrayContent(Encoding.ASCII.GetBytes(body));
            content.Headers.TryAddWithoutValidation("Content-Type", type);
            Assert.Equal(HttpStatusCode.BadRequest, (await server.Post("classify", content)).Status);
        }

        await server.StillLive();
    }

    [Theory]
    [InlineData("DELETE", "/v2")]
    [InlineData("POST", "/v2/health/live")]
    [InlineData("PUT", "/v2/models/affine")]
    [InlineData("GET", "/v2/models/affine/infer")]
    [InlineData("PATCH", "/classify")]
    public async Task A_verb_that_an_address_has_not(string verb, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(verb), new Uri(path, UriKind.Relative));
        using var answer = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.StatusCode);
        Assert.NotEmpty(answer.Content.Headers.Allow);
        Assert.Contains(
            "\"error\"",
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
            StringComparison.Ordinal
        );
        await server.StillLive();
    }

    [Theory]
    [InlineData("/v2/repository/index")]
    [InlineData("/v2/repository/models/affine/load")]
    [InlineData("/v2/repository/models/affine/unload")]
    [InlineData("/v2/systemsharedmemory/status")]
    [InlineData("/v2/cudasharedmemory/status")]
    [InlineData("/v2/models/affine/config")]
    [InlineData("/metrics")]
    [InlineData("/shutdown")]
    public async Task What_would_change_or_watch_the_server_is_not_there(string path)
    {
        Assert.Equal(HttpStatusCode.NotFound, (await server.Get(path)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Post(path, new StringContent("{}"))).Status);
        await server.StillLive();
    }

    private Task<string> Raw(string request) => RawHttp.Send(server.Addresses[0], Encoding.Latin1.GetBytes(request));
}
