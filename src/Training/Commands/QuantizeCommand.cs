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

/// <summary>The <c>quantize</c> command: converts the exported model to 8-bit integers, or to smaller
/// weights.</summary>
internal static class QuantizeCommand
{
    /// <summary>Builds the command with its options: mode, method, bits, calibration, budget.</summary>
    /// <returns>The command, to be added to the root command. It exits with 1 if the loss of accuracy exceeds the
    /// budget.</returns>
    public static Command Build()
    {
        Option<string> mode = Choice<QuantizationMode>(
            "--mode",
            "int8: everything computed in 8-bit integers, fast. weights_int8, weights_float16: smaller files, "
                + "computed in float32.",
            QuantizationMode.Int8
        );
        Option<string> method = Choice<CalibrationMethod>(
            "--method",
            "How the range of a value is chosen: everything observed, all but one in ten thousand, the "
                + "smallest mean squared error, or the smallest loss of information.",
            CalibrationMethod.MeanSquareError
        );
        Option<string> activations = Choice<ActivationType>(
            "--activations",
            "Integer type of the values between layers; auto is the type that this processor multiplies fastest.",
            ActivationType.Auto
        );
        NumberOption bits = new("--weight-bits", new AllowedAttribute(int.MinValue, int.MaxValue))
        {
            Description =
                "7 or 8. Default: 8 if this processor has VNNI or dot-product instructions, otherwise 7, because "
                + "the sum of two products could overflow.",
            HelpName = "7|8",
        };
        WholeOption pictures = new("--calibration", new AllowedAttribute(1, int.MaxValue), 512)
        {
            Description = "Number of training pictures for calibration.",
        };
        WholeOption draw = new("--draw", new AllowedAttribute(int.MinValue, int.MaxValue), 1)
        {
            Description = "Seed for choosing the training pictures for calibration.",
        };
        Option<bool> sensitivity = new("--sensitivity")
        {
            Description = "Measure what quantizing each layer alone costs: a table and a plot.",
        };
        Option<string[]> keep = new("--keep-float")
        {
            Description = "Nodes to keep in float32: names from the report, or `first` and `last`.",
            HelpName = "NODE",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<bool> equalize = new("--equalize")
        {
            Description = "First equalize the weight ranges of adjacent layers.",
        };
        Option<bool> raw = new("--no-bias-correction") { Description = "Do not correct the biases." };
        Option<bool> fixedLayers = new("--no-fallback")
        {
            Description = "Fail if the budget is exceeded, instead of keeping the worst layers in float32.",
        };
        NumberOption drop = new("--max-drop", new AllowedAttribute(0, 100))
        {
            Description = "Allowed loss of accuracy on the validation pictures, in percentage points.",
            DefaultValueFactory = _ => "1",
            HelpName = "X",
        };
        return ModelContext.Command(
            "quantize",
            "Create a quantized copy of the exported model: modern-cnn.int8.onnx, its ML.NET zip and its "
                + "card. It is calibrated on training pictures and judged on validation pictures; the test "
                + "pictures are "
                + "used only once, at the end.\nExample: quantize --out models\nExample: quantize --sensitivity "
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
                    context.Console.WriteLine($"  quantized alone: {alone}{same}");
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

    /// <summary>Quantizes with a progress line on a terminal.</summary>
    /// <param name="console">Console for progress.</param>
    /// <param name="work">Does the work; called with the receiver of progress.</param>
    /// <param name="stop">Cancels the work at the next progress report.</param>
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

    /// <summary>An option whose value is one of an enum's names, in snake_case.</summary>
    /// <typeparam name="T">The enum.</typeparam>
    /// <param name="name">Name of the option, with its dashes.</param>
    /// <param name="help">Its description.</param>
    /// <param name="fallback">Default value.</param>
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
    /// <param name="option">An option created by <see cref="Choice{T}"/>.</param>
    /// <param name="parsed">The command line.</param>
    private static T Value<T>(Option<string> option, ParseResult parsed)
        where T : struct, Enum => RecipeOptions.NamesOf<T>()[parsed.GetValue(option)!];

    /// <summary>Shows progress immediately, whereas .NET's own Progress class would post it to another thread. Also
    /// cancels the work on request.</summary>
    private sealed class Reporter(StatusContext? context, CancellationToken stop) : IProgress<QuantizationProgress>
    {
        /// <summary>Shows the phase and the count.</summary>
        /// <param name="value">The progress.</param>
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
