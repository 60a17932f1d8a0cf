using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>Compares ONNX files with the module they were made from: the module in eval mode is what is right.</summary>
internal sealed class ModelVerifier : IDisposable
{
    /// <summary>
    /// Share of an output's largest value by which float32 results may differ. TorchSharp and ONNX Runtime sum the same products in
    /// another order: n terms differ by about sqrt(n) units in the last place (6e-8), and errors of layers add up. 1e-4 is some
    /// 1,600 units: an order of magnitude above what deep networks show, two below a weight that is 1 % wrong in every channel.
    /// </summary>
    public const double RelativeTolerance = 1e-4;

    /// <summary>File size above which ONNX Runtime keeps one layout of the weights while it verifies: a large model's second copy is not worth its memory.</summary>
    private const long LargeFile = 64 << 20;

    private readonly nn.Module model;
    private readonly List<(string Name, Tensor[] Inputs, Tensor[] Expected)> cases = [];
    private readonly List<string> runs = [];
    private readonly Dictionary<string, OutputParity> parity = new(StringComparer.Ordinal);

    /// <summary>Runs the module on the example and on random inputs at batch 1, 2 and a larger one.</summary>
    /// <param name="model">What is right, in eval mode.</param>
    /// <param name="inputs">Examples and their free axes.</param>
    /// <param name="isLeaf">Whether a module has a lowering of its own.</param>
    /// <param name="seed">Seed of the random inputs.</param>
    public ModelVerifier(nn.Module model, IReadOnlyList<FreeInput> inputs, Func<nn.Module, bool> isLeaf, int seed)
    {
        this.model = model;
        using var noGrad = no_grad();
        using var mode = new EvalMode(new ModelMap(model).Paths.Keys);
        Add("the example", [.. inputs.Select(input => input.Example)], RunModel);
        var random = new Random(seed ^ 0x5EED);
        var hasBatch = inputs.Any(input => input.Symbols.Contains("batch"));
        foreach (var batch in hasBatch ? new long[] { 1, 2, 3 } : [0])
        {
            using var scope = NewDisposeScope();
            var tensors = inputs.Select(input => ExampleInputs.Like(input.Example, [.. input.Example.shape.Select((size, axis) => input.Symbols[axis] == "batch" ? batch : size)], random).to(input.Example.device)).ToArray();
            // The small ones by forward itself; the larger ones by its instrumented copy, which frees memory on its way.
            Add(hasBatch ? $"random, batch {batch}" : "random", tensors, batch < 2 ? RunModel : copies => ForwardTracer.Run(model, [.. copies.Select((copy, i) => (inputs[i].Name, copy.clone()))], isLeaf));
        }
    }

    /// <summary>What was measured so far.</summary>
    public ParityReport Report => new([.. parity.Values], runs, Environment);

    /// <summary>The inputs of the last case: random, at the largest batch.</summary>
    public IReadOnlyList<Tensor> LargestInputs => cases[^1].Inputs;

    /// <summary>Operating system, processor and versions.</summary>
    public static string Environment =>
        $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}, {System.Environment.ProcessorCount} processors, " +
        $".NET {System.Environment.Version}, TorchSharp {typeof(torch).Assembly.GetName().Version?.ToString(3)}, ONNX Runtime {typeof(Microsoft.ML.OnnxRuntime.InferenceSession).Assembly.GetName().Version?.ToString(3)}";

    /// <summary>Compares a file, with ONNX Runtime's graph optimizations off and on.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <param name="variant">What it is, for the report: folded, unfolded.</param>
    /// <param name="outputNames">Names that the outputs must have, in order.</param>
    /// <param name="relativeTolerance">Share of an output's largest value by which it may differ.</param>
    /// <exception cref="ParityException">Something differs.</exception>
    public void Verify(string path, string variant, IReadOnlyList<string> outputNames, double relativeTolerance = RelativeTolerance)
    {
        foreach (var optimize in (bool[])[false, true])
        {
            MemoryRelief.Release();
            var isLarge = new FileInfo(path).Length > LargeFile;
            using var ort = Load(path, optimize, isLarge, variant);
            if (!ort.OutputNames.SequenceEqual(outputNames)) throw new ParityException($"{variant}: the outputs are [{string.Join(", ", ort.OutputNames)}], expected [{string.Join(", ", outputNames)}]");
            foreach (var (name, inputs, expected) in cases)
            {
                var run = $"{variant}, optimizations {(!optimize ? "off" : isLarge ? "on but for the blocked layout" : "on")}, {name}";
                CompareRun(run, ort, inputs, expected, relativeTolerance);
                runs.Add(run);
            }
        }
    }

    private static OrtModel Load(string path, bool optimize, bool isLarge, string variant)
    {
        try
        {
            return new OrtModel(path, optimize, isLarge);
        }
        catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException error)
        {
            throw new ParityException($"ONNX Runtime does not load the {variant} graph: {error.Message}", error);
        }
    }

    private void CompareRun(string run, OrtModel ort, Tensor[] inputs, Tensor[] expected, double relativeTolerance)
    {
        Tensor[] actual;
        try
        {
            actual = ort.Run([.. inputs.Take(ort.InputNames.Count)]);
        }
        catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException error)
        {
            throw new ParityException($"ONNX Runtime fails on the graph ({run}): {error.Message}", error);
        }

        for (var i = 0; i < expected.Length; i++)
        {
            var tolerance = Tolerance(expected[i], relativeTolerance);
            var comparison = TensorComparer.Compare(actual[i], expected[i], tolerance);
            if (comparison.Difference is not null)
                throw new ParityException($"the exported graph does not compute what the module computes. Output '{ort.OutputNames[i]}', {run}: {comparison.Difference}. {Environment}");
            Merge(ort.OutputNames[i], comparison, tolerance);
            actual[i].Dispose();
        }
    }

    /// <summary>By how much values may differ: a share of the largest one; not at all for whole numbers.</summary>
    public static double Tolerance(Tensor expected, double relative)
    {
        if (!is_floating_point(expected)) return 0;
        using var scope = NewDisposeScope();
        var values = expected.to(ScalarType.Float64);
        var finite = values.masked_select(values.isfinite());
        var largest = finite.numel() == 0 ? 0 : finite.abs().max().ToDouble();
        // float16 has 11 bits: one unit is 5e-4 of the value; sums are kept in float32 on both sides, a few roundings remain.
        return Math.Max(1e-7, largest * (expected.dtype is ScalarType.Float16 or ScalarType.BFloat16 ? Math.Max(5e-3, relative) : relative));
    }

    private void Merge(string output, Comparison comparison, double tolerance)
    {
        var known = parity.GetValueOrDefault(output) ?? new OutputParity(output, 0, 0, 0, 0, 0, comparison.TopOneAgreement is null ? null : 0);
        parity[output] = known with
        {
            LargestAbsolute = Math.Max(known.LargestAbsolute, comparison.LargestAbsolute),
            LargestRelative = Math.Max(known.LargestRelative, comparison.LargestRelative),
            LargestValue = Math.Max(known.LargestValue, comparison.LargestValue),
            Tolerance = Math.Max(known.Tolerance, tolerance),
            Rows = known.Rows + comparison.Rows,
            TopOneAgreement = known.TopOneAgreement is { } top && comparison.TopOneAgreement is { } more ? top + more : null,
        };
    }

    private void Add(string name, Tensor[] inputs, Func<Tensor[], Tensor[]> run)
    {
        // Twice, and the same to the last bit: TorchSharp frees a Scalar while native code reads it when the garbage collector runs at the
        // wrong moment, and an oracle that is wrong once in a million runs is none.
        for (var attempt = 0; attempt < 5; attempt++)
        {
            Tensor[] first = run(inputs), second = run(inputs);
            if (!first.Zip(second).All(pair => pair.First.bytes.SequenceEqual(pair.Second.bytes))) continue;
            cases.Add((name, [.. inputs.Select(input => input.detach().clone().DetachFromDisposeScope())], first));
            MemoryRelief.Release();
            return;
        }

        throw new ParityException($"the module itself gives other results for the same input ({name}) in eval mode: something in its forward is random. Nothing can be proved of it.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in cases.SelectMany(item => item.Inputs.Concat(item.Expected))) tensor.Dispose();
    }

    private Tensor[] RunModel(Tensor[] inputs)
    {
        // A scope for each run: what forward leaves behind is gone before the next.
        using var scope = NewDisposeScope();
        var method = Recorder.ForwardOf(model);
        // Clones: a model with in-place operations may change what it is given.
        object?[] arguments = [.. inputs.Select(input => (object?)input.clone()), .. method.GetParameters().Skip(inputs.Length).Select(parameter => parameter.HasDefaultValue ? parameter.DefaultValue : null)];
        var result = method.Invoke(model, System.Reflection.BindingFlags.DoNotWrapExceptions, null, arguments, null);
        return [.. Flatten(result).Select(tensor => tensor.detach().cpu().contiguous().clone().DetachFromDisposeScope())];
    }

    private static IEnumerable<Tensor> Flatten(object? result) => result switch
    {
        Tensor tensor => tensor.IsInvalid ? [] : [tensor],
        ITuple tuple => Enumerable.Range(0, tuple.Length).SelectMany(i => Flatten(tuple[i])),
        IEnumerable<Tensor> sequence => sequence,
        System.Collections.IDictionary dictionary => dictionary.Values.Cast<object>().SelectMany(Flatten),
        _ => [],
    };
}
