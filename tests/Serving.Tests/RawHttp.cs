using System.Net.Sockets;
using System.Text;

namespace TorchBridge.Serving.Tests;

/// <summary>Sends bytes as they are, which no HTTP library would.</summary>
internal static class RawHttp
{
    /// <summary>Sends a request and reads until the server closes the connection, or has sent a whole answer.</summary>
    public static async Task<string> Send(string address, byte[] request)
    {
        var uri = new Uri(address);
        using var client = new TcpClient();
        await client.ConnectAsync(uri.Host, uri.Port, TestContext.Current.CancellationToken);
        await using var stream = client.GetStream();
        var answer = new StringBuilder();
        try
        {
            await stream.WriteAsync(request, TestContext.Current.CancellationToken);
            var buffer = new byte[4096];
            while (await stream.ReadAsync(buffer, TestContext.Current.CancellationToken) is > 0 and var read)
            {
                answer.Append(Encoding.Latin1.GetString(buffer, 0, read));
                if (IsWhole(answer.ToString()))
                    break;
            }
        }
        catch (IOException)
        {
            // It closed the connection before it had read all: what it said is what counts.
        }

        return answer.ToString();
    }

    private static bool IsWhole(string answer)
    {
        var end = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
            return false;
        const string header = "Content-Length: ";
        var at = answer.IndexOf(header, StringComparison.Ordinal);
        if (at < 0 || at > end)
            return false;
        var length = int.Parse(
            answer[(at + header.Length)..answer.IndexOf('\r', at)],
            System.Globalization.CultureInfo.InvariantCulture
        );
        return answer.Length >= end + 4 + length;
    }
}
