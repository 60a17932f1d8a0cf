namespace TorchBridge.Quantization.Tests;

/// <summary>
/// Models made by others, from ../shared/findings/files/onnx. Each is either quantized correctly, which is checked in
/// ONNX Runtime with inputs that calibration did not use, or refused for one of the reasons that are listed here.
/// </summary>
public class FoundModelsTests
{
    /// <summary>What is refused in integers, and a part of the reason; every other file must be written.</summary>
    private static readonly Dictionary<string, string> Refused = new(StringComparer.Ordinal)
    {
        ["double_model"] = "its weight is Float64, not float32",
        ["duplicate_node_names"] = "2 of its nodes are called 'conv'",
        ["empty"] = "it holds no graph",
        ["float16_model"] = "its weight is Float16, not float32",
        ["matmul_3d_weight"] = "its weight has 3 axes",
        ["matmul_initializer_on_the_left"] = "its input is a constant of the model",
        ["no_inputs"] = "its input is a constant of the model",
        ["text"] = "is not an ONNX model that can be read",
        ["truncated"] = "is not an ONNX model that can be read",
    };

    public static TheoryData<QuantizationMode, bool> Modes =>
        new()
        {
            { QuantizationMode.Int8, false },
            { QuantizationMode.Int8, true },
            { QuantizationMode.WeightsInt8, false },
            { QuantizationMode.WeightsFloat16, false },
        };

    [Theory]
    [MemberData(nameof(Modes))]
    public void Each_is_written_and_right_or_refused_with_the_reason(QuantizationMode mode, bool equalize)
    {
        var folder = Shared.Find("findings", "files", "onnx");
        Assert.SkipWhen(folder is null, "../shared/findings/files/onnx is not there");
        using var temp = new TempFolder();
        var reasons = new List<string>();
        var wrong = new List<string>();
        foreach (var path in Directory.GetFiles(folder!, "*.onnx").Order(StringComparer.Ordinal))
        {
            var name = Path.GetFileNameWithoutExtension(path);
            var target = temp[$"{name}.onnx"];
            try
            {
                var report = OnnxQuantizer.Quantize(
                    path,
                    FoundBatches.Of(path, 4),
                    target,
                    new QuantizationOptions { Mode = mode, EqualizeRanges = equalize }
                );
                var decibels = FoundBatches.LeastDecibels(path, target);
                reasons.Add(
                    $"written  {name}: {decibels:F1} dB; "
                        + $"{string.Join("; ", report.LeftInFloat.Select(left => $"{left.Node}: {left.Reason}"))}"
                );
                if (!(decibels >= 8))
                    wrong.Add(reasons[^1]);
                if (mode == QuantizationMode.Int8 && Refused.ContainsKey(name))
                    wrong.Add($"{name} is written, and the list says that it is refused");
            }
            catch (QuantizationException error)
            {
                reasons.Add(
                    $"refused  {name}: {error.Message.Replace(path, "FILE", StringComparison.Ordinal).ReplaceLineEndings(" ")}"
                );
                Assert.False(File.Exists(target), name);
                if (
                    mode == QuantizationMode.Int8
                    && !(
                        Refused.TryGetValue(name, out var reason)
                        && error.Message.Contains(reason, StringComparison.Ordinal)
                    )
                )
                    wrong.Add(reasons[^1]);
            }
            catch (Exception error) when (error is not Xunit.Sdk.XunitException)
            {
                wrong.Add($"CRASH {name}: {error}");
            }
        }

        TestContext.Current.TestOutputHelper!.WriteLine(string.Join('\n', reasons));
        Assert.True(
            reasons.Count + wrong.Count(text => text.StartsWith("CRASH", StringComparison.Ordinal)) > 80,
            $"only {reasons.Count} files were there"
        );
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }
}
