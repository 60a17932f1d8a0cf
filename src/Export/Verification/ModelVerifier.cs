using System.Runtime.InteropServices;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Native;
using TorchBridge.Export.Onnx;
using TorchBridge.Export.Sizes;
using TorchBridge.Onnx.Graph;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>
/// Compares ONNX files with the module they were exported from, at sizes that no trace had and on special values such
/// as NaN and infinities. The module in eval mode is the reference.
/// </summary>
internal sealed class ModelVerifier : IDisposable
{
    /// <summary>File size above which ONNX Runtime keeps only one layout of the weights during verification: a second
    /// copy of a large model's weights is not worth the memory.</summary>
    private const long LargeFile = 64 << 20;

    /// <summary>Multiply-adds up to which a run costs almost nothing.</summary>
    private const double CheapWork = 1e8;

    /// <summary>Multiply-adds (some hundredths of a second) from which the module runs only once, and again only if
    /// the file differs.</summary>
    private const double LongWork = 1e9;

    /// <summary>
    /// Multiply-adds (some tenths of a second) from which the file is not run in every variant. A verification at
    /// this size compares the file only as it is used, folded and optimized; the other variants are compared at
    /// smaller sizes. Special values of a network that is not cheap are compared in this way too, because differences
    /// are then traced operation by operation anyway.
    /// </summary>
    private const double ExpensiveWork = 1.5e10;

    /// <summary>
    /// Operators whose order of summation or scanning is up to the runtime. Their results for NaN and infinities are
    /// decided by ONNX Runtime (an infinity times a padding zero, for example; its MaxPool skips NaN), so a
    /// difference is noted instead of refused. docs/operators.md lists these operators.
    /// </summary>
    public static readonly IReadOnlySet<string> OrderOfTheirOwn = new HashSet<string>(StringComparer.Ordinal)
    {
        "Conv",
        "ConvTranspose",
        "Gemm",
        "MatMul",
        "Einsum",
        "LSTM",
        "GRU",
        "RNN",
        "AveragePool",
        "GlobalAveragePool",
        "MaxPool",
        "LpPool",
        "LRN",
        "Resize",
        "GridSample",
        "InstanceNormalization",
        "LayerNormalization",
        "GroupNormalization",
        "Erf",
    };

    /// <summary>Operators for which the order of equal elements is undefined: torch's own order changes with the
    /// size.</summary>
    private static readonly HashSet<string> OrderOfTies = new(StringComparer.Ordinal) { "TopK" };

    /// <summary>The caller's example, for the report.</summary>
    private const string ExampleName = "the example";

    /// <summary>Added to the message if the order of equal elements explains the difference.</summary>
    private const string OfTies =
        " TorchSharp does not define which of several equal elements comes first unless asked to: sort with "
        + "stable: true, or add a small number to make them distinct.";

    /// <summary>Computes the reference results.</summary>
    private readonly ReferenceModel reference;

    /// <summary>Finds the operation that differs by itself.</summary>
    private readonly IsolatedOperations operations;

    /// <summary>The graph's traces, for names and dtypes.</summary>
    private readonly TracedGraph traced;

    /// <summary>Generates inputs, and knows which sizes forward accepts.</summary>
    private readonly ModelCapture capture;

    /// <summary>
    /// By output: the relative tolerance that float16 or bfloat16 in its computation requires at least; 0 if there is
    /// none.
    /// </summary>
    private readonly double[] precisions;

    /// <summary>Inputs with the module's outputs; their tensors are disposed with this object.</summary>
    private readonly List<VerificationCase> cases = [];

    /// <summary>One line per comparison, for the report.</summary>
    private readonly List<string> runs = [];

    /// <summary>Differences that are not errors, for the report.</summary>
    private readonly List<string> notes = [];

    /// <summary>The largest differences so far, by output.</summary>
    private readonly Dictionary<string, OutputParity> parity = new(StringComparer.Ordinal);

    /// <summary>Runs the module on all inputs for which files will be compared.</summary>
    /// <param name="reference">Computes the reference results.</param>
    /// <param name="capture">The capture with the traced sizes.</param>
    /// <param name="traced">Its trace.</param>
    /// <param name="operations">Compares single operations.</param>
    /// <param name="options">Additional examples and the seed.</param>
    /// <param name="hasFormulas">Whether the graph does arithmetic on sizes.</param>
    public ModelVerifier(
        ReferenceModel reference,
        ModelCapture capture,
        TracedGraph traced,
        IsolatedOperations operations,
        ExportOptions options,
        bool hasFormulas
    )
    {
        this.reference = reference;
        this.capture = capture;
        this.traced = traced;
        this.operations = operations;
        var low = LowPrecision.Find(traced);
        precisions = [.. traced.Outputs.Select(output => low.ToleranceOf(output.Value, 0))];
        AddExamples(options);
        var random = new Random(options.Seed ^ 0x5EED);
        var isCheap = capture.Exploration.Work < CheapWork;
        foreach (var alternatives in new HeldOutSizes(capture.Exploration, options.Seed).Choose(isCheap, hasFormulas))
            AddFirstThatRuns(alternatives, random);
        foreach (var (point, _) in traced.Shortcuts)
            AddFirstThatRuns([point], random);
        AddSpecialValues(random);
    }

    /// <summary>The measurements so far.</summary>
    public ParityReport Report =>
        new([.. parity.Values], runs, Environment)
        {
            Notes = notes,
            LeftOut = [.. capture.Exploration.LeftOut.Select(one => $"{one.Sizes}: {one.Reason}")],
        };

    /// <summary>Random inputs of the model at small sizes, for measuring layers one by one.</summary>
    public IReadOnlyList<Tensor> TypicalInputs =>
        cases.Last(one => one.Kind == InputKind.Random && !one.IsExpensive && !one.IsEmpty).Inputs;

    /// <summary>Operating system, processor and versions.</summary>
    public static string Environment =>
        $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}, {System.Environment.ProcessorCount} processors, "
        + $".NET {System.Environment.Version}, TorchSharp "
        + $"{typeof(torch).Assembly.GetName().Version?.ToString(3)}, ONNX Runtime "
        + $"{typeof(Microsoft.ML.OnnxRuntime.InferenceSession).Assembly.GetName().Version?.ToString(3)}";

    /// <summary>Compares a file with ONNX Runtime's graph optimizations turned off and on; the unfolded graph, which
    /// is only used internally, is compared without them.</summary>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="path">The ONNX file.</param>
    /// <param name="variant">Name of the variant, for the report: folded, unfolded.</param>
    /// <param name="relativeTolerance">Relative tolerance, as a share of a value's scale.</param>
    /// <param name="isTwin">Whether it is the unfolded graph, which is compared only at the smaller sizes.</param>
    /// <exception cref="ParityException">An output differs.</exception>
    /// <exception cref="UntracedSizeException">An output differs at a size that was not traced.</exception>
    public void Verify(OnnxGraph graph, string path, string variant, double relativeTolerance, bool isTwin)
    {
        var names = graph.Outputs.Select(output => output.Name).ToArray();
        foreach (var optimize in isTwin ? (bool[])[false] : [false, true])
        {
            MemoryRelief.Release();
            var isLarge = new FileInfo(path).Length > LargeFile;
            using var ort = Load(path, optimize, isLarge, variant);
            if (!ort.OutputNames.SequenceEqual(names))
                throw new ParityException(
                    $"{variant}: the outputs are [{string.Join(", ", ort.OutputNames)}], expected [{string.Join(", ", names)}]"
                );
            var optimizations =
                !optimize ? "off"
                : isLarge ? "on, without the blocked layout"
                : "on";
            for (var index = 0; index < cases.Count; index++)
            {
                if (cases[index].IsExpensive && (!optimize || isTwin))
                    continue;
                var run = $"{variant}, optimizations {optimizations}, {cases[index].Name}";
                Compare(run, ort, index, relativeTolerance, graph, path);
                runs.Add(run);
            }
        }
    }

    /// <summary>Runs a file that draws its own random numbers, and checks that the outputs have the module's shapes
    /// and dtypes.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <exception cref="ParityException">They differ, or the file does not run.</exception>
    public void CheckShapes(string path)
    {
        using var ort = Load(path, optimize: true, isLarge: true, "drawing");
        foreach (var one in cases.Where(one => !one.IsExpensive && !one.IsSpecial))
        {
            using var scope = NewDisposeScope();
            Tensor[] actual;
            try
            {
                actual = ort.Run([.. one.Inputs.Take(ort.InputNames.Count)]);
            }
            catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException error)
            {
                throw new ParityException($"ONNX Runtime fails on the graph ({one.Name}): {error.Message}", error);
            }

            foreach (var (own, expected) in actual.Zip(one.Expected))
            {
                if (own.dtype != expected.dtype || !own.shape.SequenceEqual(expected.shape))
                    throw new ParityException(
                        $"the file that draws random numbers returns {own.dtype} "
                            + $"[{string.Join(", ", own.shape)}], {one.Name}; the module "
                            + $"returns {expected.dtype} [{string.Join(", ", expected.shape)}]"
                    );
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var one in cases)
            one.Dispose();
    }

    // ---- cases ---------------------------------------------------------------------------------------------------------------

    /// <summary>Adds the caller's example and the additional examples.</summary>
    /// <param name="options">Options with the additional examples.</param>
    private void AddExamples(ExportOptions options)
    {
        var symbols = capture.Exploration.Symbols;
        var point = symbols.Example;
        Add(ExampleName, point, InputKind.Random, [.. symbols.Inputs.Select(input => input.Example)]);
        foreach (var (example, i) in options.MoreExamples.Select((example, i) => (example, i)))
            Add($"example {i + 2}", point, InputKind.Random, example);
    }

    /// <summary>Adds a case with random inputs at the first point that forward accepts.</summary>
    /// <param name="alternatives">Points in the order in which they are tried; a point that already has a case ends
    /// the search.</param>
    /// <param name="random">Draws the inputs.</param>
    private void AddFirstThatRuns(IReadOnlyList<SizePoint> alternatives, Random random)
    {
        foreach (var point in alternatives.Distinct())
        {
            if (
                cases.Any(one =>
                    one.Kind == InputKind.Random
                    && (one.Name != ExampleName || capture.Exploration.WorkAt(point) > LongWork)
                    && one.Point.Equals(point)
                    && point.Sizes.Count > 0
                )
            )
                return;
            if (TryAdd(point, random, InputKind.Random, capture.Exploration.LeaveOut))
                return;
        }
    }

    /// <summary>
    /// Adds one case for each kind of special values: NaN, infinities, zeros, ties, masks that hide everything, large
    /// integers.
    /// </summary>
    /// <param name="random">Source of the values that are not special.</param>
    private void AddSpecialValues(Random random)
    {
        var symbols = capture.Exploration.Symbols;
        // Two rows, so that ties and masks differ between them, unless they are expensive: random inputs also check
        // that rows are not mixed. Values that forward rejects are left out.
        var rows = Enumerable.Range(0, symbols.Names.Count).FirstOrDefault(symbols.IsRows, -1);
        var point =
            rows >= 0
            && capture.Exploration.MayRun(symbols.Example.With(rows, 2))
            && capture.Exploration.WorkAt(symbols.Example.With(rows, 2)) < LongWork
                ? symbols.Example.With(rows, 2)
                : symbols.Example;
        foreach (
            var kind in Enum.GetValues<InputKind>()
                .Where(kind =>
                    kind != InputKind.Random && (kind != InputKind.LargeIntegers || capture.Maker.HasIntegers)
                )
        )
            TryAdd(point, random, kind, (_, _) => { });
        if (rows >= 0)
            TryAdd(symbols.Example.With(rows, 0), random, InputKind.Random, (_, _) => { });
    }

    /// <summary>Adds a case with generated inputs, if forward accepts them.</summary>
    /// <param name="point">Sizes of the free axes.</param>
    /// <param name="random">Draws the inputs.</param>
    /// <param name="kind">Kind of the inputs.</param>
    /// <param name="leaveOut">Called with a point that forward rejects.</param>
    /// <returns>Whether forward accepted it.</returns>
    private bool TryAdd(SizePoint point, Random random, InputKind kind, Action<SizePoint, Exception> leaveOut)
    {
        if (capture.Exploration.IsTooLarge(point))
            return false;
        using var scope = NewDisposeScope();
        var inputs = capture.Maker.Make(capture.Exploration.Symbols, point, random, kind);
        try
        {
            Add(NameOf(point, kind), point, kind, inputs);
            return true;
        }
        catch (Exception error) when (error is not ExportException and not OutOfMemoryException)
        {
            leaveOut(point, error);
            return false;
        }
    }

    /// <summary>A case's name for the report.</summary>
    /// <param name="point">Sizes of the free axes.</param>
    /// <param name="kind">Kind of the inputs.</param>
    private string NameOf(SizePoint point, InputKind kind)
    {
        var content = kind switch
        {
            InputKind.NotANumber => "with NaN",
            InputKind.Infinities => "with infinities",
            InputKind.LargeIntegers => "large integers",
            _ => $"{kind}".ToLowerInvariant(),
        };
        return point.Sizes.Count == 0 ? content : $"{content}, {capture.Exploration.Symbols.Describe(point)}";
    }

    /// <summary>Runs the module on inputs and keeps its outputs.</summary>
    /// <param name="name">Name of the case, for the report.</param>
    /// <param name="point">Sizes of the free axes.</param>
    /// <param name="kind">Kind of the inputs.</param>
    /// <param name="inputs">The inputs, which are copied; the caller keeps ownership.</param>
    private void Add(string name, SizePoint point, InputKind kind, Tensor[] inputs)
    {
        var work = capture.Exploration.WorkAt(point);
        var isExpensive = work > (kind == InputKind.Random ? ExpensiveWork : CheapWork);
        Tensor[] kept = [.. inputs.Select(input => input.detach().clone().DetachFromDisposeScope())];
        try
        {
            var ranOnce = isExpensive || work > LongWork;
            var (expected, drawn) = reference.Run(kept, ranOnce);
            cases.Add(new VerificationCase(name, point, kind, [.. kept, .. drawn], expected, isExpensive, ranOnce));
        }
        catch
        {
            foreach (var tensor in kept)
                tensor.Dispose();
            throw;
        }

        if (work > CheapWork)
            MemoryRelief.Release();
    }

    /// <summary>The same case, with outputs that the module computed twice with the same result.</summary>
    /// <param name="one">A case for which the module ran once; it is disposed.</param>
    private VerificationCase RunAgain(VerificationCase one)
    {
        Tensor[] inputs = [.. one.Inputs.Take(capture.Exploration.Symbols.Inputs.Count)];
        var (expected, drawn) = reference.Run(inputs, isOnce: false);
        foreach (var tensor in one.Inputs.Skip(inputs.Length).Concat(one.Expected))
            tensor.Dispose();
        return one with { Inputs = [.. inputs, .. drawn], Expected = expected, RanOnce = false };
    }

    // ---- comparing -----------------------------------------------------------------------------------------------------------

    /// <summary>Loads a file; a file that ONNX Runtime rejects counts as a difference too.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <param name="optimize">Whether ONNX Runtime may optimize the graph.</param>
    /// <param name="isLarge">Whether to keep only one layout of the weights.</param>
    /// <param name="variant">Name of the variant, for the message.</param>
    /// <returns>An open session; the caller disposes it.</returns>
    /// <exception cref="ParityException">ONNX Runtime cannot load the file.</exception>
    private static OrtModel Load(string path, bool optimize, bool isLarge, string variant)
    {
        try
        {
            return new OrtModel(path, optimize, isLarge);
        }
        catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException error)
        {
            throw new ParityException($"ONNX Runtime cannot load the {variant} graph: {error.Message}", error);
        }
    }

    /// <summary>Compares one case; a difference caused by the runtime itself becomes a note.</summary>
    private void Compare(string run, OrtModel ort, int index, double relativeTolerance, OnnxGraph graph, string path)
    {
        var one = cases[index];
        if (Difference(run, ort, one, relativeTolerance) is not { } difference)
            return;
        if (one.RanOnce)
        {
            // Before the file is reported as wrong, check that the module computes the same result twice.
            one = cases[index] = RunAgain(one);
            if (Difference(run, ort, one, relativeTolerance) is not { } again)
                return;
            difference = again;
        }

        if (
            one.IsEmpty
            || IsIndexThatTorchDoesNotCheck(one, difference)
            || (one.Kind != InputKind.Random && IsOfTheRuntime(one, graph, path))
        )
        {
            var note = $"{one.Name}: {difference.Message}";
            if (!notes.Contains(note))
                notes.Add(note);
            return;
        }

        if (traced.Shortcuts.FirstOrDefault(shortcut => shortcut.Point.Equals(one.Point)).Refusal is { } otherPath)
            throw otherPath;
        if (!capture.Exploration.IsTraced(one.Point))
            throw new UntracedSizeException(one.Point, difference);
        throw new ParityException($"{difference.Message}{FirstThatDiffers(graph, path, one.Inputs)}", difference)
        {
            Report = Report,
        };
    }

    /// <summary>Whether a large integer is an index outside a tensor, which ONNX Runtime rejects while TorchSharp
    /// reads whatever memory is there.</summary>
    /// <param name="one">The case that fails.</param>
    /// <param name="difference">The failure.</param>
    private static bool IsIndexThatTorchDoesNotCheck(VerificationCase one, ParityException difference) =>
        one.Kind == InputKind.LargeIntegers
        && difference.InnerException is Microsoft.ML.OnnxRuntime.OnnxRuntimeException error
        && (
            error.Message.Contains("Out of range value in index", StringComparison.Ordinal)
            || error.Message.Contains("out of data bounds", StringComparison.Ordinal)
        );

    /// <summary>The difference in one case; null if all outputs are within tolerance.</summary>
    /// <param name="run">Description of the run, for the message.</param>
    /// <param name="ort">The file.</param>
    /// <param name="one">Inputs and reference outputs.</param>
    /// <param name="relativeTolerance">Relative tolerance, as a share of an element's scale.</param>
    private ParityException? Difference(string run, OrtModel ort, VerificationCase one, double relativeTolerance)
    {
        Tensor[] actual;
        try
        {
            actual = ort.Run([.. one.Inputs.Take(ort.InputNames.Count)]);
        }
        catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException error)
        {
            return new ParityException($"ONNX Runtime fails on the graph ({run}): {error.Message}", error);
        }

        try
        {
            for (var index = 0; index < one.Expected.Length; index++)
            {
                var allowed = Math.Max(relativeTolerance, precisions[index]);
                var comparison = TensorComparer.Compare(actual[index], one.Expected[index], allowed);
                if (comparison.Difference is not null)
                    return new ParityException(
                        "the exported graph does not compute what the module computes. Output "
                            + $"'{ort.OutputNames[index]}', {run}: {comparison.Difference}. {Environment}"
                    );
                if (!one.IsSpecial)
                    Merge(ort.OutputNames[index], comparison, allowed);
            }

            return null;
        }
        finally
        {
            foreach (var tensor in actual)
                tensor.Dispose();
        }
    }

    /// <summary>Whether special values differ only because of operators whose order is up to the runtime.</summary>
    /// <param name="one">The case that differs.</param>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="path">The file.</param>
    private bool IsOfTheRuntime(VerificationCase one, OnnxGraph graph, string path)
    {
        var tolerated = one.IsSpecial
            ? OrderOfTheirOwn.Concat(OrderOfTies).ToHashSet(StringComparer.Ordinal)
            : OrderOfTies;
        ValueParity[] differing;
        try
        {
            differing = [.. operations.Compare(graph, path, one.Inputs).Where(value => value.Difference is not null)];
        }
        catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException)
        {
            return false;
        }

        // If no operation differs by itself, the cause is ONNX Runtime's own graph rewriting, or the fold: a scale of
        // zero times an infinity. And the sine of a large integer turns a rounding error of its argument into an
        // arbitrary number.
        return one.IsSpecial || one.Kind == InputKind.LargeIntegers
            ? differing.All(IsTolerated)
            : differing.Length > 0 && differing.All(IsTolerated);

        bool IsTolerated(ValueParity value) =>
            IsolatedOperations.OperatorsOf(graph, value.Value).Overlaps(tolerated)
            || (one.IsSpecial && ReadsComplex(value));

        // In a product of complex numbers, how a NaN or an infinity spreads from one part to the other depends on the
        // implementation.
        bool ReadsComplex(ValueParity value) =>
            graph.Origins.TryGetValue(value.Value, out var id)
            && traced.Ops.Any(op =>
                op.Results.Contains(id)
                && ValueRef
                    .In(op.Arguments)
                    .Any(reference => Lowering.ComplexPairs.IsComplex(traced.Values[reference.Id].Type))
            );
    }

    /// <summary>
    /// Describes the first operation that differs, for a message.
    /// </summary>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="path">The file.</param>
    /// <param name="inputs">Inputs of the case that differs.</param>
    private string FirstThatDiffers(OnnxGraph graph, string path, IReadOnlyList<Tensor> inputs)
    {
        try
        {
            return
                operations.Compare(graph, path, inputs).FirstOrDefault(value => value.Difference is not null)
                    is { } first
                ? $"{(IsolatedOperations.OperatorsOf(graph, first.Value).Overlaps(OrderOfTies) ? OfTies : "")}"
                    + " The first operation that differs: "
                    + $"{(first.ModulePath.Length == 0 ? "the model" : first.ModulePath)} "
                    + $"{first.Operation}{(first.Place is null ? "" : $" ({first.Place})")}, value "
                    + $"'{first.Value}', of {string.Join(" and ", first.Inputs)}; module: {first.Expected}; "
                    + $"file: {first.Actual}; {first.Difference}."
                : " Every operation by itself agrees with the module: the cause is accumulated rounding, or "
                    + "something between the operations.";
        }
        catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException error)
        {
            return $" (The operations could not be compared one by one: {error.Message})";
        }
    }

    /// <summary>
    /// Whether every operation of a file agrees with the module when it is given the module's own values.
    /// </summary>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="path">The file.</param>
    public bool AgreesByOperation(OnnxGraph graph, string path)
    {
        try
        {
            return operations.Compare(graph, path, TypicalInputs).All(value => value.Difference is null);
        }
        catch (Microsoft.ML.OnnxRuntime.OnnxRuntimeException)
        {
            return false;
        }
    }

    /// <summary>Merges a comparison into the parity of an output.</summary>
    /// <param name="output">The output's name.</param>
    /// <param name="comparison">Comparison of one case.</param>
    /// <param name="tolerance">Relative tolerance of the comparison.</param>
    private void Merge(string output, Comparison comparison, double tolerance)
    {
        var known = parity.GetValueOrDefault(output)
            ?? new OutputParity(output, 0, 0, 0, 0, 0, comparison.TopOneAgreement is null ? null : 0);
        parity[output] = known with
        {
            LargestAbsolute = Math.Max(known.LargestAbsolute, comparison.LargestAbsolute),
            LargestRelative = Math.Max(known.LargestRelative, comparison.LargestRelative),
            LargestValue = Math.Max(known.LargestValue, comparison.LargestValue),
            Tolerance = Math.Max(known.Tolerance, tolerance * comparison.LargestValue),
            Rows = known.Rows + comparison.Rows,
            TopOneAgreement =
                known.TopOneAgreement is { } top && comparison.TopOneAgreement is { } more ? top + more : null,
        };
    }
}
