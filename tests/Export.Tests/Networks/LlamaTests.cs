using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>A LLaMA as ports of it are written in C#: RMS norm, rotary tables that are not registered, IntShape(), a
/// cache as an argument, grouped heads.</summary>
public class LlamaTests
{
    private const int Vocabulary = 41;

    [Fact]
    public void With_a_fresh_cache_and_a_free_length()
    {
        using var model = new CausalLm(layers: 2, width: 32, heads: 4, keyValueHeads: 2);
        var report = Unseen.Check(
            model,
            inputs => [model.call(inputs[0], null, 0, null)],
            [randint(0, Vocabulary, [2, 7], ScalarType.Int64)],
            Unseen.Free(("input_ids", [0, 1])),
            [randint(0, Vocabulary, [1, 1], ScalarType.Int64)],
            [randint(0, Vocabulary, [3, 12], ScalarType.Int64)],
            [randint(0, Vocabulary, [1, 30], ScalarType.Int64)]
        );
        Assert.Contains(report.Notes, note => note.Contains("not registered", StringComparison.Ordinal));
    }

    [Fact]
    public void With_a_padding_mask_and_a_position_given_as_a_constant()
    {
        using var model = new CausalLm(layers: 1, width: 32, heads: 4, keyValueHeads: 4);
        Tensor Mask(int batch, int length) =>
            (arange(length).unsqueeze(0) >= arange(batch).unsqueeze(1)).to(ScalarType.Int64);
        Unseen.Check(
            model,
            inputs => [model.call(inputs[0], inputs[1], 3, null)],
            [randint(0, Vocabulary, [2, 7], ScalarType.Int64), Mask(2, 7)],
            new ExportOptions
            {
                FreeAxes = new Dictionary<string, int[]> { ["input_ids"] = [0, 1], ["attention_mask"] = [0, 1] },
                AxisNames = new Dictionary<(string, int), string>
                {
                    [("input_ids", 1)] = "length",
                    [("attention_mask", 1)] = "length",
                },
                Arguments = new Dictionary<string, object?> { ["past_length"] = 3 },
            },
            [randint(0, Vocabulary, [1, 4], ScalarType.Int64), Mask(1, 4)],
            [randint(0, Vocabulary, [4, 19], ScalarType.Int64), Mask(4, 19)]
        );
    }

    private static Tensor RotateHalf(Tensor x)
    {
        var half = x.IntShape()[^1] / 2;
        var x1 = x[TensorIndex.Ellipsis, TensorIndex.Slice(stop: half)];
        var x2 = x[TensorIndex.Ellipsis, TensorIndex.Slice(start: half)];
        return cat([-x2, x1], dim: -1);
    }

    private static (Tensor, Tensor) ApplyRotary(Tensor q, Tensor k, Tensor cos, Tensor sin, Tensor positions)
    {
        cos = cos[positions].unsqueeze(1);
        sin = sin[positions].unsqueeze(1);
        return ((q * cos) + (RotateHalf(q) * sin), (k * cos) + (RotateHalf(k) * sin));
    }

    private static Tensor RepeatKeyValues(Tensor x, int times)
    {
        var shape = x.IntShape();
        var (batch, heads, length, width) = (shape[0], shape[1], shape[2], shape[3]);
        if (times == 1)
            return x;
        return x.unsqueeze(2).expand(batch, heads, times, length, width).reshape(batch, heads * times, length, width);
    }

    private sealed class KeyValueCache
    {
        private readonly Dictionary<int, (Tensor Keys, Tensor Values)> layers = [];

        public (Tensor, Tensor) Update(Tensor keys, Tensor values, int layer)
        {
            if (layers.TryGetValue(layer, out var known))
            {
                keys = cat([known.Keys, keys], dim: 2);
                values = cat([known.Values, values], dim: 2);
            }

            layers[layer] = (keys, values);
            return (keys, values);
        }

        public int Length(int layer = 0) => layers.TryGetValue(layer, out var known) ? (int)known.Keys.shape[2] : 0;
    }

    private sealed class RmsNorm : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight;
        private readonly float eps;

        public RmsNorm(int width, float eps = 1e-6f)
            : base("norm")
        {
            weight = nn.Parameter(ones(width) + (randn(width) * 0.1f));
            this.eps = eps;
            RegisterComponents();
        }

        private Tensor Norm(Tensor x) => x * rsqrt(x.pow(2).mean([-1], keepdim: true) + eps);

        public override Tensor forward(Tensor x) => weight * Norm(x.to_type(ScalarType.Float32)).type_as(x);
    }

    private sealed class RotaryEmbedding : nn.Module<Tensor, int, (Tensor Cos, Tensor Sin)>
    {
        private readonly Tensor invFreq;
        private Tensor? cosCached;
        private Tensor? sinCached;

        public RotaryEmbedding(int width)
            : base("rotary") => invFreq = 1.0f / pow(10000.0f, arange(0, width, 2, dtype: ScalarType.Float32) / width);

        public override (Tensor Cos, Tensor Sin) forward(Tensor x, int length)
        {
            if (cosCached is null || length > cosCached.IntShape()[0])
            {
                var t = arange(length, dtype: ScalarType.Float32);
                var freqs = outer(t, invFreq);
                var emb = cat([freqs, freqs], dim: -1);
                cosCached = emb.cos().DetachFromDisposeScope();
                sinCached = emb.sin().DetachFromDisposeScope();
            }

            return (cosCached.slice(0, 0, length, 1).type_as(x), sinCached!.slice(0, 0, length, 1).type_as(x));
        }
    }

    private sealed class Attention : nn.Module<Tensor, Tensor?, Tensor, KeyValueCache?, Tensor>
    {
        private readonly Linear q_proj;
        private readonly Linear k_proj;
        private readonly Linear v_proj;
        private readonly Linear o_proj;
        private readonly RotaryEmbedding rotary;
        private readonly int heads;
        private readonly int keyValueHeads;
        private readonly int headWidth;
        private readonly int layer;

        public Attention(int width, int heads, int keyValueHeads, int layer)
            : base("attention")
        {
            (this.heads, this.keyValueHeads, headWidth, this.layer) = (heads, keyValueHeads, width / heads, layer);
            q_proj = nn.Linear(width, width, hasBias: false);
            k_proj = nn.Linear(width, keyValueHeads * headWidth, hasBias: false);
            v_proj = nn.Linear(width, keyValueHeads * headWidth, hasBias: false);
            o_proj = nn.Linear(width, width, hasBias: false);
            RegisterComponents();
            // after RegisterComponents, so that its tables are in no state dict
            rotary = new RotaryEmbedding(headWidth);
        }

        public override Tensor forward(Tensor x, Tensor? mask, Tensor positions, KeyValueCache? cache)
        {
            var shape = x.IntShape();
            var (batch, length) = (shape[0], shape[1]);
            var q = q_proj.forward(x).view(batch, length, heads, headWidth).transpose(1, 2);
            var k = k_proj.forward(x).view(batch, length, keyValueHeads, headWidth).transpose(1, 2);
            var v = v_proj.forward(x).view(batch, length, keyValueHeads, headWidth).transpose(1, 2);
            var total = length + (cache?.Length(layer) ?? 0);
            var (cos, sin) = rotary.forward(v, 32 + total);
            (q, k) = ApplyRotary(q, k, cos, sin, positions);
            if (cache is not null)
                (k, v) = cache.Update(k, v, layer);
            k = RepeatKeyValues(k, heads / keyValueHeads);
            v = RepeatKeyValues(v, heads / keyValueHeads);
            var weights = q.matmul(k.transpose(2, 3)) / (float)Math.Sqrt(headWidth);
            if (mask is not null)
                weights = weights + mask[.., .., .., ..(int)k.shape[2]];
            weights = F.softmax(weights, dim: -1, dtype: ScalarType.Float32).to(q.dtype);
            var y = weights.matmul(v).transpose(1, 2).contiguous();
            return o_proj.forward(y.reshape(batch, length, heads * headWidth));
        }
    }

    private sealed class Mlp : nn.Module<Tensor, Tensor>
    {
        private readonly Linear gate_proj;
        private readonly Linear up_proj;
        private readonly Linear down_proj;

        public Mlp(int width)
            : base("mlp")
        {
            gate_proj = nn.Linear(width, 2 * width, hasBias: false);
            up_proj = nn.Linear(width, 2 * width, hasBias: false);
            down_proj = nn.Linear(2 * width, width, hasBias: false);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) =>
            down_proj.forward(nn.SiLU().forward(gate_proj.forward(x)) * up_proj.forward(x));
    }

    private sealed class DecoderLayer : nn.Module<Tensor, Tensor?, Tensor, KeyValueCache?, Tensor>
    {
        private readonly RmsNorm input_layernorm;
        private readonly Attention self_attn;
        private readonly RmsNorm post_attention_layernorm;
        private readonly Mlp mlp;

        public DecoderLayer(int width, int heads, int keyValueHeads, int layer)
            : base("layer")
        {
            input_layernorm = new RmsNorm(width);
            self_attn = new Attention(width, heads, keyValueHeads, layer);
            post_attention_layernorm = new RmsNorm(width);
            mlp = new Mlp(width);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor? mask, Tensor positions, KeyValueCache? cache)
        {
            using var scope = NewDisposeScope();
            var residual = x;
            x = residual + self_attn.forward(input_layernorm.forward(x), mask, positions, cache);
            residual = x;
            return (residual + mlp.forward(post_attention_layernorm.forward(x))).MoveToOuterDisposeScope();
        }
    }

    private sealed class CausalLm : nn.Module<Tensor, Tensor?, int, KeyValueCache?, Tensor>
    {
        private readonly Embedding embed_tokens;
        private readonly ModuleList<DecoderLayer> layers;
        private readonly RmsNorm norm;
        private readonly Linear lm_head;

        public CausalLm(int layers, int width, int heads, int keyValueHeads)
            : base("model")
        {
            embed_tokens = nn.Embedding(Vocabulary, width, padding_idx: 0);
            this.layers = [];
            for (var i = 0; i < layers; i++)
                this.layers.Add(new DecoderLayer(width, heads, keyValueHeads, i));
            norm = new RmsNorm(width);
            lm_head = nn.Linear(width, Vocabulary, hasBias: false);
            RegisterComponents();
        }

        public override Tensor forward(
            Tensor input_ids,
            Tensor? attention_mask = null,
            int past_length = 0,
            KeyValueCache? cache = null
        )
        {
            cache ??= new KeyValueCache();
            var (batch, length) = (input_ids.IntShape()[0], input_ids.IntShape()[1]);
            var positions = arange(past_length, past_length + length, dtype: ScalarType.Int64).unsqueeze(0);
            var x = embed_tokens.forward(input_ids);
            Tensor? mask = null;
            if (length > 1)
            {
                var lowest = -1e9f;
                mask = full([length, length], lowest).triu(diagonal: 1).unsqueeze(0).unsqueeze(0);
                mask = mask.expand(batch, 1, length, length);
                if (attention_mask is not null)
                {
                    mask = mask.clone();
                    var padding = attention_mask[.., TensorIndex.None, TensorIndex.None, ..].eq(0);
                    mask = mask.masked_fill(padding, lowest);
                }
            }

            foreach (var layer in layers)
                x = layer.forward(x, mask, positions, cache);
            return lm_head.forward(norm.forward(x));
        }
    }
}
