using System.Security.Cryptography;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

/// <summary>A hash of all bits of a module's weights and buffers, as text.</summary>
internal static class WeightHash
{
    public static string Of(nn.Module module)
    {
        using var scope = NewDisposeScope();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (name, value) in module.state_dict().OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(name));
            hash.AppendData(value.detach().contiguous().bytes);
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }
}
