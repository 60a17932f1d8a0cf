using TorchBridge.Serving.Models;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Models;

public class ModelConfigTests
{
    [Fact]
    public void What_is_said_is_done()
    {
        var config = Read(
            """
            name: "m" platform: "onnxruntime_onnx" max_batch_size: 16 default_model_filename: "net.onnx"
            dynamic_batching {
              max_queue_delay_microseconds: 500
              default_queue_policy { max_queue_size: 7 timeout_action: REJECT default_timeout_microseconds: 200000 }
            }
            instance_group [ { count: 2 kind: KIND_CPU } ]
            parameters { key: "intra_op_thread_count" value: { string_value: "3" } }
            version_policy: { specific: { versions: [ 1, 4 ] } }
            model_warmup [ { name: "w" batch_size: 1 } ]
            """
        );
        Assert.Equal(("m", 16, "net.onnx"), (config.Name, config.MaxBatchSize, config.ModelFile));
        Assert.Equal(
            (TimeSpan.FromMicroseconds(500), 7, TimeSpan.FromMilliseconds(200)),
            (config.Delay, config.QueueCapacity, config.Timeout)
        );
        Assert.Equal((2, 3), (config.Sessions, config.Threads));
        Assert.Equal([1, 4], config.Versions!.Order());
        Assert.Null(Read("version_policy { all { } }").LatestVersions);
        Assert.Equal(1, Read("").LatestVersions);
    }

    [Theory]
    [InlineData("max_batchsize: 3", "max_batchsize")]
    [InlineData("ensemble_scheduling { }", "ensemble_scheduling")]
    [InlineData("sequence_batching { }", "sequence_batching")]
    [InlineData("backend: \"tensorrt\"", "tensorrt")]
    [InlineData("platform: \"tensorflow_savedmodel\"", "tensorflow_savedmodel")]
    [InlineData("max_batch_size: -1", "max_batch_size")]
    [InlineData("max_batch_size: many", "many")]
    [InlineData("max_batch_size: 1 max_batch_size: 2", "more than once")]
    [InlineData("default_model_filename: \"../../etc/passwd\"", "plain file name")]
    [InlineData("default_model_filename: \"a\\\\b\"", "plain file name")]
    [InlineData("output [ { name: \"y\" label_filename: \"../labels.txt\" } ]", "plain file name")]
    [InlineData("input [ { name: \"x\" reshape { shape: [ 1 ] } } ]", "reshape")]
    [InlineData("instance_group [ { kind: KIND_GPU } ]", "GPU")]
    public void What_this_server_has_not_is_refused(string text, string named) =>
        Assert.Contains(named, Assert.Throws<ModelLoadException>(() => Read(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(
        "max_batch_size: 4 input [ { name: \"x\" data_type: TYPE_FP32 dims: [ 3 ] } ] output [ { name: "
            + "\"y\" data_type: TYPE_FP32 dims: [ -1 ] } ]",
        null
    )]
    [InlineData("max_batch_size: 0 input [ { name: \"x\" dims: [ -1, 3 ] } ]", null)]
    [InlineData("max_batch_size: 4 input [ { name: \"z\" } ]", "no input 'z'")]
    [InlineData("max_batch_size: 4 input [ { name: \"x\" data_type: TYPE_INT32 } ]", "TYPE_FP32 in the model")]
    [InlineData("max_batch_size: 4 input [ { name: \"x\" dims: [ 4 ] } ]", "[3] in the model")]
    [InlineData("max_batch_size: 0 input [ { name: \"x\" dims: [ 3 ] } ]", "[-1, 3] in the model")]
    public void What_contradicts_the_file_is_refused(string text, string? named)
    {
        using var session = Sessions.Open(TestModels.Affine());
        var config = Read(text);
        if (named is null)
            config.Check(session.Signature, "config.pbtxt");
        else
            Assert.Contains(
                named,
                Assert.Throws<ModelLoadException>(() => config.Check(session.Signature, "config.pbtxt")).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void A_batch_of_a_model_whose_batch_is_fixed_is_refused()
    {
        using var session = Sessions.Open(TestModels.FixedBatch());
        Assert.Throws<ModelLoadException>(() => Read("max_batch_size: 4").Check(session.Signature, "config.pbtxt"));
    }

    private static ModelConfig Read(string text)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["config.pbtxt"], text);
        return ModelConfig.Read(folder["config.pbtxt"]);
    }
}
