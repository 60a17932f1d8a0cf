using System.Security.Cryptography.X509Certificates;
using Orleans.Connections.Security;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Cluster;

/// <summary>
/// The certificate, with its private key, that all members of a cluster share: whoever has it is a member. Both ends
/// of a connection compare it byte by byte and ask no certificate authority, so a self-signed certificate is enough.
/// </summary>
internal sealed class ClusterCertificate : IDisposable
{
    private readonly byte[] raw;

    private ClusterCertificate(X509Certificate2 own) => (Own, raw) = (own, own.RawData);

    /// <summary>Certificate and key.</summary>
    public X509Certificate2 Own { get; }

    /// <summary>Reads a PEM file that contains a certificate and its unencrypted private key.</summary>
    /// <exception cref="ScaleException">The file cannot be read, or does not contain both.</exception>
    public static ClusterCertificate Read(string path)
    {
        try
        {
            using var pem = X509Certificate2.CreateFromPemFile(path);
            // TLS on Windows does not accept a key that exists in memory only. Exporting and importing the certificate
            // as PKCS #12 stores the key.
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
                $"--certificate {path} cannot be read: {error.Message} Name a PEM file that contains a certificate and "
                    + "its private key; docs/scale.md shows how to create one.",
                error
            );
        }
    }

    /// <summary>Sets TLS so that both ends present the certificate and require it of the other.</summary>
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
