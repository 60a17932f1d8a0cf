// Exports a generated case, and compares the file with the module on inputs that the export has not seen. The
// comparison is independent of the exporter's: integers are compared as integers, each float relative to its own size
// or that of its row, and NaN is equal only to NaN.
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Export.Onnx;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Generators;

/// <summary>Runs generated cases.</summary>
internal static class CaseRunner
{
    private const int LeastRow = 8;

    /// <summary>Exports a case into a folder and compares.</summary>
    /// <param name="item">The case.</param>
    /// <param name="path">Where the file is written.</param>
    public static GeneratedResult Run(GeneratedCase item, string path)
    {
        using var scope = NewDisposeScope();
        item.Module.eval();
        try
        {
            if (Expected(item.Module, item.Example, out var thrown) is null)
                return new GeneratedResult(
                    GeneratedOutcome.Invalid,
                    item.Name,
                    $"the module does not take its example: {thrown!.Message}"
                );
            OnnxExporter.Export(item.Module, item.Example, path, item.Options);
        }
        catch (ParityException error)
        {
            return new GeneratedResult(
                GeneratedOutcome.Wrong,
                item.Name,
                $"verification stops it: {FirstLine(error.Message)}"
            );
        }
        catch (ExportException error)
        {
            return new GeneratedResult(GeneratedOutcome.Refused, item.Name, FirstLine(error.Message));
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            return new GeneratedResult(
                GeneratedOutcome.Wrong,
                item.Name,
                $"raw {error.GetType().Name}: {FirstLine(error.Message)}"
            );
        }

        return Compare(item, path);
    }

    private static GeneratedResult Compare(GeneratedCase item, string path)
    {
        OrtModel file;
        try
        {
            file = new OrtModel(path, optimize: true);
        }
        catch (OnnxRuntimeException error)
        {
            return new GeneratedResult(GeneratedOutcome.Wrong, item.Name, $"does not load: {FirstLine(error.Message)}");
        }

        using (file)
        {
            foreach (var (what, inputs) in item.Others.Prepend(("the example", item.Example)))
            {
                if (Expected(item.Module, inputs, out _) is not { } expected)
                    continue;
                Tensor[] actual;
                try
                {
                    actual = file.Run([.. inputs.Take(file.InputNames.Count)]);
                }
                catch (OnnxRuntimeException error)
                {
                    return new GeneratedResult(
                        GeneratedOutcome.Wrong,
                        item.Name,
                        $"{what}: ONNX Runtime fails: {FirstLine(error.Message)}"
                    );
                }

                for (var i = 0; i < expected.Length; i++)
                {
                    if (Difference(actual[i], expected[i], item) is { } difference)
                        return new GeneratedResult(
                            GeneratedOutcome.Wrong,
                            item.Name,
                            $"{what} [{string.Join("; ", inputs.Select(input => string.Join('x', input.shape)))}], output {i}: {difference}"
                        );
                }
            }
        }

        return new GeneratedResult(GeneratedOutcome.Right, item.Name, "");
    }

    /// <summary>What the module gives, or null where it throws.</summary>
    private static Tensor[]? Expected(nn.Module module, Tensor[] inputs, out Exception? thrown)
    {
        thrown = null;
        try
        {
            return Functions.Forward(module, inputs);
        }
        // TorchSharp's own refusals: of libtorch (External), and of its wrapper, which says so in many ways.
        catch (Exception error)
            when (error
                    is System.Runtime.InteropServices.ExternalException
                        or ArgumentException
                        or InvalidOperationException
                        or NotImplementedException
                        or IndexOutOfRangeException
                        or DivideByZeroException
                        or System.Reflection.TargetInvocationException
            )
        {
            thrown = error;
            return null;
        }
    }

    /// <summary>How a result differs from what is expected, or null.</summary>
    private static string? Difference(Tensor actual, Tensor expected, GeneratedCase item)
    {
        using var scope = NewDisposeScope();
        if (actual.dtype != expected.dtype)
            return $"dtype is {actual.dtype}, expected {expected.dtype}";
        if (!actual.shape.AsSpan().SequenceEqual(expected.shape))
            return $"shape is [{string.Join(", ", actual.shape)}], expected [{string.Join(", ", expected.shape)}]";
        if (expected.numel() == 0)
            return null;
        if (!is_floating_point(expected))
        {
            var got = actual.to(ScalarType.Int64).flatten().data<long>().ToArray();
            var want = expected.to(ScalarType.Int64).flatten().contiguous().data<long>().ToArray();
            var at = Enumerable.Range(0, want.Length).FirstOrDefault(i => got[i] != want[i], -1);
            return at < 0 ? null : $"element {at} is {got[at]}, expected {want[at]}";
        }

        return DifferenceOfFloats(actual, expected, item);
    }

    private static string? DifferenceOfFloats(Tensor actual, Tensor expected, GeneratedCase item)
    {
        double[] got = Doubles(actual),
            want = Doubles(expected);
        // A last axis of one or two elements does not show the size of the terms: then the axes before it are
        // included.
        var width = 1;
        for (var axis = expected.dim() - 1; axis > 0 && width < LeastRow; axis--)
            width *= (int)expected.shape[axis];
        if (expected.dim() == 1)
            width = want.Length;
        // Units in the last place: some hundred of float32's 6e-8 (sums in another order), a few of float16's and
        // bfloat16's single rounding. A wide result of narrow inputs is as exact as they are: softmax with a dtype
        // behind float32 operations.
        var type = item.Example.Select(input => input.dtype).Append(expected.dtype).MinBy(Digits);
        var relative =
            item.Slack
            * type switch
            {
                ScalarType.Float64 => 1e-9,
                ScalarType.Float16 => 2e-3,
                ScalarType.BFloat16 => 1.6e-2,
                _ => 1e-5,
            };
        var floor = type switch
        {
            ScalarType.Float64 => 1e-12,
            ScalarType.Float16 => Math.Max(1e-6, item.Floor),
            _ => item.Floor,
        };
        for (var row = 0; row < want.Length; row += width)
        {
            var largest = 0.0;
            for (var i = row; i < row + width; i++)
                largest = double.IsFinite(want[i]) ? Math.Max(largest, Math.Abs(want[i])) : largest;
            for (var i = row; i < row + width; i++)
            {
                if (double.IsNaN(want[i]) && double.IsNaN(got[i]))
                    continue;
                var scale = item.Closeness == Closeness.Row ? largest : Math.Abs(want[i]);
                var allowed = Math.Max(relative * Math.Max(scale, item.Terms), floor * item.Slack);
                var same = got[i] == want[i] || (double.IsFinite(want[i]) && Math.Abs(got[i] - want[i]) <= allowed);
                if (
                    item.Closeness == Closeness.ElementAndSignOfZero
                    && want[i] == 0
                    && double.IsNegative(got[i]) != double.IsNegative(want[i])
                )
                    same = false;
                if (!same)
                    return string.Create(
                        CultureInfo.InvariantCulture,
                        $"element {i} is {got[i]:G9}, expected {want[i]:G9}"
                    );
            }
        }

        return null;
    }

    /// <summary>Orders floating-point types by their precision; others do not count.</summary>
    private static int Digits(ScalarType type) =>
        type switch
        {
            ScalarType.BFloat16 => 2,
            ScalarType.Float16 => 3,
            ScalarType.Float32 => 7,
            ScalarType.Float64 => 15,
            _ => int.MaxValue,
        };

    private static double[] Doubles(Tensor tensor) =>
        tensor.detach().cpu().to(ScalarType.Float64).contiguous().flatten().data<double>().ToArray();

    private static string FirstLine(string message) => message.Split('\n')[0];
}
