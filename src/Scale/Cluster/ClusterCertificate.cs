using System.Security.Cryptography.X509Certificates;
using Orleans.Connections.Security;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Cluster;

/// <summary>
/// The certificate that all of a cluster share, with its key: who has it belongs to the cluster, and nobody else. So a
/// self-made one is as good as a bought one: it is compared byte by byte, on both ends, and no authority is asked.
/// </summary>
internal sealed class ClusterCertificate : IDisposable
{
    private readonly byte[] raw;

    private ClusterCertificate(X509Certificate2 own) => (Own, raw) = (own, own.RawData);

    /// <summary>Certificate and key.</summary>
    public X509Certificate2 Own { get; }

    /// <summary>Reads a PEM file with a certificate and its key, not encrypted.</summary>
    /// <exception cref="ScaleException">It is none.</exception>
    public static ClusterCertificate Read(string path)
    {
        try
        {
            using var pem = X509Certificate2.CreateFromPemFile(path);
            // Windows' TLS takes no key that lives in memory only: through PKCS 12 it gets one.
            return new ClusterCertificate(
                X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), password: null)
            );
        }
        catch (Exception error)
            when (error
                    is IOException
                        or UnauthorizedAccessException
                        or System.Security.Cryptography.CryptographicException
            )
        {
            throw new ScaleException(
                $"--certificate {path} cannot be read: {error.Message} It is a PEM file with a certificate and its key: "
                    + "docs/scale.md tells how to make one.",
                error
            );
        }
    }

    /// <summary>Has both ends show the certificate, and look for it.</summary>
    public void Configure(TlsOptions options)
    {
        options.RemoteCertificateMode = RemoteCertificateMode.RequireCertificate;
        options.ClientCertificateMode = RemoteCertificateMode.RequireCertificate;
        options.RemoteCertificateValidation = (certificate, _, _) => certificate.RawData.AsSpan().SequenceEqual(raw);
        options.CheckCertificateRevocation = false;
        options.OnAuthenticateAsClient = (_, authentication) => authentication.TargetHost = "torchbridge";
    }

    /// <inheritdoc/>
    public void Dispose() => Own.Dispose();
}
