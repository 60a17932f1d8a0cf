// A decoder that takes its key/value cache as inputs and returns it as outputs. An ONNX graph keeps no state, so the
// caller passes the cache of one step to the next.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TextDecoder;

internal sealed class CachedAttention : nn.Module<Tensor, Tensor, Tensor, (Tensor Output, Tensor Keys, Tensor Values)>
{
    private readonly Linear qkv;
    private readonly Linear output;
    private readonly int heads;

    public CachedAttention(int width, int heads)
        : base(nameof(CachedAttention))
    {
        (qkv, output, this.heads) = (nn.Linear(width, 3 * width), nn.Linear(width, width), heads);
        RegisterComponents();
    }

    /// <summary>New tokens attend to the cached tokens, to earlier new tokens and to themselves.</summary>
    /// <param name="x">New tokens: [batch, new, width].</param>
    /// <param name="pastKeys">Cached keys: [batch, heads, past, width / heads].</param>
    /// <param name="pastValues">Cached values, in the same shape.</param>
    public override (Tensor Output, Tensor Keys, Tensor Values) forward(Tensor x, Tensor pastKeys, Tensor pastValues)
    {
        var (batch, length, width) = (x.shape[0], x.shape[1], x.shape[2]);
        Tensor Split(Tensor part) => part.view(batch, length, heads, width / heads).transpose(1, 2);
        var parts = qkv.call(x).chunk(3, dim: -1);
        var (query, keys, values) = (Split(parts[0]), Split(parts[1]), Split(parts[2]));
        keys = cat([pastKeys, keys], dim: 2);
        values = cat([pastValues, values], dim: 2);
        // A new token must not see the new tokens after it.
        var past = pastKeys.shape[2];
        var mask = arange(past + length).unsqueeze(0) > (arange(length) + past).unsqueeze(1);
        var scores = query.matmul(keys.transpose(-2, -1)) / Math.Sqrt(width / heads);
        var weights = scores.masked_fill(mask, float.NegativeInfinity).softmax(-1);
        var y = weights.matmul(values).transpose(1, 2).reshape(batch, length, width);
        return (output.call(y), keys, values);
    }
}

internal sealed class DecoderBlock : nn.Module<Tensor, Tensor, Tensor, (Tensor Output, Tensor Keys, Tensor Values)>
{
    private readonly LayerNorm before;
    private readonly CachedAttention attention;
    private readonly LayerNorm between;
    private readonly Sequential mlp;

    public DecoderBlock(int width, int heads)
        : base(nameof(DecoderBlock))
    {
        (before, between) = (nn.LayerNorm(width), nn.LayerNorm(width));
        attention = new CachedAttention(width, heads);
        mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width));
        RegisterComponents();
    }

    public override (Tensor Output, Tensor Keys, Tensor Values) forward(Tensor x, Tensor pastKeys, Tensor pastValues)
    {
        var (y, keys, values) = attention.call(before.call(x), pastKeys, pastValues);
        x = x + y;
        return (x + mlp.call(between.call(x)), keys, values);
    }
}

internal sealed class Decoder
    : nn.Module<Tensor, Tensor, Tensor, (Tensor logits, Tensor present_keys, Tensor present_values)>
{
    private readonly Embedding tokens;
    private readonly Embedding positions;
    private readonly ModuleList<DecoderBlock> blocks;
    private readonly LayerNorm norm;
    private readonly Linear head;

    public Decoder(int vocabulary, int width = 32, int heads = 4, int layers = 2, int longest = 128)
        : base(nameof(Decoder))
    {
        (tokens, positions) = (nn.Embedding(vocabulary, width), nn.Embedding(longest, width));
        blocks = nn.ModuleList(Enumerable.Range(0, layers).Select(_ => new DecoderBlock(width, heads)).ToArray());
        (norm, head) = (nn.LayerNorm(width), nn.Linear(width, vocabulary));
        (Layers, Heads, HeadWidth) = (layers, heads, width / heads);
        RegisterComponents();
    }

    public int Layers { get; }

    public int Heads { get; }

    public int HeadWidth { get; }

    /// <summary>A cache of zeros, by default for no tokens: [layers, batch, heads, past, width / heads].</summary>
    public Tensor EmptyCache(int batch = 1, int past = 0) => zeros([Layers, batch, Heads, past, HeadWidth]);

    public override (Tensor logits, Tensor present_keys, Tensor present_values) forward(
        Tensor token_ids,
        Tensor past_keys,
        Tensor past_values
    )
    {
        var (length, past) = (token_ids.shape[1], past_keys.shape[3]);
        var x = tokens.call(token_ids) + positions.call(arange(past, past + length, dtype: ScalarType.Int64));
        var keys = new List<Tensor>();
        var values = new List<Tensor>();
        for (var i = 0; i < blocks.Count; i++)
        {
            (x, var newKeys, var newValues) = blocks[i].call(x, past_keys[i], past_values[i]);
            keys.Add(newKeys);
            values.Add(newValues);
        }

        return (head.call(norm.call(x)), stack(keys), stack(values));
    }

    /// <summary>Generates the most likely tokens one after another, in TorchSharp.</summary>
    public long[] Generate(long[] prompt, int count)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (next, keys, values) = (tensor(prompt).unsqueeze(0), EmptyCache(), EmptyCache());
        var generated = new long[count];
        for (var i = 0; i < count; i++)
        {
            (var logits, keys, values) = call(next, keys, values);
            next = logits[.., -1].argmax(-1, keepdim: true);
            generated[i] = next.item<long>();
        }

        return generated;
    }
}
