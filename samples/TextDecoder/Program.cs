// Trains a small decoder on one sentence, exports it with its key/value cache as inputs and outputs, and generates
// text step by step in ONNX Runtime. The output is compared with that of TorchSharp.
using TextDecoder;
using TorchBridge.Export;
using TorchSharp;
using static TorchSharp.torch;

const string text = "a cache holds what was seen, so that a step reads one token and not all of them again. ";
var letters = string.Concat(text.Distinct().Order());
long[] Encode(string words) => [.. words.Select(letter => (long)letters.IndexOf(letter, StringComparison.Ordinal))];
string Decode(IEnumerable<long> numbers) => string.Concat(numbers.Select(number => letters[(int)number]));

random.manual_seed(1);
using var model = new Decoder(letters.Length);
using (var optimizer = optim.AdamW(model.parameters(), lr: 3e-3))
{
    for (var step = 0; step < 150; step++)
    {
        using var scope = NewDisposeScope();
        var numbers = tensor(Encode(text)).unsqueeze(0);
        var (logits, _, _) = model.call(numbers[.., ..^1], model.EmptyCache(), model.EmptyCache());
        var loss = nn.functional.cross_entropy(logits.flatten(0, 1), numbers[0, 1..]);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
    }
}

model.eval();
var path = Path.Combine(Path.GetTempPath(), $"decoder-{Environment.ProcessId}.onnx");

// The length of the cache is a separate free axis: 0 at the first step, and larger at each step after it.
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
Tensor[] examples =
[
    tensor(Encode("a step")).unsqueeze(0),
    rand_like(model.EmptyCache(1, 4)),
    rand_like(model.EmptyCache(1, 4)),
];
Console.WriteLine(OnnxExporter.Export(model, examples, path, options));

var prompt = Encode("a cache ");
using (var decoder = new OnnxDecoder(path, model.Layers, model.Heads, model.HeadWidth))
{
    var inOnnxRuntime = decoder.Generate(prompt, 50);
    var inTorchSharp = model.Generate(prompt, 50);
    Console.WriteLine($"ONNX Runtime: a cache {Decode(inOnnxRuntime)}");
    Console.WriteLine($"TorchSharp:   a cache {Decode(inTorchSharp)}");
    Console.WriteLine(inOnnxRuntime.SequenceEqual(inTorchSharp) ? "the same 50 tokens" : "DIFFERENT TOKENS");
}

File.Delete(path);
