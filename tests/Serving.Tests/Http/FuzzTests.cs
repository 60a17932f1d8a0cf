using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using TorchBridge.Serving.Http;

namespace TorchBridge.Serving.Tests.Http;

/// <summary>
/// 200,000 requests that a generator makes, most of them damaged, through the very handlers of the server, body
/// reader and guard included: none may end in 500, and one that is not damaged must be answered with what was sent.
/// </summary>
public sealed class FuzzTests : IAsyncLifetime
{
    private const int Binary = 150_000,
        Pictures = 50_000;
    private TestServer server = null!;

    public async ValueTask InitializeAsync() =>
        server = await TestServer.Start(
            TestServer.Plain(
                ("affine", TestModels.Affine()),
                ("identity", TestModels.Identity()),
                ("cats", TestModels.Classifier())
            ),
            ("MaxRequestBytes", "20000"),
            ("MaxPicturePixels", "10000")
        );

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task Bodies_of_tensors()
    {
        var handler = Guarded<InferEndpoint>(endpoint => endpoint.Handle);
        var counts = await Run(Binary, handler, (random, context) =>
        {
            var tensors = TestModels
                .AllTypes.Select(type => RandomTensors.Make(random, $"in_{type}", TestModels.TypeOf(type), 1, 2))
                .ToArray();
            var isRaw = random.Next(20) == 0;
            var (body, length) = isRaw ? (new byte[12], 0) : Body(tensors, random);
            context.Request.RouteValues = new RouteValueDictionary { ["model"] = isRaw ? "affine" : "identity" };
            var isDamaged = random.Next(10) != 0;
            var header = length.ToString(CultureInfo.InvariantCulture);
            if (isDamaged)
                (body, header) = Damage(random, body, header);
            context.Request.Headers[BinaryBody.LengthHeader] = header;
            return (body, isDamaged, (status, reply) =>
            {
                if (isDamaged)
                    return;
                Assert.Equal(200, status);
                if (!isRaw)
                    Check(tensors, reply);
            });
        });
        Assert.True(
            counts[200] > Binary / 20 && counts[400] > Binary / 3,
            $"the generator makes only one kind of request: {string.Join(", ", counts)}"
        );
    }

    [Fact]
    public async Task Pictures_and_forms()
    {
        SkiaSharp.SKEncodedImageFormat[] formats =
        [
            SkiaSharp.SKEncodedImageFormat.Png,
            SkiaSharp.SKEncodedImageFormat.Jpeg,
            SkiaSharp.SKEncodedImageFormat.Webp,
        ];
        byte[][] seeds =
        [
            .. formats.Select(format => TestPictures.Encode(12, 9, format)),
            TestPictures.Encode(9, 12, formats[0], SkiaSharp.SKAlphaType.Unpremul),
            PictureBombs.Bmp(3, 2),
            PictureBombs.Png(50, 50),
        ];
        var handler = Guarded<ClassifyEndpoint>(endpoint => endpoint.Handle);
        var counts = await Run(Pictures, handler, (random, context) =>
        {
            var index = random.Next(seeds.Length);
            var picture = seeds[index];
            var isDamaged = random.Next(10) != 0;
            if (isDamaged)
                picture = Damage(random, picture);
            if (random.Next(3) == 0)
            {
                context.Request.ContentType = "multipart/form-data; boundary=b";
                picture =
                [
                    .. "--b\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"a\"\r\n\r\n"u8,
                    .. picture,
                    .. "\r\n--b--\r\n"u8,
                ];
                if (isDamaged && random.Next(2) == 0)
                    picture = Damage(random, picture);
            }

            return (picture, isDamaged, (status, _) =>
            {
                if (!isDamaged && index < 4)
                    Assert.Equal(200, status);
            });
        });
        Assert.True(
            counts[200] > Pictures / 20 && counts[400] > Pictures / 10,
            $"the generator makes only one kind of request: {string.Join(", ", counts)}"
        );
    }

    private RequestDelegate Guarded<T>(Func<T, RequestDelegate> handle)
        where T : notnull =>
        server.Services.GetRequiredService<GuardedHandler>().Guard(handle(server.Services.GetRequiredService<T>()));

    /// <summary>Sends requests; what is asserted of one names its seed.</summary>
    private async Task<Dictionary<int, int>> Run(
        int count,
        RequestDelegate handler,
        Func<Random, HttpContext, (byte[] Body, bool IsDamaged, Action<int, byte[]> Check)> make
    )
    {
        var counts = new int[600];
        await Parallel.ForAsync(0, count, TestContext.Current.CancellationToken, async (seed, _) =>
        {
            var (random, context, reply) = (
                new Random(seed),
                new DefaultHttpContext { RequestServices = server.Services },
                new MemoryStream()
            );
            context.Request.Method = "POST";
            context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(reply));
            var (body, _, check) = make(random, context);
            context.Request.Body = new MemoryStream(body);
            if (random.Next(2) == 0)
                context.Request.ContentLength = body.Length;
            await handler(context);
            var status = context.Response.StatusCode;
            Assert.True(
                status is 200 or 400 or 413 or 415 or 503,
                $"seed {seed} ended in {status}: {Encoding.UTF8.GetString(reply.ToArray())}"
            );
            try
            {
                check(status, reply.ToArray());
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"seed {seed}: {Encoding.UTF8.GetString(reply.ToArray())}", error);
            }

            Interlocked.Increment(ref counts[status]);
        });
        Assert.Equal(HttpStatusCode.OK, (await server.Get("v2/health/live")).Status);
        return counts
            .Select((number, status) => (status, number))
            .Where(pair => pair.number > 0)
            .ToDictionary(pair => pair.status, pair => pair.number);
    }

    /// <summary>The identity gives back what it was given, under the outputs' names. A reply reads as a request
    /// does.</summary>
    private static void Check(Tensor[] sent, byte[] reply)
    {
        var json = Encoding.UTF8.GetString(reply).Replace("\"outputs\":", "\"inputs\":", StringComparison.Ordinal);
        var got = JsonRequestReader.Read(Encoding.UTF8.GetBytes(json), default, new ProtocolLimits()).Inputs;
        for (var i = 0; i < sent.Length; i++)
            TensorAssert.Same(
                sent[i] with
                {
                    Name = sent[i].Name.Replace("in_", "out_", StringComparison.Ordinal),
                },
                got[i]
            );
    }

    private static (byte[] Body, int Length) Body(Tensor[] tensors, Random random)
    {
        // A reply holds what a request holds, under another name.
        var target = new ArrayBufferWriter<byte>();
        var length = JsonReplyWriter
            .Write(
                new InferenceReply(
                    "m",
                    "1",
                    "7",
                    InferenceRequest.NoParameters,
                    [
                        .. tensors.Select(tensor =>
                            (tensor, random.Next(2) == 0 || tensor.Type is TensorType.FP16 or TensorType.BF16)
                        ),
                    ]
                ),
                target
            )!
            .Value;
        var json = Encoding
            .UTF8.GetString(target.WrittenSpan[..length])
            .Replace("\"outputs\":", "\"inputs\":", StringComparison.Ordinal);
        var bytes = Encoding.UTF8.GetBytes(json);
        return ([.. bytes, .. target.WrittenSpan[length..]], bytes.Length);
    }

    private static (byte[] Body, string Header) Damage(Random random, byte[] body, string header) =>
        random.Next(6) switch
        {
            0 => (body, random.Next(-5, body.Length + 5).ToString(CultureInfo.InvariantCulture)),
            1 => (body, new[] { "", "x", "1e2", "-0", "+1", "99999999999999999999", "0x10", " 5" }[random.Next(8)]),
            2 => (Words(random, body), header),
            _ => (Damage(random, body), header),
        };

    /// <summary>Changes a number or a word of the JSON to one that is at the edge.</summary>
    private static byte[] Words(Random random, byte[] body)
    {
        string[] edges =
        [
            "-1",
            "0",
            "9223372036854775807",
            "4611686018427387904",
            "1e308",
            "null",
            "[]",
            "{}",
            "\"\"",
            "[[[[]]]]",
            "true",
            "0.5",
            "18446744073709551616",
        ];
        var text = Encoding.Latin1.GetString(body);
        int[] places = [.. Enumerable.Range(0, text.Length).Where(i => char.IsAsciiDigit(text[i]) || text[i] == '"')];
        if (places.Length == 0)
            return body;
        var at = places[random.Next(places.Length)];
        return Encoding.Latin1.GetBytes($"{text[..at]}{edges[random.Next(edges.Length)]}{text[(at + 1)..]}");
    }

    /// <summary>Flips, cuts, repeats and writes edge values over bytes, one to eight times.</summary>
    private static byte[] Damage(Random random, byte[] body)
    {
        var bytes = body.ToArray();
        for (var times = random.Next(1, 9); times > 0 && bytes.Length > 0; times--)
        {
            var at = random.Next(bytes.Length);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes = bytes[..at];
                    break;
                case 3:
                    bytes = [.. bytes[..at], .. bytes[at..Math.Min(bytes.Length, at + 50)], .. bytes[at..]];
                    break;
                case 4 when at + 4 <= bytes.Length:
                    BinaryPrimitives.WriteInt32LittleEndian(
                        bytes.AsSpan(at),
                        new[] { -1, int.MaxValue, int.MinValue, 0, 0x7fffff00 }[random.Next(5)]
                    );
                    break;
                default:
                    bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(1, 30))..]];
                    break;
            }
        }

        return bytes;
    }
}
