using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;
using Orleans.Runtime.Placement;
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
            // The client is refused and reports it; it would go on trying forever.
            await Assert.ThrowsAnyAsync<Exception>(() =>
                ClusterNode.Connect(address, stranger, _ => stop.Cancel(), stop.Token)
            );
            Assert.True(stop.IsCancellationRequested);
        }
    }

    [Fact]
    public async Task Coordinators_speak_to_each_other_by_the_certificate_and_to_nobody_without_it()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the store is Debian's");
        using var folder = new TempFolder();
        using var store = await StoreServer.Start("redis", folder.Path);
        using var certificate = ClusterCertificate.Read(Make(folder["cluster.pem"]));
        using var other = ClusterCertificate.Read(Make(folder["other.pem"]));
        var address = ClusterAddress.Parse(store.Address);
        var ports = (TestJob.FreePorts(), TestJob.FreePorts());
        await using var first = await Coordinate(ports.Item1);
        await using var second = await Coordinate(ports.Item2);
        var there = second.Client.ServiceProvider.GetRequiredService<ILocalSiloDetails>().SiloAddress;

        // The first silo places no grain on another silo until it knows which kinds of grain that silo has.
        var kinds = first.Client.ServiceProvider.GetRequiredService<IClusterManifestProvider>();
        await foreach (var known in kinds.Updates.WithCancellation(TestContext.Current.CancellationToken))
            if (known.Silos.ContainsKey(there))
                break;

        // The lease state of this job is on the second silo, so every call of the first one goes from silo to silo.
        using var job = new TestJob(300);
        RequestContext.Set(IPlacementDirector.PlacementHintKey, there);
        var grain = first.Client.GetGrain<IJobGrain>(job.Key);
        await grain.Submit(job.Ticket);
        Assert.Equal(
            there,
            await first
                .Client.GetGrain<IManagementGrain>(0)
                .GetActivationAddress(grain, TestContext.Current.CancellationToken)
        );
        RequestContext.Clear();
        await using var runner = new DirectRunner();
        Assert.Equal(300, (await job.Run(first, runner)).Done);
        job.IsWhole();

        // On the silos' own port: a connection with the certificate is answered, all others are not.
        Assert.True(await IsLetIn(ports.Item2.Silo, certificate, certificate));
        Assert.False(await IsLetIn(ports.Item2.Silo, certificate, other));
        Assert.False(await IsLetIn(ports.Item2.Silo, certificate, null));

        Task<ClusterNode> Coordinate((int Gateway, int Silo) at) =>
            ClusterNode.Coordinate(
                address,
                new CoordinatorOptions
                {
                    GatewayPort = at.Gateway,
                    SiloPort = at.Silo,
                    Certificate = certificate,
                },
                TestContext.Current.CancellationToken
            );
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

    /// <summary>Whether a silo answers a connection with a certificate, or with none.</summary>
    private static async Task<bool> IsLetIn(int port, ClusterCertificate expected, ClusterCertificate? shown)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, port, TestContext.Current.CancellationToken);
        await using var stream = new SslStream(socket.GetStream());
        try
        {
            await stream.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = "torchbridge",
                    ClientCertificates = shown is null ? [] : [shown.Own],
                    LocalCertificateSelectionCallback = shown is null ? null : (_, _, _, _, _) => shown.Own,
                    RemoteCertificateValidationCallback = (_, presented, _, _) =>
                        presented is not null
                        && presented.GetRawCertData().AsSpan().SequenceEqual(expected.Own.RawData),
                },
                TestContext.Current.CancellationToken
            );
            // The silo's greeting. A client that is refused finds out only with the first answer.
            return await stream.ReadAsync(new byte[1], TestContext.Current.CancellationToken) > 0;
        }
        catch (Exception error) when (error is AuthenticationException or IOException)
        {
            return false;
        }
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
