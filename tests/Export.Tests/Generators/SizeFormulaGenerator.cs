using Microsoft.ML.OnnxRuntime;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Onnx;
using TorchBridge.Export.Verification;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>
/// Random C# formulas of one to three free sizes, used as sizes and as numbers, exported and compared at sizes that
/// were never traced.
/// </summary>
public static class SizeFormulaGenerator
{
    private const int ComparedSizes = 20;

    /// <summary>Makes, exports and compares one case.</summary>
    /// <param name="seed">Its number: the same seed gives the same case.</param>
    /// <param name="path">Where the file may be written.</param>
    public static GeneratedResult Run(int seed, string path)
    {
        var random = new Random(seed);
        var axes = 1 + random.Next(3);
        var formula = Formula.Draw(random, axes, depth: 1 + random.Next(3));
        var use = (Use)random.Next(Enum.GetValues<Use>().Length);
        long[] example =
        [
            1 + random.Next(4),
            random.Next(2) == 0 ? 16 + random.Next(80) : 5 + random.Next(35),
            5 + random.Next(60),
        ];
        if (random.Next(4) == 0)
            example[2] = example[1]; // square pictures are common examples
        var name = $"#{seed} {use} of {formula.Text} at [{string.Join(", ", example.Take(axes))}]";
        using var scope = NewDisposeScope();
        using var module = new FormulaModule(formula, use);
        var options = new ExportOptions
        {
            FreeAxes = new Dictionary<string, int[]> { ["input"] = [.. Enumerable.Range(0, axes)] },
        };
        try
        {
            OnnxExporter.Export(module, randn(example), path, options);
        }
        catch (ExportException error)
        {
            return new GeneratedResult(GeneratedOutcome.Refused, name, error.Message);
        }

        return Difference(module, example, axes, path, random) is { } difference
            ? new GeneratedResult(GeneratedOutcome.Wrong, name, difference)
            : new GeneratedResult(GeneratedOutcome.Right, name, "");
    }

    private static string? Difference(FormulaModule module, long[] example, int axes, string path, Random random)
    {
        using var ort = new OrtModel(path, optimize: true);
        using var noGrad = no_grad();
        for (int compared = 0, tries = 0; compared < ComparedSizes && tries < 10 * ComparedSizes; tries++)
        {
            using var scope = NewDisposeScope();
            long[] shape =
            [
                .. example.Select((size, axis) => axis < axes ? 1 + random.NextInt64(axis == 0 ? 40 : 2 * size) : size),
            ];
            var input = InputMaker.Like(randn(1, 2), shape, random);
            Tensor expected;
            try
            {
                expected = module.forward(input);
            }
            catch (Exception error)
                when (error
                        is ArithmeticException
                            or ArgumentException
                            or System.Runtime.InteropServices.ExternalException
                )
            {
                continue; // sizes that the formula itself does not take
            }

            compared++;
            try
            {
                if (TensorComparer.Compare(ort.Run([input])[0], expected, 1e-5).Difference is { } difference)
                    return $"at [{string.Join(", ", shape)}]: {difference}";
            }
            catch (OnnxRuntimeException error)
            {
                return $"at [{string.Join(", ", shape)}]: ONNX Runtime fails: {error.Message}";
            }
        }

        return null;
    }

    /// <summary>What is done with a formula.</summary>
    private enum Use
    {
        SizeOfZeros,
        EndOfSlice,
        Factor,
        Divisor,
        DivisorAsDouble,
        SquareRoot,
        RangeEnd,
        FactorOfQuotient,
    }

    private sealed class FormulaModule(Formula formula, Use use) : nn.Module<Tensor, Tensor>("formula")
    {
        public override Tensor forward(Tensor input)
        {
            var value = formula.Evaluate(input.shape);
            return use switch
            {
                Use.SizeOfZeros => zeros(value) + input.amax(),
                Use.EndOfSlice => input.flatten()[TensorIndex.Slice(0, value)],
                Use.Factor => input * value,
                Use.Divisor => input / value,
                Use.DivisorAsDouble => input / (double)value,
                Use.SquareRoot => input / Math.Sqrt(value),
                Use.RangeEnd => arange(value) + input.amax(),
                Use.FactorOfQuotient => input * ((double)value / input.size(0)),
                _ => throw new InvalidOperationException(),
            };
        }
    }

    /// <summary>A formula as C# computes it: opaque to the exporter, which sees its result only.</summary>
    private sealed record Formula(string Text, Func<long[], long> Evaluate)
    {
        private static readonly long[] Constants = [1, 2, 3, 4, 5, 7, 8, 10, 12, 15, 16, 20, 32, 64];

        public static Formula Draw(Random random, int axes, int depth)
        {
            if (depth == 0)
            {
                var axis = random.Next(axes);
                return new Formula("bhw"[axis].ToString(), sizes => sizes[axis]);
            }

            var left = Draw(random, axes, depth - 1);
            var right =
                random.Next(3) == 0
                    ? Draw(random, axes, depth - 1)
                    : Constant(Constants[random.Next(Constants.Length)]);
            if (random.Next(6) == 0)
                (left, right) = (right, left);
            return random.Next(9) switch
            {
                0 => new($"({left.Text} + {right.Text})", sizes => left.Evaluate(sizes) + right.Evaluate(sizes)),
                1 => new($"({left.Text} - {right.Text})", sizes => left.Evaluate(sizes) - right.Evaluate(sizes)),
                2 => new($"({left.Text} * {right.Text})", sizes => left.Evaluate(sizes) * right.Evaluate(sizes)),
                3 => new($"({left.Text} / {right.Text})", sizes => left.Evaluate(sizes) / right.Evaluate(sizes)),
                4 => new($"({left.Text} % {right.Text})", sizes => left.Evaluate(sizes) % right.Evaluate(sizes)),
                5 => new($"min({left.Text}, {right.Text})", sizes =>
                    Math.Min(left.Evaluate(sizes), right.Evaluate(sizes))
                ),
                6 => new($"max({left.Text}, {right.Text})", sizes =>
                    Math.Max(left.Evaluate(sizes), right.Evaluate(sizes))
                ),
                7 => new($"ceil({left.Text} / {right.Text}) * {right.Text}", sizes =>
                    (left.Evaluate(sizes) + right.Evaluate(sizes) - 1) / right.Evaluate(sizes) * right.Evaluate(sizes)
                ),
                _ => new($"({left.Text} > {right.Text} ? {left.Text} : {right.Text} + 1)", sizes =>
                    left.Evaluate(sizes) > right.Evaluate(sizes) ? left.Evaluate(sizes) : right.Evaluate(sizes) + 1
                ),
            };
        }

        private static Formula Constant(long value) => new($"{value}", _ => value);
    }
}
