using TorchBridge.FSharpModels;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>Models written in F#: modules called with an arrow, closures, records, folds.</summary>
public class FSharpTests
{
    [Fact]
    public void The_network_of_the_examples()
    {
        using var model = new DigitNet();
        Unseen.Check(
            model,
            inputs => [model.call(inputs[0])],
            [randn(2, 1, 14, 14)],
            new ExportOptions(),
            [randn(1, 1, 14, 14)],
            [randn(7, 1, 14, 14)]
        );
    }

    [Fact]
    public void Closures_records_and_folds()
    {
        using var model = new FSharpModels.Tagger(new Config(5, 8, 3, 4));
        Unseen.Check(
            model,
            inputs => model.call(inputs[0]) is var (logits, weights) ? [logits, weights] : [],
            [randn(2, 6, 5)],
            Unseen.Free(("x", [0, 1])),
            [randn(1, 1, 5)],
            [randn(4, 11, 5)]
        );
    }
}
