using System.Diagnostics;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Folding;
using TorchBridge.Export.Lowering;
using TorchBridge.Export.Native;
using TorchBridge.Export.Sizes;
using TorchBridge.Export.Verification;
using TorchBridge.Onnx;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>One export: capture, lower, fold, write under a temporary name, verify, rename.</summary>
/// <param name="model">Any module; its state is restored afterwards.</param>
/// <param name="examples">One tensor per tensor argument of forward.</param>
/// <param name="path">Path of the file to write.</param>
/// <param name="options">Options of the export.</param>
internal sealed class ExportRun(nn.Module model, Tensor[] examples, string path, ExportOptions options)
{
    /// <summary>Time of each phase so far, for the report.</summary>
    private readonly Dictionary<string, TimeSpan> phases = new(StringComparer.Ordinal);

    /// <summary>Most additional traces that are run to decide between candidate formulas of sizes.</summary>
    private const int FurtherTraces = 16;

    /// <summary>BatchNorms that are kept because folding would make them inexact: the reason by node name.</summary>
    private readonly Dictionary<string, string> keep = new(StringComparer.Ordinal);

    /// <summary>Relative tolerance for a value, as a share of its scale; ill-conditioned layers of the unfolded graph
    /// may need more than usual.</summary>
    private double tolerance = Tolerance.Usual;

    /// <summary>Runs the whole export.</summary>
    /// <returns>What was captured, folded and measured; the file has been written by then.</returns>
    /// <exception cref="ExportException">Something in forward cannot be exported, or the file cannot be
    /// written.</exception>
    /// <exception cref="ParityException">The file would not compute what the module computes.</exception>
    public ExportReport Run()
    {
        var plan = ForwardPlan.Find(model, examples.Length, options.Arguments.AsReadOnly());
        var inputs = NameInputs(plan);
        using var tracer = new ModelTracer(model, plan, IsLeaf, options.RandomNumbers, options.Seed);
        try
        {
            return RunIndependentOrTied(tracer, inputs);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new ExportException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>
    /// Exports with every free axis varying independently. If that fails although forward runs, and axes of different
    /// inputs have the same size in the example, these axes are tied to each other and the export is retried once;
    /// the report says so.
    /// </summary>
    /// <param name="tracer">Runs forward.</param>
    /// <param name="inputs">Examples with their names.</param>
    /// <exception cref="ExportException">It fails with the axes tied as well, or there is nothing to tie; the first
    /// error is thrown.</exception>
    private ExportReport RunIndependentOrTied(ModelTracer tracer, (string Name, Tensor Tensor)[] inputs)
    {
        var symbols = SizeSymbols.Name(inputs, options.FreeAxes.AsReadOnly(), options.AxisNames.AsReadOnly());
        var capture = Timed("capture", () => new ModelCapture(tracer, inputs, symbols, options));
        Timed("capture", capture.CheckThatCallsAreIndependent);
        try
        {
            return WriteDecided(tracer, capture);
        }
        catch (ExportException independent) when (capture.Exploration.Symbols.TiedAcrossInputs(independent) is not null)
        {
            try
            {
                var tied = capture.Exploration.Symbols.TiedAcrossInputs(independent)!;
                return WriteDecided(tracer, Timed("capture", () => new ModelCapture(tracer, inputs, tied, options)));
            }
            catch (ExportException)
            {
                throw independent;
            }
        }
    }

    /// <summary>Lowers and writes; if a formula of sizes is undecided, or wrong at a size that was not traced,
    /// repeats both with one more trace.</summary>
    /// <param name="tracer">Runs forward.</param>
    /// <param name="capture">Runs the additional traces.</param>
    private ExportReport WriteDecided(ModelTracer tracer, ModelCapture capture)
    {
        string? wrongGraph = null;
        for (var attempt = 0; ; attempt++)
        {
            var takesFirst = attempt > FurtherTraces;
            var traced = Timed("capture", () => capture.Merge(takesFirst));
            OnnxGraph? unfolded = null;
            try
            {
                unfolded = Timed("lower", () => Lower(traced));
                keep.Clear();
                return WriteVerified(tracer, capture, traced, unfolded);
            }
            catch (UndecidedSizeException undecided)
            {
                if (takesFirst)
                    throw undecided.Refusal;
                Timed("capture", () =>
                    undecided.Point is { } point ? capture.Exploration.Try(point) : capture.Exploration.TryAnother()
                );
            }
            catch (UntracedSizeException wrong)
            {
                // An additional trace that changes no formula cannot fix the failure.
                var graph = GraphText.Of(unfolded!);
                if (graph == wrongGraph)
                    throw wrong.Difference;
                wrongGraph = graph;
                if (attempt > 2 * FurtherTraces || !Timed("capture", () => capture.Exploration.Try(wrong.Point)))
                    throw wrong.Difference;
            }
        }
    }

    /// <summary>Whether a graph does arithmetic on sizes, beyond reading them.</summary>
    /// <param name="graph">The lowered graph.</param>
    private static bool HasFormulas(OnnxGraph graph)
    {
        var sizes = new HashSet<string>(StringComparer.Ordinal);
        foreach (var node in graph.Nodes)
        {
            if (node.OpType is "Shape" || (node.OpType is "Gather" or "Cast" && sizes.Contains(node.Inputs[0])))
                sizes.UnionWith(node.Outputs);
            else if (node.OpType is "Add" or "Sub" or "Mul" or "Div" or "Mod" or "Min" or "Max" or "Sqrt")
            {
                if (node.Inputs.Any(sizes.Contains))
                    return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Whether a module is recorded as a single operation because the caller or the exporter has a lowering for it;
    /// otherwise its forward is entered.
    /// </summary>
    /// <param name="module">Any.</param>
    private bool IsLeaf(nn.Module module) =>
        options.Lowerings.Modules.ContainsKey(module.GetType()) || OperatorTable.Default.Find(module) is not null;

    /// <summary>Lowers a captured graph to nodes, folds constants, and removes nodes that nothing reads.</summary>
    /// <param name="traced">What forward does at every size.</param>
    private OnnxGraph Lower(TracedGraph traced)
    {
        // In eval mode, because lowerings may run a module to find an option that TorchSharp does not expose.
        using var mode = new EvalMode(new ModelMap(model).Paths.Keys);
        var graph = new GraphBuilder(traced, options.Opset, options.ModuleOptions)
        {
            DrawsNumbers = options.RandomNumbers == RandomNumbers.Drawn,
        }.Build(OperatorTable.Default, options.Lowerings.Modules, options.Lowerings.Methods, options.OutputNames);
        ConstantFolding.Fold(graph);
        GraphCleaner.Clean(graph);
        return graph;
    }

    /// <summary>
    /// Folds, writes and verifies; if folding makes a layer inexact, repeats this without folding that layer. Only a
    /// verified file is moved to its final path.
    /// </summary>
    /// <param name="tracer">Runs forward.</param>
    /// <param name="capture">Gives the sizes at which the file is compared.</param>
    /// <param name="traced">The merged traces.</param>
    /// <param name="unfolded">Their graph; it is not changed.</param>
    /// <exception cref="ParityException">The file does not compute what the module computes.</exception>
    private ExportReport WriteVerified(ModelTracer tracer, ModelCapture capture, TracedGraph traced, OnnxGraph unfolded)
    {
        var operations = new IsolatedOperations(tracer, traced);
        var draws = RandomDraws.In(traced, unfolded);
        // A graph that draws random numbers cannot be compared, so the same graph is compared with the module's
        // numbers fed as inputs.
        OnnxGraph Given(OnnxGraph graph) => draws.Count == 0 ? graph : RandomDraws.AsInputs(graph, traced, draws);
        using var verifier = options.Verify
            ? Timed("verify", () => Verifier(tracer, capture, traced, operations, draws, HasFormulas(unfolded)))
            : null;
        var twinIsVerified = false;
        while (true)
        {
            var (graph, fold) = Timed("fold", () => Fold(unfolded));
            options.BeforeWriting?.Invoke(unfolded, graph);
            var variant = fold.Layers.Count > 0 ? "folded" : "as captured";
            using var file = new StagedModel(path, graph, options.ExternalDataThreshold);
            Timed("infer shapes", () => ShapeInference.Complete(graph, Path.GetDirectoryName(file.ModelPath)!));
            Timed("write", () => file.Write(options.Metadata.AsReadOnly()));
            if (verifier is not null)
            {
                var compared = Given(graph);
                using var copy =
                    draws.Count == 0 ? null : new StagedModel($"{path}.given", compared, options.ExternalDataThreshold);
                copy?.Write();
                var check = Timed("verify", () => new InitializerCheck(ModuleTensors(), unfolded, graph, fold.Layers));
                file.DropComputedTensors();
                MemoryRelief.Release();
                if (fold.Layers.Count > 0 && !twinIsVerified)
                {
                    // The unfolded graph first: a wider tolerance that its layers need applies to the folded file as
                    // well.
                    Timed("verify", () => VerifyTwin(verifier, Given(unfolded), fold));
                    twinIsVerified = true;
                }

                var comparedPath = copy?.ModelPath ?? file.ModelPath;
                if (!Timed("verify", () => Holds(verifier, Given(unfolded), compared, fold, comparedPath, variant)))
                    continue;
                if (draws.Count > 0)
                    Timed("verify", () => verifier.CheckShapes(file.ModelPath));
                // Last, because otherwise its float64 tensors would be in memory together with ONNX Runtime's copies
                // of the weights.
                MemoryRelief.Release();
                Timed("verify", () => check.Check(file.ModelPath));
            }

            var values =
                options.Explain && draws.Count == 0
                    ? Timed("explain", () =>
                        operations.Compare(graph, file.ModelPath, [.. traced.Inputs.Select(input => input.Example)])
                    )
                    : [];
            var report = Report(tracer, capture, traced, graph, fold, file, verifier, values);
            // Measurements are added to the metadata only, so the graph's bytes are the ones that were verified.
            file.Commit(options.LateMetadata?.Invoke(report));
            return report;
        }
    }

    /// <summary>A folded copy of the graph, with what was folded and what was refused.</summary>
    /// <param name="unfolded">The lowered graph; it is not changed.</param>
    private (OnnxGraph Graph, FoldResult Result) Fold(OnnxGraph unfolded)
    {
        var graph = unfolded.Copy();
        if (!options.FoldBatchNorm)
            return (graph, FoldResult.None);
        var result = BatchNormFolding.Fold(graph, keep);
        GraphCleaner.Clean(graph);
        return (graph, result);
    }

    /// <summary>Creates the verifier that compares files with the module.</summary>
    /// <param name="tracer">Runs forward.</param>
    /// <param name="capture">Provides the sizes and generates the inputs.</param>
    /// <param name="traced">The merged traces.</param>
    /// <param name="operations">Compares single operations.</param>
    /// <param name="draws">Values that forward draws at random, with the names of the inputs that replace
    /// them.</param>
    /// <param name="hasFormulas">Whether the graph does arithmetic on sizes, so that more sizes must be
    /// tried.</param>
    /// <returns>Disposed by the caller.</returns>
    private ModelVerifier Verifier(
        ModelTracer tracer,
        ModelCapture capture,
        TracedGraph traced,
        IsolatedOperations operations,
        IReadOnlyList<(int Id, string Name)> draws,
        bool hasFormulas
    )
    {
        var reference = new ReferenceModel(
            tracer,
            [.. traced.Inputs.Select(input => input.Name)],
            [.. draws.Select(draw => draw.Id)]
        );
        return new ModelVerifier(reference, capture, traced, operations, options, hasFormulas);
    }

    /// <summary>Verifies the graph before folding, with the tolerance that the conditioning of its layers
    /// requires.</summary>
    /// <param name="verifier">Compares with TorchSharp.</param>
    /// <param name="unfolded">The lowered graph.</param>
    /// <param name="fold">What was folded.</param>
    private void VerifyTwin(ModelVerifier verifier, OnnxGraph unfolded, FoldResult fold)
    {
        using var twin = new StagedModel($"{path}.unfolded", unfolded, options.ExternalDataThreshold);
        twin.Write();
        try
        {
            verifier.Verify(unfolded, twin.ModelPath, "unfolded", tolerance, isTwin: true);
        }
        catch (ParityException)
        {
            // The wider tolerance only allows for rounding errors that an ill-conditioned layer amplifies: each
            // operation by itself must meet the usual tolerance.
            var needed = FoldConditioning.Tolerance(tolerance, Conditions(unfolded, fold, verifier));
            if (needed <= tolerance || !verifier.AgreesByOperation(unfolded, twin.ModelPath))
                throw;
            tolerance = needed;
            verifier.Verify(unfolded, twin.ModelPath, "unfolded", tolerance, isTwin: true);
        }
    }

    /// <summary>Verifies the final file. False if it misses a tolerance that the unfolded graph meets, because of
    /// rounding alone; the BatchNorms responsible are then kept from now on.</summary>
    /// <param name="verifier">Compares.</param>
    /// <param name="unfolded">The graph before folding.</param>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="fold">What folding did.</param>
    /// <param name="file">The file.</param>
    /// <param name="variant">Which one it is, for messages.</param>
    private bool Holds(
        ModelVerifier verifier,
        OnnxGraph unfolded,
        OnnxGraph graph,
        FoldResult fold,
        string file,
        string variant
    )
    {
        try
        {
            verifier.Verify(graph, file, variant, tolerance, isTwin: false);
            return true;
        }
        catch (ParityException) when (fold.Layers.Count > 0 && KeepWorst(unfolded, fold, verifier))
        {
            return false;
        }
    }

    /// <summary>
    /// How ill-conditioned the folded layers are; empty if the graph does not run.
    /// </summary>
    private static IReadOnlyList<LayerCondition> Conditions(OnnxGraph unfolded, FoldResult fold, ModelVerifier verifier)
    {
        try
        {
            return FoldConditioning.Measure(unfolded, fold.Layers, verifier.TypicalInputs);
        }
        catch (Exception error) when (error is Microsoft.ML.OnnxRuntime.OnnxRuntimeException or InvalidDataException)
        {
            // a graph that does not run, or is too large for memory, has no condition; what failed is reported by the
            // caller
            return [];
        }
    }

    /// <summary>
    /// Marks the BatchNorms of the layers that folding degrades most to be kept; false if folding degrades none.
    /// </summary>
    /// <param name="unfolded">The lowered graph.</param>
    /// <param name="fold">What was folded.</param>
    /// <param name="verifier">Compares with TorchSharp.</param>
    private bool KeepWorst(OnnxGraph unfolded, FoldResult fold, ModelVerifier verifier)
    {
        var conditions = Conditions(unfolded, fold, verifier);
        var worst = conditions.Select(condition => condition.Error).DefaultIfEmpty(0).Max();
        // A correct fold changes only rounding errors; a wrong one is a bug in the exporter and must not be hidden by
        // leaving it out. And a fold that changes almost nothing cannot be why the outputs miss their tolerance.
        if (worst < tolerance / 10 || conditions.Any(condition => !condition.IsRounding))
            return false;
        var kept = 0;
        foreach (var condition in conditions.Where(condition => condition.Error >= worst / 2))
        {
            foreach (var step in condition.Layer.Steps.Where(step => step.Affine.IsBatchNorm))
            {
                keep[step.Affine.Node.Name] = string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"ill-conditioned: the sum's terms are {Numbers.Short(condition.Condition)} times its "
                        + $"result, and folding changes it by {Numbers.Short(condition.Error)} of its largest value"
                );
                kept++;
            }
        }

        return kept > 0;
    }

    /// <summary>
    /// Parameters and buffers by state-dict key: the file's tensors are compared with them bit for bit.
    /// </summary>
    private Dictionary<string, Tensor> ModuleTensors()
    {
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        foreach (var (name, parameter) in model.named_parameters())
            tensors[name] = parameter;
        foreach (var (name, buffer) in model.named_buffers())
            tensors[name] = buffer;
        return tensors;
    }

    /// <summary>Builds the report.</summary>
    /// <param name="tracer">Knows unregistered modules and changed state.</param>
    /// <param name="capture">Knows what was traced and left out.</param>
    /// <param name="traced">The merged traces.</param>
    /// <param name="graph">The graph that was written.</param>
    /// <param name="fold">What folding did.</param>
    /// <param name="file">The file, before it is moved to its final path.</param>
    /// <param name="verifier">What was measured; null if nothing was verified.</param>
    /// <param name="values">Comparisons operation by operation; empty if not requested.</param>
    private ExportReport Report(
        ModelTracer tracer,
        ModelCapture capture,
        TracedGraph traced,
        OnnxGraph graph,
        FoldResult fold,
        StagedModel file,
        ModelVerifier? verifier,
        IReadOnlyList<ValueParity> values
    ) =>
        new()
        {
            Path = path,
            CapturedOps = traced.Ops.Count,
            Nodes = graph
                .Nodes.GroupBy(node => node.OpType, StringComparer.Ordinal)
                .ToDictionary(group => group.Key, group => group.Count(), StringComparer.Ordinal),
            Initializers = graph.Initializers.Count,
            InitializerBytes = file.Bytes,
            FreeAxes =
            [
                .. traced.Inputs.SelectMany(input =>
                    input
                        .Symbols.Select((symbol, axis) => (symbol, axis))
                        .Where(pair => pair.symbol is not null)
                        .Select(pair => $"{input.Name}[{pair.axis}] = {pair.symbol}")
                ),
            ],
            Notes = Notes(tracer, capture, traced, options.RandomNumbers),
            Folded = fold.Folded,
            NotFolded = fold.Refused,
            Phases = phases,
            Parity = verifier?.Report,
            Values = values,
        };

    /// <summary>
    /// What a user of the file should know: tied axes, fixed axes, unregistered modules, state that is not kept.
    /// </summary>
    /// <param name="tracer">Knows unregistered modules and changed state.</param>
    /// <param name="capture">Knows what was traced and fixed.</param>
    /// <param name="traced">The merged traces.</param>
    /// <param name="randomNumbers">How random numbers that forward draws are exported.</param>
    private static string[] Notes(
        ModelTracer tracer,
        ModelCapture capture,
        TracedGraph traced,
        RandomNumbers randomNumbers
    )
    {
        const int shown = 5;
        var notes = new List<string>(traced.Symbols.Ties);
        if (capture.Exploration.FixedBecause is { } reason)
            notes.Add(reason);
        if (tracer.Unregistered is { Count: > 0 } unregistered)
        {
            notes.Add(
                $"not registered: {string.Join(", ", unregistered.Take(shown))}"
                    + $"{(unregistered.Count > shown ? $" and {unregistered.Count - shown} more" : "")}. "
                    + "They were exported in eval mode, but the model's own eval() and state dict do not include them"
            );
        }

        foreach (var type in (ScalarType[])[ScalarType.Float16, ScalarType.BFloat16])
        {
            if (traced.Values.Any(value => value.Type == type && value.Kind == ValueKind.Result))
                notes.Add(
                    $"{(type == ScalarType.Float16 ? "float16" : "bfloat16")}: computed in float32 where ONNX Runtime has "
                        + "no kernel for it, and rounded after each operation"
                );
        }

        if (tracer.HasFixedDraws)
            notes.Add("random numbers that forward draws are constants in the file, drawn with ExportOptions.Seed");
        else if (randomNumbers == RandomNumbers.Drawn && traced.Ops.Any(op => RandomDraws.IsDraw(op.Method)))
            notes.Add(
                "the file draws new random numbers at each run; for the comparison it was given the "
                    + "numbers that the module drew"
            );

        foreach (var changed in capture.ChangedState.Take(shown))
            notes.Add($"forward writes into {changed}: at every call the file starts from the value it has now");
        return [.. notes];
    }

    /// <summary>The examples with their names; refuses invalid names and examples.</summary>
    /// <param name="plan">Provides the names if the caller gives none.</param>
    /// <exception cref="ExportException">The numbers of names and examples differ, an option names no input, or an
    /// example cannot be traced.</exception>
    private (string Name, Tensor Tensor)[] NameInputs(ForwardPlan plan)
    {
        var names = options.InputNames ?? plan.Names;
        if (names.Count != examples.Length)
            throw new ExportException(
                "",
                null,
                $"ExportOptions.InputNames has {names.Count} names, but there are {examples.Length} examples. "
                    + "Give one name per example."
            );
        foreach (var unknown in options.FreeAxes.Keys.Except(names))
            throw new ExportException(
                "",
                null,
                $"ExportOptions.FreeAxes names '{unknown}', which is not an input. The inputs are "
                    + $"{string.Join(", ", names)}."
            );
        foreach (var (example, i) in examples.Select((example, i) => (example, i)))
        {
            if (example is null || example.IsInvalid)
                throw new ExportException("", null, $"example {i + 1} is null or has been disposed");
            if (ComplexPairs.IsComplex(example.dtype))
                throw new ExportException(
                    "",
                    null,
                    $"the input '{names[i]}' is complex, and ONNX Runtime has no complex tensors. "
                        + "Pass pairs of real numbers, and begin forward with view_as_complex(…)."
                );
        }

        return [.. names.Zip(examples)];
    }

    /// <summary>Runs an action and adds its duration to a phase.</summary>
    /// <param name="phase">Name of the phase, as in the report.</param>
    /// <param name="work">The action; its time is not counted if it throws.</param>
    private T Timed<T>(string phase, Func<T> work)
    {
        var started = Stopwatch.GetTimestamp();
        var result = work();
        phases[phase] = phases.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(started);
        return result;
    }

    /// <summary>Runs an action and adds its duration to a phase.</summary>
    private void Timed(string phase, Action work) => Timed(phase, () =>
        {
            work();
            return true;
        });
}
