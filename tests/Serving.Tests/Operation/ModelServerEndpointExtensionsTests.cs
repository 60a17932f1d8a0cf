using System.Diagnostics;
using System.Text.Json.Nodes;

namespace TorchBridge.Serving.Tests.Operation;

/// <summary>The model server in an application of a user's own: samples/ModelServer.</summary>
public class ModelServerEndpointExtensionsTests
{
    [Fact]
    public async Task Its_addresses_stand_beside_the_applications()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["cats.onnx"], TestModels.Classifier());
        // A foreign model: the process that tries it is started from within somebody else's program.
        File.WriteAllBytes(folder["affine.onnx"], TestModels.Affine());
        var dll = Path.Combine(Run.OutputOf("samples", "ModelServer"), "ModelServer.dll");
        string[] arguments = [dll, "--Server:Models", folder.Path, "--urls", "http://127.0.0.1:0"];
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            RedirectStandardOutput = true,
            WorkingDirectory = folder.Path,
        };
        using var process = Process.Start(start)!;
        try
        {
            var said = "";
            while (
                !(
                    said.Contains("cats version 1 is ready", StringComparison.Ordinal)
                    && said.Contains("affine version 1 is ready", StringComparison.Ordinal)
                    && said.Contains("listening on", StringComparison.Ordinal)
                )
            )
                said += await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken)
                    ?? throw new InvalidOperationException($"it has ended: {said}");
            var at = said.IndexOf("http://127.0.0.1:", StringComparison.Ordinal);
            using var http = new HttpClient
            {
                BaseAddress = new Uri(
                    $"http://127.0.0.1:{string.Concat(said[(at + 17)..].TakeWhile(char.IsAsciiDigit))}/"
                ),
            };
            var stop = TestContext.Current.CancellationToken;
            Assert.Contains(
                "My application",
                await http.GetStringAsync(new Uri("", UriKind.Relative), stop),
                StringComparison.Ordinal
            );
            Assert.Contains(
                "<h1>Try a model</h1>",
                await http.GetStringAsync(new Uri("try", UriKind.Relative), stop),
                StringComparison.Ordinal
            );
            Assert.Contains(
                "\"max_batch_size\":\"16\"",
                await http.GetStringAsync(new Uri("v2/models/affine", UriKind.Relative), stop),
                StringComparison.Ordinal
            );
            using var picture = new ByteArrayContent(TestPictures.Encode(20, 12, SkiaSharp.SKEncodedImageFormat.Png));
            using var answer = await http.PostAsync(new Uri("classify", UriKind.Relative), picture, stop);
            Assert.Contains(
                (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync(stop))!["label"]!,
                TestModels.ClassNames
            );
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }
}
