using TextDecoder;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>The sample's decoder: its cache goes in and comes out.</summary>
public class TextDecoderTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Fifty_tokens_step_by_step_are_those_of_TorchSharp(int seed)
    {
        random.manual_seed(seed);
        using var model = new Decoder(vocabulary: 29, width: 24, heads: 3, layers: 2, longest: 80);
        using var folder = new TempFolder();
        var path = folder["decoder.onnx"];
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]>
            {
                ["token_ids"] = [0, 1],
                ["past_keys"] = [1, 3],
                ["past_values"] = [1, 3],
            },
            AxisNames = new Dictionary<(string, int), string>
            {
                [("token_ids", 0)] = "batch",
                [("past_keys", 1)] = "batch",
                [("past_values", 1)] = "batch",
                [("token_ids", 1)] = "new",
                [("past_keys", 3)] = "past",
                [("past_values", 3)] = "past",
            },
            OutputNames = ["logits", "present_keys", "present_values"],
        };
        model.eval();
        OnnxExporter.Export(
            model,
            [
                randint(0, 29, [2, 5], ScalarType.Int64),
                randn_like(model.EmptyCache(2, 4)),
                randn_like(model.EmptyCache(2, 4)),
            ],
            path,
            options
        );
        long[] prompt = [3, 14, 15, 9, 26];
        using var decoder = new OnnxDecoder(path, model.Layers, model.Heads, model.HeadWidth);
        var generated = decoder.Generate(prompt, 50);
        Assert.Equal(model.Generate(prompt, 50), generated);
        Assert.Equal(WithoutCache(model, prompt, 50), generated);
        Assert.True(generated.Distinct().Count() > 3, "not one token over and over");
    }

    private static long[] WithoutCache(Decoder model, long[] prompt, int count)
    {
        using var noGrad = no_grad();
        var all = prompt.ToList();
        for (var i = 0; i < count; i++)
        {
            using var scope = NewDisposeScope();
            var (logits, _, _) = model.call(tensor(all.ToArray()).unsqueeze(0), model.EmptyCache(), model.EmptyCache());
            all.Add(logits[0, -1].argmax().item<long>());
        }

        return [.. all.Skip(prompt.Length)];
    }
}
