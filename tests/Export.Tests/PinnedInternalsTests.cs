using System.Reflection;
using TorchBridge.Export.Capture;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>The exporter reads a few internals of TorchSharp 0.107. If another version renames one, this test fails
/// and names it.</summary>
public class PinnedInternalsTests
{
    private const BindingFlags Any = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    [Fact]
    public void Hooks() =>
        Assert.Equal(
            ["post_hooks", "pre_hooks"],
            ModelMap.HookFields(typeof(TorchSharp.Modules.Linear)).Select(field => field.Name).Order()
        );

    [Theory]
    [InlineData("kind")]
    [InlineData("startIndexOrBoolOrSingle")]
    [InlineData("stopIndex")]
    [InlineData("step")]
    [InlineData("tensor")]
    public void Parts_of_an_index(string field) => Assert.NotNull(typeof(TensorIndex).GetField(field, Any));

    [Fact]
    public void The_address_of_a_tensors_memory()
    {
        var tensor = zeros(8);
        Assert.Equal(TensorMemory.Address(tensor) + 8, TensorMemory.Address(tensor[2..]));
        Assert.True(TensorMemory.Shares(tensor, tensor[2..]));
        Assert.False(TensorMemory.Shares(tensor[..2], tensor[2..]));
    }

    [Theory]
    [InlineData(typeof(TorchSharp.Modules.LSTM))]
    [InlineData(typeof(TorchSharp.Modules.GRU))]
    [InlineData(typeof(TorchSharp.Modules.RNN))]
    public void Options_of_recurrent_layers(Type type) =>
        Assert.All(["_hidden_size", "_num_layers", "_bidirectional", "_batch_first"], name =>
            Assert.NotNull(type.GetField(name, Any))
        );
}
