using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Tests.Work;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Cluster;

public class ClusterCertificateTests
{
    [Fact]
    public async Task Who_has_the_certificate_comes_in_and_nobody_else()
    {
        using var folder = new TempFolder();
        using var certificate = ClusterCertificate.Read(Make(folder["cluster.pem"]));
        using var other = ClusterCertificate.Read(Make(folder["other.pem"]));
        var (gateway, silo) = TestJob.FreePorts();
        var address = new ClusterAddress(ClusterKind.Localhost, "", gateway);
        await using var node = await ClusterNode.Coordinate(
            address,
            new CoordinatorOptions { SiloPort = silo, Certificate = certificate },
            TestContext.Current.CancellationToken
        );
        await using (
            var client = await ClusterNode.Connect(address, certificate, stop: TestContext.Current.CancellationToken)
        )
            Assert.Empty(await client.Client.GetGrain<IDirectoryGrain>(0).Jobs());

        foreach (var stranger in (ClusterCertificate?[])[other, null])
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
            // It is refused, and says so; it would go on trying.
            await Assert.ThrowsAnyAsync<Exception>(() =>
                ClusterNode.Connect(address, stranger, _ => stop.Cancel(), stop.Token)
            );
            Assert.True(stop.IsCancellationRequested);
        }
    }

    [Fact]
    public void What_is_no_certificate_with_its_key_is_refused()
    {
        using var folder = new TempFolder();
        Assert.Throws<ScaleException>(() => ClusterCertificate.Read(folder["nothing.pem"]));
        File.WriteAllText(folder["text.pem"], "no certificate");
        Assert.Throws<ScaleException>(() => ClusterCertificate.Read(folder["text.pem"]));
        var whole = File.ReadAllText(Make(folder["whole.pem"]));
        File.WriteAllText(
            folder["keyless.pem"],
            whole[..whole.IndexOf("-----BEGIN PRIVATE", StringComparison.Ordinal)]
        );
        Assert.Throws<ScaleException>(() => ClusterCertificate.Read(folder["keyless.pem"]));
    }

    private static string Make(string path)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=torchbridge", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(
            DateTimeOffset.UtcNow.AddDays(-1),
            DateTimeOffset.UtcNow.AddDays(1)
        );
        File.WriteAllText(path, $"{certificate.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n");
        return path;
    }
}
