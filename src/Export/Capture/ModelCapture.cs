using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Captures what a module's <c>forward</c> does: traces it at sizes that distinguish the possible size formulas, and
/// merges the traces into one graph.
/// </summary>
internal sealed class ModelCapture
{
    /// <summary>The caller's examples, which are cloned for each run; the caller keeps ownership.</summary>
    private readonly (string Name, Tensor Tensor)[] inputs;

    /// <summary>Runs forward.</summary>
    private readonly ModelTracer tracer;

    /// <summary>Determines every random input and size, so that an export is reproducible.</summary>
    private readonly int seed;

    /// <summary>Whether the file is compared with the model: only then may a trace be ignored.</summary>
    private readonly bool isVerified;

    /// <summary>Traces a model.</summary>
    /// <param name="tracer">Runs it.</param>
    /// <param name="inputs">Examples with their names.</param>
    /// <param name="symbols">The free axes.</param>
    /// <param name="options">Additional examples and the seed.</param>
    public ModelCapture(
        ModelTracer tracer,
        (string Name, Tensor Tensor)[] inputs,
        SizeSymbols symbols,
        ExportOptions options
    )
    {
        this.tracer = tracer;
        this.inputs = inputs;
        seed = options.Seed;
        isVerified = options.Verify;
        Maker = new InputMaker([.. inputs.Select(input => input.Tensor)]);
        Exploration = new SizeExploration(symbols, TraceAt, seed);
        Exploration.RunExample();
        foreach (var (input, rows) in IndexedTables.Find(Exploration.Traces[0].Trace))
            Maker.Indexes(input, rows);
        Exploration.CodeConstants = tracer.CodeConstants;
        Exploration.Explore(mayFix: options.FreeAxes.Count == 0);
        foreach (var example in options.MoreExamples)
            AddExample(example);
    }

    /// <summary>The sizes that were traced, and those that forward rejects.</summary>
    public SizeExploration Exploration { get; }

    /// <summary>Generates inputs that resemble the examples.</summary>
    public InputMaker Maker { get; }

    /// <summary>Merges the traces into one graph.</summary>
    /// <param name="takesFirst">Whether to take the first of several formulas that fit all traces, because more
    /// traces did not distinguish them.</param>
    /// <returns>Operations with sizes as formulas of the free axes.</returns>
    /// <exception cref="ExportException">The traces differ in a way that a graph cannot express; the message names
    /// the source location.</exception>
    /// <exception cref="UndecidedSizeException">Two formulas fit all traces; one more trace at the exception's point
    /// distinguishes them.</exception>
    public TracedGraph Merge(bool takesFirst) =>
        new TraceMerger(Exploration.Symbols, Exploration.Traces).Merge(
            tracer.CodeConstants,
            takesFirst ? _ => false : Exploration.MayBeTried,
            isVerified
        );

    /// <summary>State that forward changes and its next call reads: buffers and other tensors that it
    /// keeps.</summary>
    public IReadOnlyList<string> ChangedState => Exploration.Traces[0].Trace.ChangedState;

    /// <summary>
    /// If forward changes state that its next call reads, a file that always starts from the same state is right only
    /// if that state does not affect the results: repeating a call after another one must give the same outputs.
    /// </summary>
    /// <exception cref="ExportException">They do not.</exception>
    public void CheckThatCallsAreIndependent()
    {
        if (!tracer.ChangesState)
            return;
        using var scope = NewDisposeScope();
        Tensor[] first = [.. inputs.Select(input => input.Tensor)];
        var between = Maker.Make(Exploration.Symbols, Exploration.Symbols.Example, new Random(seed + 1));
        Tensor[] Copy(Tensor[] tensors) => [.. tensors.Select(tensor => tensor.detach().clone())];
        var results = tracer.RunInTurn([Copy(first), Copy(between), Copy(first)]);
        var isSame = results[0]
            .Zip(results[2])
            .All(pair =>
                pair.First.shape.SequenceEqual(pair.Second.shape) && pair.First.bytes.SequenceEqual(pair.Second.bytes)
            );
        foreach (var tensor in results.SelectMany(outputs => outputs))
            tensor.Dispose();
        if (isSame)
            return;
        var what = ChangedState.Concat(tracer.ChangedFields).ToArray();
        throw new ExportException(
            "",
            null,
            "forward returns a different result for the same input after another call, because it keeps state in "
                + $"{(what.Length == 0 ? "a buffer" : string.Join(", ", what))}. "
                + "An ONNX graph keeps no state: pass the state to forward as an argument and return the new state."
        );
    }

    /// <summary>
    /// Traces at the given sizes with generated inputs; integers that forward rejects are replaced by others.
    /// </summary>
    /// <param name="symbols">Names of the free sizes.</param>
    /// <param name="point">Their values.</param>
    /// <param name="run">Number of the run, so that each run gets different inputs.</param>
    private Trace TraceAt(SizeSymbols symbols, SizePoint point, int run)
    {
        if (run == 0)
            return Trace([.. inputs.Select(input => input.Tensor)]);
        var known = Maker.Integers;
        while (true)
        {
            try
            {
                return Trace(Maker.Make(symbols, point, new Random(seed + run)));
            }
            catch (Exception error)
                when (error is not ExportException and not OutOfMemoryException
                    && Maker.HasIntegers
                    && Maker.Integers != IntegerSource.ExampleRows
                )
            {
                // forward may accept other integers; if it accepts none, the sizes are the problem.
                Maker.Integers++;
            }
            catch (Exception error) when (error is not ExportException)
            {
                Maker.Integers = known;
                throw;
            }
        }
    }

    /// <summary>Traces one run on copies of the given tensors.</summary>
    /// <param name="tensors">The inputs.</param>
    private Trace Trace(Tensor[] tensors)
    {
        using var scope = NewDisposeScope();
        // Clones, because a forward with in-place operations may change its inputs.
        return tracer.Trace([.. inputs.Zip(tensors, (input, tensor) => (input.Name, tensor.detach().clone()))]);
    }

    /// <summary>Traces another example of the caller after checking its shapes and dtypes.</summary>
    /// <param name="example">The inputs.</param>
    private void AddExample(Tensor[] example)
    {
        var symbols = Exploration.Symbols;
        if (example.Length != inputs.Length)
            throw new ExportException(
                $"ExportOptions.MoreExamples has an example of {example.Length} tensors, but the first example "
                    + $"has {inputs.Length}"
            );
        var sizes = new long?[symbols.Names.Count];
        foreach (var (input, tensor) in symbols.Inputs.Zip(example))
        {
            var shape = tensor.shape;
            var fits = shape.Length == input.Symbols.Length && tensor.dtype == input.Example.dtype;
            for (var axis = 0; fits && axis < shape.Length; axis++)
            {
                if (input.Symbols[axis] is not { } symbol)
                    fits = shape[axis] == input.Example.shape[axis];
                else
                    fits = (sizes[symbols.IndexOf(symbol)] ??= shape[axis]) == shape[axis];
            }

            if (!fits)
            {
                throw new ExportException(
                    $"ExportOptions.MoreExamples has a tensor [{string.Join(", ", shape)}] of {tensor.dtype} for "
                        + $"'{input.Name}', whose example is "
                        + $"[{string.Join(", ", input.Example.shape)}] of {input.Example.dtype}: only free (dynamic) "
                        + "axes may have another size, and a free axis must have the same size in all inputs."
                );
            }
        }

        Exploration.AddExample(new SizePoint([.. sizes.Select(size => size!.Value)]), () => Trace(example));
    }
}
