using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Onnx.Tests.Format;

public class StagedModelTests
{
    [Fact]
    public void A_kill_at_any_rename_leaves_a_whole_model()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGKILL");
        var values = new List<string>();
        for (var rename = 1; ; rename++)
        {
            using var folder = new TempFolder();
            Write(folder["m.onnx"], 1);
            if (!Killed.Before("model", folder["m.onnx"], rename, "2"))
                break;
            // Before anybody has cleaned up: the graph of one and the weights of the other must never meet.
            values.Add(ValueOf(folder["m.onnx"]));
            Write(folder["m.onnx"], 3);
            Assert.Equal("3", ValueOf(folder["m.onnx"]));
            Assert.Equal(2, folder.Files.Length);
        }

        Assert.Equal(["1", "1", "1"], values); // the model is renamed last
    }

    [Fact]
    public void The_data_file_is_named_by_its_content_and_an_older_one_is_taken_away()
    {
        using var folder = new TempFolder();
        Write(folder["m.onnx"], 1);
        var first = folder.Files[1];
        Assert.Matches(@"^m\.onnx\.[0-9a-f]{16}\.data$", first);
        Write(folder["m.onnx"], 2);
        Assert.NotEqual(first, folder.Files[1]);
        Assert.Equal(2, folder.Files.Length);
        Write(folder["m.onnx"], 1);
        Assert.Equal(["m.onnx", first], folder.Files);
        Assert.Equal("1", ValueOf(folder["m.onnx"]));
        Write(folder["m.onnx"], 1, threshold: 1 << 20);
        Assert.Equal(["m.onnx"], folder.Files);
        Assert.Equal("1", ValueOf(folder["m.onnx"]));
    }

    [Fact]
    public void A_data_file_that_a_copy_of_the_older_model_needs_is_kept_and_so_are_files_of_others()
    {
        using var folder = new TempFolder();
        Write(folder["m.onnx"], 1);
        File.Copy(folder["m.onnx"], folder["kept.onnx"]);
        File.WriteAllText(folder["m.onnx.data"], "somebody's");
        Write(folder["m.onnx"], 2);
        Assert.Equal("1", ValueOf(folder["kept.onnx"]));
        Assert.Equal("2", ValueOf(folder["m.onnx"]));
        Assert.Equal(5, folder.Files.Length);
    }

    [Fact]
    public void Without_a_commit_nothing_is_left()
    {
        using var folder = new TempFolder();
        using (var file = new StagedModel(folder["m.onnx"], GraphOf(1), 0))
        {
            file.Write();
            Assert.Equal(new FileInfo(file.ModelPath).Length + 4000, file.FileBytes);
            Assert.Equal(4000, file.Bytes);
        }

        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(long.MaxValue)]
    public void Metadata_that_comes_late_joins_or_replaces_what_is_there(long threshold)
    {
        using var folder = new TempFolder();
        using (var file = new StagedModel(folder["m.onnx"], GraphOf(1), threshold))
        {
            file.Write(new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" });
            file.DropComputedTensors();
            file.Commit([new("b", "3"), new("c", "4")]);
        }

        var metadata = OnnxReader.Read(folder["m.onnx"]).Metadata;
        Assert.Equal(["a=1", "b=3", "c=4"], metadata.Select(pair => $"{pair.Key}={pair.Value}"));
        using var session = new InferenceSession(folder["m.onnx"]);
        Assert.Equal("3", session.ModelMetadata.CustomMetadataMap["b"]);
    }

    [Fact]
    public void More_than_2_GB_without_a_data_file_is_refused_before_memory_is_taken()
    {
        using var folder = new TempFolder();
        var graph = GraphOf(1);
        // The same megabytes a thousand times: what counts is what the file would hold.
        var shared = new byte[3 << 20];
        for (var i = 0; i < 1000; i++)
            graph.Add(new Initializer($"w{i}", ElementType.UInt8, [shared.Length], shared));
        using var file = new StagedModel(folder["m.onnx"], graph, long.MaxValue);
        Assert.Contains(
            "2 GB",
            Assert.Throws<InvalidDataException>(() => file.Write()).Message,
            StringComparison.Ordinal
        );
    }

    /// <summary>A model that gives its one tensor, whose elements are all one value.</summary>
    private static OnnxGraph GraphOf(float value)
    {
        var graph = new OnnxGraph { Opset = 17 };
        var values = new float[1000];
        Array.Fill(values, value);
        graph.Add(Initializer.Of("w", values, values.Length));
        graph.Nodes.Add(
            new OnnxNode
            {
                OpType = "Identity",
                Name = "copy",
                Inputs = ["w"],
                Outputs = ["y"],
            }
        );
        graph.Outputs.Add(new ValueInfo("y", ElementType.Float32, [(long)values.Length]));
        return graph;
    }

    private static void Write(string path, float value, long threshold = 0)
    {
        using var file = new StagedModel(path, GraphOf(value), threshold);
        file.Write(new Dictionary<string, string> { ["value"] = value.ToString(CultureInfo.InvariantCulture) });
        file.Commit();
    }

    /// <summary>What the model gives, which must be what its metadata say.</summary>
    private static string ValueOf(string path)
    {
        using var session = new InferenceSession(path);
        using var results = session.Run([]);
        var values = results[0].AsEnumerable<float>().Distinct().ToArray();
        var value = Assert.Single(values).ToString(CultureInfo.InvariantCulture);
        Assert.Equal(session.ModelMetadata.CustomMetadataMap["value"], value);
        return value;
    }
}
