using TorchBridge.Onnx.Graph;
using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>Maps TorchSharp's dtypes to ONNX element types and back.</summary>
internal static class ScalarTypes
{
    /// <summary>The dtypes that both sides support; complex numbers are stored as pairs of real numbers.</summary>
    private static readonly (ScalarType Torch, ElementType Onnx)[] Pairs =
    [
        (ScalarType.Float32, ElementType.Float32),
        (ScalarType.Float64, ElementType.Float64),
        (ScalarType.Float16, ElementType.Float16),
        (ScalarType.BFloat16, ElementType.BFloat16),
        (ScalarType.Int64, ElementType.Int64),
        (ScalarType.Int32, ElementType.Int32),
        (ScalarType.Int16, ElementType.Int16),
        (ScalarType.Int8, ElementType.Int8),
        (ScalarType.Byte, ElementType.UInt8),
        (ScalarType.Bool, ElementType.Bool),
    ];

    /// <summary>The ONNX element type of a TorchSharp dtype.</summary>
    /// <param name="type">TorchSharp's dtype.</param>
    /// <exception cref="ExportException">There is no such element type.</exception>
    public static ElementType ToOnnx(this ScalarType type)
    {
        foreach (var pair in Pairs)
        {
            if (pair.Torch == type)
                return pair.Onnx;
        }

        throw new ExportException(
            $"dtype {type} is not supported by ONNX Runtime's CPU provider. Convert the "
                + "tensor to a supported dtype, such as float32 or int64."
        );
    }

    /// <summary>The TorchSharp dtype of an ONNX element type that the exporter writes.</summary>
    /// <param name="type">ONNX's element type.</param>
    public static ScalarType ToTorch(this ElementType type) => Pairs.First(pair => pair.Onnx == type).Torch;
}
