using System.Diagnostics;
using System.Runtime.CompilerServices;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Folding;
using TorchBridge.Export.Lowering;
using TorchBridge.Export.Native;
using TorchBridge.Export.Onnx;
using TorchBridge.Export.Verification;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>Turns TorchSharp modules into ONNX files that compute the same, or refuses.</summary>
public static class OnnxExporter
{
    private static readonly ConditionalWeakTable<nn.Module, object> Gates = [];

    /// <summary>
    /// Exports a module as it computes in eval mode. The module's weights, modes and gradients and the global random state are
    /// afterwards what they were. The file appears whole and verified, or not at all.
    /// </summary>
    /// <param name="model">Any module; its <c>forward</c> is captured by running an instrumented copy of it.</param>
    /// <param name="example">An input as <c>forward</c> takes it; axis 0 is free in the file (see <see cref="ExportOptions.FreeAxes"/>).</param>
    /// <param name="path">Where to write; an existing file is replaced only by a verified one.</param>
    /// <param name="options">How; the defaults are meant to be right.</param>
    /// <returns>What was captured, folded and measured.</returns>
    /// <exception cref="ExportException">Something in forward cannot be exported; the message names the module path and the line.</exception>
    /// <exception cref="ParityException">The file would not compute what the module computes.</exception>
    public static ExportReport Export(nn.Module model, Tensor example, string path, ExportOptions? options = null) => Export(model, [example], path, options);

    /// <summary>Exports a module that takes several tensors.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="examples">One a tensor argument of <c>forward</c>.</param>
    /// <param name="path">Where to write.</param>
    /// <param name="options">How.</param>
    /// <returns>What was captured, folded and measured.</returns>
    /// <exception cref="ExportException">Something in forward cannot be exported.</exception>
    /// <exception cref="ParityException">The file would not compute what the module computes.</exception>
    public static ExportReport Export(nn.Module model, Tensor[] examples, string path, ExportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(examples);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        options ??= new ExportOptions();
        if (options.Opset is < 17 or > 21) throw new ExportException($"ExportOptions.Opset is {options.Opset}; allowed are 17 to 21");

        // One export of a model at a time: each switches its modes and puts them back. Different models may go at once.
        lock (Gates.GetOrCreateValue(model)) return ExportAlone(model, examples, path, options);
    }

    private static ExportReport ExportAlone(nn.Module model, Tensor[] examples, string path, ExportOptions options)
    {
        var phases = new Dictionary<string, TimeSpan>(StringComparer.Ordinal);
        var inputs = NameInputs(model, examples, options);
        var table = OperatorTable.Default;
        var traced = Timed(phases, "capture", () => ForwardTracer.Trace(model, inputs, options.FreeAxes.AsReadOnly(), module => IsLeaf(module, options), options.Seed));
        MemoryRelief.Release();
        var unfolded = Timed(phases, "lower", () => Lower(model, traced, table, options));
        GraphCleaner.Clean(unfolded);

        var graph = unfolded;
        IReadOnlyList<string> folded = [];
        IReadOnlyList<FoldRefusal> refused = [];
        if (options.FoldBatchNorm)
        {
            graph = unfolded.Copy();
            (folded, refused) = Timed(phases, "fold", () => BatchNormFolding.Fold(graph));
            GraphCleaner.Clean(graph);
        }

        return WriteVerified(model, traced, graph, ReferenceEquals(graph, unfolded) ? null : unfolded, path, options, phases, folded, refused);
    }

    private static bool IsLeaf(nn.Module module, ExportOptions options) => options.Lowerings.Modules.ContainsKey(module.GetType()) || OperatorTable.Default.Find(module) is not null;

    private static OnnxGraph Lower(nn.Module model, TracedGraph traced, OperatorTable table, ExportOptions options)
    {
        // In eval mode, because lowerings may run a module to find an option that TorchSharp keeps to itself.
        using var mode = new EvalMode(new ModelMap(model).Paths.Keys);
        return new GraphBuilder(traced, options.Opset, options.ModuleOptions).Build(table, options.Lowerings.Modules, options.Lowerings.Methods, options.OutputNames);
    }

    private static ExportReport WriteVerified(nn.Module model, TracedGraph traced, OnnxGraph graph, OnnxGraph? twin, string path, ExportOptions options, Dictionary<string, TimeSpan> phases, IReadOnlyList<string> folded, IReadOnlyList<FoldRefusal> refused)
    {
        try
        {
            using var file = new StagedModel(path, graph, options.ExternalDataThreshold);
            Timed(phases, "infer shapes", () => ShapeInference.Complete(graph, path));
            Timed(phases, "write", () => file.Write(options.Metadata));
            file.DropComputedTensors();
            ParityReport? parity = null;
            if (options.Verify) parity = Timed(phases, "verify", () => Verify(model, traced, graph, twin, path, file.ModelPath, options));
            var report = new ExportReport
            {
                Path = path,
                CapturedOps = traced.Ops.Count,
                Nodes = graph.Nodes.GroupBy(node => node.OpType, StringComparer.Ordinal).ToDictionary(group => group.Key, group => group.Count(), StringComparer.Ordinal),
                Initializers = graph.Initializers.Count,
                InitializerBytes = file.Bytes,
                FreeAxes = [.. traced.Inputs.SelectMany(input => input.Symbols.Select((symbol, axis) => (symbol, axis)).Where(pair => pair.symbol is not null).Select(pair => $"{input.Name}[{pair.axis}] = {pair.symbol}"))],
                Folded = folded,
                NotFolded = refused,
                Phases = phases,
                Parity = parity,
            };
            // What was measured goes into the metadata only: the graph's bytes are those that were verified.
            file.Commit(options.Metadata, options.LateMetadata?.Invoke(report) ?? []);
            return report;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ExportException($"{path} cannot be written: {error.Message}", error);
        }
    }

    private static ParityReport Verify(nn.Module model, TracedGraph traced, OnnxGraph graph, OnnxGraph? twin, string path, string file, ExportOptions options)
    {
        MemoryRelief.Release();
        using var verifier = new ModelVerifier(model, traced.Inputs, module => IsLeaf(module, options), options.Seed);
        var names = graph.Outputs.Select(output => output.Name).ToArray();
        if (twin is not null)
        {
            // The twin first: ONNX Runtime folds it by itself when it optimizes, which takes the most memory of all.
            using var unfolded = new StagedModel($"{path}.unfolded", twin, options.ExternalDataThreshold);
            unfolded.Write([]);
            verifier.Verify(unfolded.ModelPath, "unfolded", names);
        }

        verifier.Verify(file, twin is null ? "as captured" : "folded", names);
        return verifier.Report;
    }

    private static (string Name, Tensor Tensor)[] NameInputs(nn.Module model, Tensor[] examples, ExportOptions options)
    {
        var parameters = Recorder.ForwardOf(model).GetParameters();
        if (examples.Length == 0 || examples.Length > parameters.Length)
            throw new ExportException("", null, $"{model.GetType().Name}.forward takes {parameters.Length} arguments, and {examples.Length} examples are given");
        if (options.InputNames is { } names && names.Count != examples.Length)
            throw new ExportException("", null, $"InputNames has {names.Count} names, and there are {examples.Length} examples");
        foreach (var unknown in options.FreeAxes.Keys.Except(options.InputNames ?? parameters.Select(parameter => parameter.Name!)))
            throw new ExportException("", null, $"FreeAxes names the input '{unknown}'; the inputs are {string.Join(", ", options.InputNames ?? parameters.Take(examples.Length).Select(parameter => parameter.Name!))}");
        foreach (var (example, i) in examples.Select((example, i) => (example, i)))
        {
            if (example is null || example.IsInvalid) throw new ExportException("", null, $"example {i + 1} is null or has been disposed");
        }

        return [.. examples.Select((example, i) => (options.InputNames?[i] ?? parameters[i].Name ?? $"input{i}", example))];
    }

    private static T Timed<T>(Dictionary<string, TimeSpan> phases, string phase, Func<T> work)
    {
        var started = Stopwatch.GetTimestamp();
        var result = work();
        phases[phase] = phases.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(started);
        return result;
    }

    private static void Timed(Dictionary<string, TimeSpan> phases, string phase, Action work) => Timed(phases, phase, () =>
    {
        work();
        return true;
    });
}
