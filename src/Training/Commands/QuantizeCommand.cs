using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using TorchBridge.Quantization;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Commands;

/// <summary><c>quantize</c>: the exported model in 8-bit integers, or with smaller weights.</summary>
internal static class QuantizeCommand
{
    /// <summary>The command with its options: mode, method, bits, calibration, budgets.</summary>
    /// <returns>For the program's root command; it exits with 1 where the budget of accuracy is missed.</returns>
    public static Command Build()
    {
        Option<string> mode = Choice<QuantizationMode>(
            "--mode",
            "int8: everything in 8-bit integers, fast. weights_int8, weights_float16: smaller files, computed in float32.",
            QuantizationMode.Int8
        );
        Option<string> method = Choice<CalibrationMethod>(
            "--method",
            "How the range of a value is chosen: all that was seen, all but one in ten thousand, the "
                + "least mean square error, or the least loss of information.",
            CalibrationMethod.MeanSquareError
        );
        Option<string> activations = Choice<ActivationType>(
            "--activations",
            "Integer type of the values between layers; auto is what this processor multiplies best.",
            ActivationType.Auto
        );
        NumberOption bits = new("--weight-bits", new AllowedAttribute(int.MinValue, int.MaxValue))
        {
            Description =
                "7 or 8. Default: 8 where this processor has VNNI or dot products, else 7, because two products may overflow there.",
            HelpName = "7|8",
        };
        WholeOption pictures = new("--calibration", new AllowedAttribute(1, int.MaxValue), 512)
        {
            Description = "Training pictures to calibrate on.",
        };
        WholeOption draw = new("--draw", new AllowedAttribute(int.MinValue, int.MaxValue), 1)
        {
            Description = "Which draw of training pictures: another number, other pictures.",
        };
        Option<bool> sensitivity = new("--sensitivity")
        {
            Description = "Measure what each layer costs alone: a table and a plot.",
        };
        Option<string[]> keep = new("--keep-float")
        {
            Description = "Nodes that stay in float32: names as the report has them, or `first` and `last`.",
            HelpName = "NODE",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<bool> equalize = new("--equalize")
        {
            Description = "Equalize the weight ranges of neighbouring layers first.",
        };
        Option<bool> raw = new("--no-bias-correction") { Description = "Leave biases as they are." };
        Option<bool> fixedLayers = new("--no-fallback")
        {
            Description = "Fail where the budget is missed, instead of leaving the worst layers in float32.",
        };
        NumberOption drop = new("--max-drop", new AllowedAttribute(0, 100))
        {
            Description = "Accuracy on the validation pictures that may be lost, in percentage points.",
            DefaultValueFactory = _ => "1",
            HelpName = "X",
        };
        return ModelContext.Command(
            "quantize",
            "Make a quantized copy of the exported model: modern-cnn.int8.onnx, its ML.NET zip and its "
                + "card. Calibrated on training pictures, judged on validation pictures; the test pictures are "
                + "read once, at the end.\nExample: quantize --out models\nExample: quantize --sensitivity "
                + "--keep-float first",
            (context, stop) =>
            {
                var parsed = context.Parsed;
                using var claim = context.Folder.Claim();
                var weightBits = bits.Whole(parsed);
                RecipeOptions.Require(weightBits is null or 7 or 8, "--weight-bits", weightBits, "7 or 8");
                var kept = parsed.GetValue(keep) ?? [];
                var options = new QuantizationOptions
                {
                    Mode = Value<QuantizationMode>(mode, parsed),
                    Method = Value<CalibrationMethod>(method, parsed),
                    Activations = Value<ActivationType>(activations, parsed),
                    WeightBits = weightBits,
                    FirstLayerInFloat = kept.Contains("first"),
                    LastLayerInFloat = kept.Contains("last"),
                    NodesInFloat = [.. kept.Except(["first", "last"])],
                    MeasureSensitivity = parsed.GetValue(sensitivity),
                    EqualizeRanges = parsed.GetValue(equalize),
                    CorrectBiases = !parsed.GetValue(raw),
                    FallBack = !parsed.GetValue(fixedLayers),
                    Budget = new AccuracyBudget { AccuracyDrop = drop.Real(parsed)!.Value / 100 },
                };
                var report = Show(
                    context.Console,
                    progress =>
                        QuantizedPackager.Package(
                            context.Folder,
                            context.Data,
                            pictures.Read(parsed),
                            draw.Read(parsed),
                            options with
                            {
                                Progress = progress,
                            },
                            (staged, made) =>
                            {
                                if (made.Sensitivity.Count > 0)
                                    SensitivityPlot.Of(made.Sensitivity).WriteTo(staged);
                            }
                        ),
                    stop
                );
                var target = context.Folder.MadeFrom(QuantizedPackager.VariantName(options.Mode));
                context.Console.Write(report.ToString());
                foreach (var layer in report.Sensitivity)
                {
                    var alone = FormattableString.Invariant($"{layer.Node} ({layer.OpType}) {layer.Decibels:F1} dB");
                    var same = layer.Agreement is { } part
                        ? FormattableString.Invariant($", same class in {part:P1}")
                        : "";
                    context.Console.WriteLine($"  alone: {alone}{same}");
                }

                foreach (var file in ((string[])[target.Onnx, target.Zip, target.Card]).Where(File.Exists))
                    context.Console.WriteLine(
                        FormattableString.Invariant($"  {file} ({new FileInfo(file).Length:N0} bytes)")
                    );
                return (0, report);
            },
            mode,
            method,
            activations,
            bits,
            pictures,
            draw,
            sensitivity,
            keep,
            equalize,
            raw,
            fixedLayers,
            drop
        );
    }

    /// <summary>Quantizes with a line of progress where there is a terminal.</summary>
    /// <param name="console">Where it goes.</param>
    /// <param name="work">Is given what hears of progress.</param>
    /// <param name="stop">Ends the work at the next report of progress.</param>
    private static QuantizationReport Show(
        IAnsiConsole console,
        Func<IProgress<QuantizationProgress>, QuantizationReport> work,
        CancellationToken stop
    )
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
            return work(new Reporter(null, stop));
        return console.Status().Start("calibration", context => work(new Reporter(context, stop)));
    }

    /// <summary>An option that takes one of an enum's names, written in snake_case.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <param name="name">With its dashes.</param>
    /// <param name="help">Its description.</param>
    /// <param name="fallback">What it has where it is not given.</param>
    private static Option<string> Choice<T>(string name, string help, T fallback)
        where T : struct, Enum
    {
        var names = RecipeOptions.NamesOf<T>();
        var option = new Option<string>(name)
        {
            Description = help,
            DefaultValueFactory = _ => names.First(pair => pair.Value.Equals(fallback)).Key,
            HelpName = string.Join('|', names.Keys),
        };
        option.AcceptOnlyFromAmong([.. names.Keys]);
        return option;
    }

    /// <summary>The value of such an option.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <param name="option">Made by <see cref="Choice{T}"/>.</param>
    /// <param name="parsed">The command line.</param>
    private static T Value<T>(Option<string> option, ParseResult parsed)
        where T : struct, Enum => RecipeOptions.NamesOf<T>()[parsed.GetValue(option)!];

    /// <summary>Shows progress at once: the library's own Progress class would post it to another thread. And ends the
    /// work where that is asked for.</summary>
    private sealed class Reporter(StatusContext? context, CancellationToken stop) : IProgress<QuantizationProgress>
    {
        /// <summary>Shows the phase and the count.</summary>
        /// <param name="value">How far it is.</param>
        public void Report(QuantizationProgress value)
        {
            stop.ThrowIfCancellationRequested();
            context?.Status(
                FormattableString.Invariant(
                    $"{value.Phase} {value.Done}{(value.Total is { } total ? FormattableString.Invariant($" of {total}") : "")}"
                )
            );
        }
    }
}
