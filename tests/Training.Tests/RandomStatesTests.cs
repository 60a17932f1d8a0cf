using TorchBridge.Training.Artifacts;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests;

/// <summary>Random states with which libtorch would end the process are distinguished from valid ones.</summary>
public class RandomStatesTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(623)]
    [InlineData(5000)]
    public void What_the_generator_gives_is_a_state(int drawn)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(7);
        if (drawn > 0)
            randn(drawn);
        Assert.True(RandomStates.IsValid(get_rng_state()));
    }

    [Theory]
    [InlineData(8, 0)] // left, its low byte
    [InlineData(12, 2)] // seeded
    [InlineData(23, 1)] // next, beyond its words
    [InlineData(31, 1)] // a word of more than 32 bits
    public void What_is_changed_is_none(int at, byte value)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(7);
        var state = get_rng_state();
        var bytes = state.bytes.ToArray();
        bytes[at] = value;
        if (at == 8)
            bytes[9] = 0;
        Assert.False(RandomStates.IsValid(tensor(bytes)));
        Assert.False(RandomStates.IsValid(tensor(bytes[..^1])));
        Assert.False(RandomStates.IsValid(tensor(1f)));
    }
}
