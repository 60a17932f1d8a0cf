using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Native;

/// <summary>Compares the memory of tensors.</summary>
internal static class TensorMemory
{
    // TorchSharp's public accessors validate dtype and contiguity; only the address is needed here. A test verifies
    // that this name exists.
    /// <summary>TorchSharp's native function that returns the address of a tensor's first element.</summary>
    private static readonly Func<nint, nint> DataPointer = typeof(torch)
        .Assembly.GetType("TorchSharp.PInvoke.NativeMethods", throwOnError: true)!
        .GetMethod("THSTensor_data", BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)!
        .CreateDelegate<Func<nint, nint>>();

    /// <summary>Address of the first element.</summary>
    /// <param name="tensor">A live, dense tensor.</param>
    public static nint Address(Tensor tensor) => DataPointer(tensor.Handle);

    /// <summary>Whether two live tensors overlap in memory.</summary>
    /// <param name="a">Any tensor.</param>
    /// <param name="b">Any tensor.</param>
    /// <returns>False if one of them is disposed, sparse or empty.</returns>
    public static bool Shares(Tensor a, Tensor b)
    {
        if (ReferenceEquals(a, b))
            return true;
        if (a.IsInvalid || b.IsInvalid || a.is_sparse || b.is_sparse || a.numel() == 0 || b.numel() == 0)
            return false;
        var (startA, endA) = Extent(a);
        var (startB, endB) = Extent(b);
        return startA < endB && startB < endA;
    }

    /// <summary>Whether two tensors that share memory also have the same shape, strides and dtype.</summary>
    /// <param name="a">A live tensor.</param>
    /// <param name="b">A live tensor.</param>
    public static bool SameGeometry(Tensor a, Tensor b) =>
        Address(a) == Address(b)
        && a.dtype == b.dtype
        && a.shape.AsSpan().SequenceEqual(b.shape)
        && a.stride().AsSpan().SequenceEqual(b.stride());

    /// <summary>A copy that belongs to no dispose scope of the caller.</summary>
    /// <param name="tensor">Any live tensor.</param>
    public static Tensor Keep(Tensor tensor) => tensor.detach().clone().DetachFromDisposeScope();

    /// <summary>Address of a tensor's first byte, and of one past its last.</summary>
    private static (nint Start, nint End) Extent(Tensor tensor)
    {
        var start = Address(tensor);
        var last = tensor.shape.Zip(tensor.stride(), (size, stride) => (size - 1) * stride).Sum();
        return (start, start + (nint)((last + 1) * tensor.element_size()));
    }
}
