// EmbeddingBag of a [N, L] index: Gather, then sum, mean or maximum over L. The mode is probed.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Export.Lowering.Families;

internal static class Embeddings
{
    public static void Register(OperatorTable table) => table.Module<EmbeddingBag>("Gather, ReduceSum; ReduceMean; ReduceMax", Bag, "mode (probed), per_sample_weights");

    private static void Bag(LoweringContext c)
    {
        var module = (EmbeddingBag)c.Module!;
        var index = c.Tensor();
        if (index.Rank != 2 || c.Has("offsets")) throw c.Refuse("a flat index with offsets: the bags' sizes are data. Pass a [N, L] index");
        var weight = module.weight!;
        var (rows, width) = (weight.shape[0], weight.shape[1]);
        var probe = tensor(new[] { 0, Math.Min(1, rows - 1), Math.Min(2, rows - 1) }).reshape(1, 3);
        var mode = ModuleProbe.Find(
            c, "mode", (EmbeddingBagMode[])[EmbeddingBagMode.Sum, EmbeddingBagMode.Mean, EmbeddingBagMode.Max],
            kind => nn.EmbeddingBag(rows, width, mode: kind), twin => ((EmbeddingBag)twin).forward(probe, null, null));
        var gathered = c.Node("Gather", weight.dtype, 3, [c.Parameter(weight, "weight"), index]);
        if (c.OptionalTensor("perSampleWeights", "per_sample_weights") is { } weights) gathered = c.Like("Mul", [gathered, c.Node("Unsqueeze", weights.Type, 3, [weights, c.Constant(2)])]);
        c.Result(Reductions.Reduce(c, mode switch { EmbeddingBagMode.Sum => "ReduceSum", EmbeddingBagMode.Mean => "ReduceMean", _ => "ReduceMax" }, gathered, [1], keep: false));
    }
}
