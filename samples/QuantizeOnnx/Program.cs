// Quantizes any ONNX model that has one input. This program contains neither TorchSharp nor libtorch.
// INPUTS.bin contains typical rows of that input as float32 numbers, one row after another. With numpy:
// rows.astype('float32').tofile('inputs.bin').
// Usage: QuantizeOnnx MODEL.onnx INPUTS.bin OUTPUT.onnx
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Quantization;

if (args is not [var model, var inputs, var output])
{
    Console.Error.WriteLine("Usage: QuantizeOnnx MODEL.onnx INPUTS.bin OUTPUT.onnx");
    return 2;
}

using var session = new InferenceSession(model);
var (name, input) = session.InputMetadata.First();
int[] shape = input.Dimensions[1..]; // axis 0 is the batch
var rowLength = shape.Aggregate(1, (product, size) => product * size);
var numbers = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(inputs)).ToArray();
QuantizationBatch Batch(float[] rows) =>
    new([NamedOnnxValue.CreateFromTensor(name, new DenseTensor<float>(rows, [rows.Length / rowLength, .. shape]))]);

try
{
    Console.Write(OnnxQuantizer.Quantize(model, numbers.Chunk(32 * rowLength).Select(Batch).ToArray(), output));
    return 0;
}
catch (QuantizationException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
