using static TorchSharp.torch;

namespace TorchBridge.Export.Sizes;

/// <summary>The free axes of all inputs: the symbol of each axis. Axes with the same symbol always have the same
/// size.</summary>
internal sealed class SizeSymbols
{
    /// <summary>The symbol of axis 0 for all inputs with the same number of rows.</summary>
    public const string Batch = "batch";

    /// <summary>The example's size of each symbol, in the order of <see cref="Names"/>.</summary>
    private readonly long[] example;

    /// <summary>Creates the symbols with the example's sizes.</summary>
    /// <param name="inputs">The inputs with their symbols.</param>
    /// <param name="ties">Descriptions of the ties so far.</param>
    private SizeSymbols(IReadOnlyList<FreeInput> inputs, IReadOnlyList<string> ties)
    {
        Inputs = inputs;
        Ties = ties;
        Names = [.. inputs.SelectMany(input => input.Symbols).OfType<string>().Distinct(StringComparer.Ordinal)];
        example = [.. Names.Select(ExampleSize)];
    }

    /// <summary>The inputs with their symbols.</summary>
    public IReadOnlyList<FreeInput> Inputs { get; }

    /// <summary>The symbols, in the order of the inputs.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Descriptions of the axes that had to be tied because forward runs only with equal sizes, for the
    /// report.</summary>
    public IReadOnlyList<string> Ties { get; }

    /// <summary>The sizes of the caller's example.</summary>
    public SizePoint Example => new(example);

    /// <summary>
    /// Assigns a separate symbol to every free axis. Axes to which the caller gave the same name are one; axis 0 of
    /// every input with as many rows as the first is the batch.
    /// </summary>
    /// <param name="inputs">Examples with their names.</param>
    /// <param name="freeAxes">Free axes by input name, see <see cref="ExportOptions.FreeAxes"/>.</param>
    /// <param name="axisNames">Names of axes, see <see cref="ExportOptions.AxisNames"/>.</param>
    /// <exception cref="ExportException">An axis does not exist, or axes with the same name have different
    /// sizes.</exception>
    public static SizeSymbols Name(
        IReadOnlyList<(string Name, Tensor Tensor)> inputs,
        IReadOnlyDictionary<string, int[]> freeAxes,
        IReadOnlyDictionary<(string Input, int Axis), string> axisNames
    )
    {
        var rows = inputs[0].Tensor.shape is [var first, ..] ? first : -1;
        var named = inputs
            .Select(input =>
            {
                var shape = input.Tensor.shape;
                var symbols = new string?[shape.Length];
                foreach (var axis in FreeAxesOf(input.Name, shape, rows, freeAxes))
                {
                    var isBatch = axis == 0 && shape[0] == rows;
                    symbols[axis] =
                        axisNames.TryGetValue((input.Name, axis), out var given) ? given
                        : isBatch ? Batch
                        : $"{input.Name}_{axis}";
                }

                return new FreeInput(input.Name, input.Tensor, symbols);
            })
            .ToArray();
        foreach (var (input, axis) in axisNames.Keys)
        {
            if (!named.Any(one => one.Name == input && axis < one.Symbols.Length && one.Symbols[axis] is not null))
                throw new ExportException(
                    $"ExportOptions.AxisNames names axis {axis} of '{input}', which is not a free axis. Add it "
                        + $"to ExportOptions.FreeAxes[\"{input}\"]."
                );
        }

        return new SizeSymbols(named, []).CheckNamesakes();
    }

    /// <summary>The shape of an input at a point.</summary>
    /// <param name="input">One of the inputs.</param>
    /// <param name="point">Sizes of the symbols.</param>
    public long[] ShapeOf(FreeInput input, SizePoint point) =>
        [
            .. input.Example.shape.Select(
                (size, axis) => input.Symbols[axis] is { } symbol ? point[IndexOf(symbol)] : size
            ),
        ];

    /// <summary>The index of a symbol in <see cref="Names"/>.</summary>
    /// <param name="symbol">One of the symbols.</param>
    public int IndexOf(string symbol)
    {
        for (var index = 0; index < Names.Count; index++)
        {
            if (Names[index] == symbol)
                return index;
        }

        throw new ArgumentException($"no symbol {symbol}");
    }

    /// <summary>The same axes, with several symbols merged into one.</summary>
    /// <param name="symbols">The symbols to merge; all of them become the first.</param>
    /// <param name="because">The reason, for the report.</param>
    public SizeSymbols Tie(IReadOnlyList<int> symbols, string because)
    {
        var (kept, gone) = (
            Names[symbols[0]],
            symbols.Skip(1).Select(symbol => Names[symbol]).ToHashSet(StringComparer.Ordinal)
        );
        var tied = Inputs.Select(input =>
            input with
            {
                Symbols = [.. input.Symbols.Select(name => name is not null && gone.Contains(name) ? kept : name)],
            }
        );
        return new SizeSymbols(
            [.. tied],
            [.. Ties, $"{string.Join(" and ", symbols.SelectMany(AxesOf))} are tied to one size: {because}"]
        );
    }

    /// <summary>The same axes, with axes of different inputs that have the same size in the example tied; null if
    /// there are none.</summary>
    /// <param name="because">Why they cannot be independent, for the report.</param>
    public SizeSymbols? TiedAcrossInputs(Exception because)
    {
        var tied = this;
        foreach (var size in example.Distinct())
        {
            var groups = Enumerable.Range(0, tied.Names.Count).Where(symbol => tied.example[symbol] == size).ToArray();
            var inputs = groups
                .Select(symbol =>
                    tied.Inputs.Where(input => input.Symbols.Contains(tied.Names[symbol]))
                        .Select(input => input.Name)
                        .ToHashSet(StringComparer.Ordinal)
                )
                .ToArray();
            // One axis per input: height and width of a square image stay separate.
            if (
                groups.Length < 2
                || inputs.SelectMany(names => names).Distinct(StringComparer.Ordinal).Count()
                    < inputs.Sum(names => names.Count)
            )
                continue;
            tied = tied.Tie(
                groups,
                $"the file does not compute the same results if they differ ({FirstLine(because)})"
            );
        }

        return ReferenceEquals(tied, this) ? null : tied;
    }

    /// <summary>The first line of an error's message.</summary>
    /// <param name="error">Any.</param>
    public static string FirstLine(Exception error) => error.Message.Split('\n')[0].Trim();

    /// <summary>The same inputs with the axes of some symbols fixed at the example's sizes.</summary>
    /// <param name="symbols">Their numbers.</param>
    public SizeSymbols Fix(IReadOnlyCollection<int> symbols)
    {
        var gone = symbols.Select(symbol => Names[symbol]).ToHashSet(StringComparer.Ordinal);
        return new(
            [
                .. Inputs.Select(input =>
                    input with
                    {
                        Symbols = [.. input.Symbols.Select(name => name is null || gone.Contains(name) ? null : name)],
                    }
                ),
            ],
            Ties
        );
    }

    /// <summary>
    /// Alternatives if axis 0 of all inputs cannot be free: all first and second axes of one size together (a mask
    /// [S, S] besides tokens [S, B]), starting with the size of axis 0.
    /// </summary>
    /// <param name="symbol">The symbol that cannot vary.</param>
    public IEnumerable<Func<SizeSymbols, SizeSymbols>> Alternatives(int symbol)
    {
        var sizes = Inputs
            .SelectMany(input => input.Example.shape.Take(2))
            .Distinct()
            .OrderByDescending(size => size == example[symbol])
            .ToArray();
        foreach (var size in sizes.Where(size => size > 1))
            yield return symbols => symbols.FreeAll(size);
    }

    /// <summary>Frees all first and second axes of one size, under one symbol.</summary>
    /// <param name="size">A size that at least one first or second axis has in the example.</param>
    private SizeSymbols FreeAll(long size)
    {
        var (first, axis) = Inputs
            .SelectMany(input => input.Example.shape.Take(2).Select((length, axis) => (input, axis, length)))
            .Where(one => one.length == size)
            .Select(one => (one.input, one.axis))
            .First();
        var name = $"{first.Name}_{axis}";
        var freed = Inputs
            .Select(input =>
                input with
                {
                    Symbols =
                    [
                        .. input.Symbols.Select(
                            (known, i) => known ?? (i < 2 && input.Example.shape[i] == size ? name : null)
                        ),
                    ],
                }
            )
            .ToArray();
        return new SizeSymbols(
            freed,
            [.. Ties, $"{name} is free: every first and second axis of size {size} varies with it"]
        );
    }

    /// <summary>The axes of a symbol, <c>x[2]</c>.</summary>
    /// <param name="symbol">Its number.</param>
    public IEnumerable<string> AxesOf(int symbol) =>
        Inputs.SelectMany(input =>
            input
                .Symbols.Select((name, axis) => (name, axis))
                .Where(pair => pair.name == Names[symbol])
                .Select(pair => $"{input.Name}[{pair.axis}]")
        );

    /// <summary>Whether a symbol belongs only to axis 0 of inputs.</summary>
    /// <param name="symbol">Its number.</param>
    public bool IsRows(int symbol) =>
        Inputs.All(input =>
            input.Symbols.Select((name, axis) => (name, axis)).All(pair => pair.name != Names[symbol] || pair.axis == 0)
        );

    /// <summary>A point as readable text: <c>batch = 2, x_2 = 48</c>.</summary>
    /// <param name="point">Sizes of the symbols.</param>
    public string Describe(SizePoint point) => string.Join(", ", Names.Select((name, i) => $"{name} = {point[i]}"));

    /// <summary>The free axes of one input: the caller's, or the batch.</summary>
    /// <param name="name">The input's name.</param>
    /// <param name="shape">Its shape in the example.</param>
    /// <param name="rows">Size of axis 0 of the first input; -1 if it has no axes.</param>
    /// <param name="freeAxes">The caller's axes by input name; negative axes count from the end.</param>
    /// <returns>Non-negative axes, without duplicates.</returns>
    /// <exception cref="ExportException">The caller names an axis that the example does not have.</exception>
    private static IEnumerable<int> FreeAxesOf(
        string name,
        long[] shape,
        long rows,
        IReadOnlyDictionary<string, int[]> freeAxes
    )
    {
        // By default the batch: axis 0 of every input that has as many rows as the first.
        if (!freeAxes.TryGetValue(name, out var chosen))
            return shape.Length > 0 && shape[0] == rows ? [0] : [];
        foreach (var axis in chosen)
        {
            if (axis < -shape.Length || axis >= shape.Length)
                throw new ExportException(
                    $"ExportOptions.FreeAxes[\"{name}\"] names axis {axis}, but the example has {shape.Length} "
                        + $"axes (0 to {shape.Length - 1})"
                );
        }

        return chosen.Select(axis => axis < 0 ? axis + shape.Length : axis).Distinct();
    }

    /// <summary>The size of a symbol in the example.</summary>
    /// <param name="symbol">Name of the symbol; the first axis that has it counts.</param>
    private long ExampleSize(string symbol)
    {
        var input = Inputs.First(input => input.Symbols.Contains(symbol));
        return input.Example.shape[Array.IndexOf(input.Symbols, symbol)];
    }

    /// <summary>Refuses axes with the same name that have different sizes in the example.</summary>
    /// <returns>This instance.</returns>
    /// <exception cref="ExportException">Two axes with the same name have different sizes.</exception>
    private SizeSymbols CheckNamesakes()
    {
        foreach (var input in Inputs)
        {
            for (var axis = 0; axis < input.Symbols.Length; axis++)
            {
                if (input.Symbols[axis] is { } symbol && input.Example.shape[axis] != ExampleSize(symbol))
                    throw new ExportException(
                        $"axis {axis} of '{input.Name}' has the same name, '{symbol}', as another axis, but its "
                            + $"size in the example is {input.Example.shape[axis]}, and the other's is "
                            + $"{ExampleSize(symbol)}. Axes with the same name must have the same size."
                    );
            }
        }

        return this;
    }
}
