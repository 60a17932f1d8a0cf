using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Converts the arguments of a call to plain values that can be compared between traces: longs, doubles, booleans,
/// strings, enums, arrays of these, and references to traced values.
/// </summary>
internal static class ArgumentConverter
{
    /// <summary>Finds the fields of a <see cref="TensorIndex"/>, which are not public.</summary>
    private const BindingFlags Fields = BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public;

    /// <summary>Converts an argument; tensors are converted by <paramref name="onTensor"/>.</summary>
    /// <param name="argument">Anything that can be passed to a TorchSharp call.</param>
    /// <param name="onTensor">Converts a tensor.</param>
    /// <returns>A value that can be compared for equality; anything else becomes the name of its type.</returns>
    public static object? Convert(object? argument, Func<Tensor, ValueRef> onTensor) =>
        argument switch
        {
            null => null,
            Tensor tensor => onTensor(tensor),
            bool or string or Enum => argument,
            byte or sbyte or short or int or long => System.Convert.ToInt64(
                argument,
                System.Globalization.CultureInfo.InvariantCulture
            ),
            float or double or Half => System.Convert.ToDouble(
                argument,
                System.Globalization.CultureInfo.InvariantCulture
            ),
            Scalar scalar => FromScalar(scalar),
            Size size => size.Select(dimension => (object?)dimension).ToArray(),
            TensorIndex index => FromIndex(index, onTensor),
            ITuple tuple => Enumerable.Range(0, tuple.Length).Select(i => Convert(tuple[i], onTensor)).ToArray(),
            nn.Module module => module.GetType().FullName,
            IDictionary or torch.Device or torch.Generator => argument.ToString(),
            IEnumerable sequence => sequence.Cast<object?>().Select(item => Convert(item, onTensor)).ToArray(),
            _ => argument.GetType().FullName,
        };

    /// <summary>The tensor of an index that is a tensor; otherwise null.</summary>
    /// <param name="index">One index of <c>x[...]</c>.</param>
    public static Tensor? TensorOf(TensorIndex index) => Field(index, "tensor") as Tensor;

    /// <summary>An index with its kind and numbers, which TorchSharp does not expose.</summary>
    /// <param name="index">One index of <c>x[...]</c>.</param>
    /// <param name="onTensor">Maps an index tensor to its number in the trace.</param>
    private static IndexArgument FromIndex(TensorIndex index, Func<Tensor, ValueRef> onTensor) =>
        new(
            Field(index, "kind")!.ToString()!,
            Field(index, "startIndexOrBoolOrSingle"),
            Field(index, "stopIndex"),
            Field(index, "step"),
            TensorOf(index) is { } tensor ? onTensor(tensor) : null
        );

    // TorchSharp keeps these internal. A test pins the names.
    private static object? Field(TensorIndex index, string name) =>
        (
            typeof(TensorIndex).GetField(name, Fields) ?? throw new MissingFieldException(nameof(TensorIndex), name)
        ).GetValue(index);

    /// <summary>The number in a Scalar, in the type that the Scalar has.</summary>
    /// <param name="scalar">An argument of a TorchSharp call.</param>
    /// <returns>A bool, a long or a double.</returns>
    private static object FromScalar(Scalar scalar) =>
        scalar.Type switch
        {
            ScalarType.Bool => scalar.ToBoolean(),
            ScalarType.Byte or ScalarType.Int8 or ScalarType.Int16 or ScalarType.Int32 or ScalarType.Int64 =>
                scalar.ToInt64(),
            _ => scalar.ToDouble(),
        };
}
