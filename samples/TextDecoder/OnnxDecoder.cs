using Microsoft.ML.OnnxRuntime;

namespace TextDecoder;

/// <summary>Generates text with the exported decoder in ONNX Runtime, without TorchSharp.</summary>
internal sealed class OnnxDecoder(string path, int layers, int heads, int headWidth) : IDisposable
{
    private readonly InferenceSession session = new(path);
    private readonly RunOptions runOptions = new();

    /// <summary>Generates the most likely tokens one after another. The first step reads the whole prompt; each later
    /// step reads one token, with the cache of all tokens before it.</summary>
    public long[] Generate(long[] prompt, int count)
    {
        var generated = new long[count];
        var next = prompt;
        long[] cacheShape = [layers, 1, heads, 0, headWidth];
        var keys = OrtValue.CreateTensorValueFromMemory(Array.Empty<float>(), cacheShape);
        var values = OrtValue.CreateTensorValueFromMemory(Array.Empty<float>(), cacheShape);
        for (var i = 0; i < count; i++)
        {
            using var tokens = OrtValue.CreateTensorValueFromMemory(next, [1, next.Length]);
            var results = session.Run(
                runOptions,
                ["token_ids", "past_keys", "past_values"],
                [tokens, keys, values],
                ["logits", "present_keys", "present_values"]
            );
            keys.Dispose();
            values.Dispose();
            using var logits = results[0];
            (keys, values) = (results[1], results[2]);
            var all = logits.GetTensorDataAsSpan<float>();
            var vocabulary = all.Length / next.Length;
            generated[i] = System.Numerics.Tensors.TensorPrimitives.IndexOfMax(all[^vocabulary..]);
            next = [generated[i]];
        }

        keys.Dispose();
        values.Dispose();
        return generated;
    }

    public void Dispose()
    {
        session.Dispose();
        runOptions.Dispose();
    }
}
