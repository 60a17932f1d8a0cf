using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>Converts between the datatypes of ONNX Runtime and those of the protocol.</summary>
internal static class OnnxTypes
{
    /// <summary>Every datatype of the protocol with its ONNX counterpart.</summary>
    private static readonly (TensorType Protocol, TensorElementType Onnx)[] Pairs =
    [
        (TensorType.Bool, TensorElementType.Bool),
        (TensorType.UInt8, TensorElementType.UInt8),
        (TensorType.UInt16, TensorElementType.UInt16),
        (TensorType.UInt32, TensorElementType.UInt32),
        (TensorType.UInt64, TensorElementType.UInt64),
        (TensorType.Int8, TensorElementType.Int8),
        (TensorType.Int16, TensorElementType.Int16),
        (TensorType.Int32, TensorElementType.Int32),
        (TensorType.Int64, TensorElementType.Int64),
        (TensorType.FP16, TensorElementType.Float16),
        (TensorType.BF16, TensorElementType.BFloat16),
        (TensorType.FP32, TensorElementType.Float),
        (TensorType.FP64, TensorElementType.Double),
        (TensorType.Bytes, TensorElementType.String),
    ];

    /// <summary>
    /// The protocol's datatype; null if there is none (complex numbers, 4-bit types, 8-bit floats).
    /// </summary>
    /// <param name="type">ONNX Runtime's datatype.</param>
    public static TensorType? Find(TensorElementType type)
    {
        foreach (var (protocol, onnx) in Pairs)
        {
            if (onnx == type)
                return protocol;
        }

        return null;
    }

    /// <summary>ONNX Runtime's datatype.</summary>
    /// <param name="type">The protocol's datatype.</param>
    public static TensorElementType ToOnnx(this TensorType type) => Pairs.First(pair => pair.Protocol == type).Onnx;
}
