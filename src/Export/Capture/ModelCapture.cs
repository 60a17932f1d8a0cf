using TorchBridge.Export.Sizes;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Captures what a module's <c>forward</c> does: traces it at the sizes that tell formulas apart, and merges the
/// traces into one graph.
/// </summary>
internal sealed class ModelCapture
{
    /// <summary>The caller's examples; they stay the caller's and are cloned for each run.</summary>
    private readonly (string Name, Tensor Tensor)[] inputs;

    /// <summary>Runs forward.</summary>
    private readonly ModelTracer tracer;

    /// <summary>Decides every random input and size, so that an export can be repeated.</summary>
    private readonly int seed;

    /// <summary>Whether the file is compared with the model: only then a trace may be left out on trust.</summary>
    private readonly bool isVerified;

    /// <summary>Traces a model.</summary>
    /// <param name="tracer">Runs it.</param>
    /// <param name="inputs">Examples with their names.</param>
    /// <param name="symbols">The free axes.</param>
    /// <param name="options">More examples, seed.</param>
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

    /// <summary>Where it was traced, and what forward does not take.</summary>
    public SizeExploration Exploration { get; }

    /// <summary>Makes inputs like the examples.</summary>
    public InputMaker Maker { get; }

    /// <summary>The traces as one graph.</summary>
    /// <param name="takesFirst">Whether of several formulas that fit all traces the first one is taken, because
    /// further traces told nothing.</param>
    /// <returns>Operations with sizes as formulas of the free axes.</returns>
    /// <exception cref="ExportException">The traces differ in a way that a graph cannot express; the message names
    /// the place.</exception>
    /// <exception cref="UndecidedSizeException">Two formulas fit all traces; a further trace at its point
    /// decides.</exception>
    public TracedGraph Merge(bool takesFirst) =>
        new TraceMerger(Exploration.Symbols, Exploration.Traces).Merge(
            tracer.CodeConstants,
            takesFirst ? _ => false : Exploration.MayBeTried,
            isVerified
        );

    /// <summary>What forward writes that its next call finds: buffers and tensors that it keeps.</summary>
    public IReadOnlyList<string> ChangedState => Exploration.Traces[0].Trace.ChangedState;

    /// <summary>
    /// Where forward changes what its next call finds, a file that always starts anew is right only if that does not
    /// change results: a call, another, and the first again must give the first's outputs.
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
            "forward gives another result for the same input after another call: it keeps state in "
                + $"{(what.Length == 0 ? "a buffer" : string.Join(", ", what))}. "
                + "An ONNX graph keeps none: give the state to forward as an argument and return the new one."
        );
    }

    /// <summary>
    /// Traces at some sizes with made inputs; integers that forward does not take are replaced by others.
    /// </summary>
    /// <param name="symbols">Names of the free sizes.</param>
    /// <param name="point">Their values.</param>
    /// <param name="run">Makes the numbers of each run others.</param>
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
                // Not these integers, perhaps others; if none suit, the sizes are to blame.
                Maker.Integers++;
            }
            catch (Exception error) when (error is not ExportException)
            {
                Maker.Integers = known;
                throw;
            }
        }
    }

    /// <summary>Traces one run on copies of some tensors.</summary>
    /// <param name="tensors">The inputs.</param>
    private Trace Trace(Tensor[] tensors)
    {
        using var scope = NewDisposeScope();
        // Clones: a forward with in-place operations may change what it is given.
        return tracer.Trace([.. inputs.Zip(tensors, (input, tensor) => (input.Name, tensor.detach().clone()))]);
    }

    /// <summary>Traces a further example of the caller's, once its shapes and dtypes are found to fit.</summary>
    /// <param name="example">Inputs of the caller.</param>
    private void AddExample(Tensor[] example)
    {
        var symbols = Exploration.Symbols;
        if (example.Length != inputs.Length)
            throw new ExportException(
                $"MoreExamples has an example of {example.Length} tensors; forward is given {inputs.Length}"
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
                    $"MoreExamples has a tensor [{string.Join(", ", shape)}] of {tensor.dtype} for '{input.Name}', whose example is "
                        + $"[{string.Join(", ", input.Example.shape)}] of {input.Example.dtype}: only free "
                        + "axes may have another size, and one free axis has one size in all inputs."
                );
            }
        }

        Exploration.AddExample(new SizePoint([.. sizes.Select(size => size!.Value)]), () => Trace(example));
    }
}
