using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>Translation as tutorials write it: a GRU encoder, additive attention, a decoder that continues from its
/// own output, softmax modules created in forward.</summary>
public class Seq2SeqTests
{
    [Fact]
    public void A_free_number_of_source_words()
    {
        using var model = new Seq2Seq(23, 19, 12);
        Unseen.Check(
            model,
            inputs => model.call(inputs[0]) is var (words, attention) ? [words, attention] : [],
            [randint(0, 23, [2, 6], ScalarType.Int64)],
            Unseen.Free(("source", [0, 1])),
            [randint(0, 23, [1, 3], ScalarType.Int64)],
            [randint(0, 23, [4, 11], ScalarType.Int64)]
        );
    }

    private sealed class Encoder : nn.Module<Tensor, (Tensor, Tensor)>
    {
        private readonly Embedding embedding;
        private readonly GRU gru;
        private readonly Dropout dropout = nn.Dropout(0.1);

        public Encoder(long words, long hidden)
            : base("encoder")
        {
            embedding = nn.Embedding(words, hidden);
            gru = nn.GRU(hidden, hidden, batchFirst: true);
            RegisterComponents();
        }

        public override (Tensor, Tensor) forward(Tensor input)
        {
            var embedded = dropout.call(embedding.call(input));
            return gru.call(embedded);
        }
    }

    private sealed class BahdanauAttention : nn.Module<Tensor, Tensor, (Tensor, Tensor)>
    {
        private readonly Linear wa;
        private readonly Linear ua;
        private readonly Linear va;

        public BahdanauAttention(long hidden)
            : base("attention")
        {
            (wa, ua, va) = (nn.Linear(hidden, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1));
            RegisterComponents();
        }

        public override (Tensor, Tensor) forward(Tensor query, Tensor keys)
        {
            var scores = va.forward(tanh(wa.forward(query) + ua.forward(keys)));
            scores = scores.squeeze(2).unsqueeze(1);
            var weights = nn.Softmax(-1).forward(scores);
            return (bmm(weights, keys), weights);
        }
    }

    private sealed class Decoder : nn.Module<Tensor, Tensor, Tensor?, (Tensor, Tensor, Tensor)>
    {
        private const int MaxLength = 5;
        private const int StartOfSentence = 1;
        private readonly Embedding embedding;
        private readonly BahdanauAttention attention;
        private readonly GRU gru;
        private readonly Linear output;

        public Decoder(long words, long hidden)
            : base("decoder")
        {
            embedding = nn.Embedding(words, hidden);
            attention = new BahdanauAttention(hidden);
            gru = nn.GRU(2 * hidden, hidden, batchFirst: true);
            output = nn.Linear(hidden, words);
            RegisterComponents();
        }

        public override (Tensor, Tensor, Tensor) forward(Tensor encoded, Tensor hidden, Tensor? target = null)
        {
            var batch = encoded.size(0);
            var input = empty(batch, 1, dtype: ScalarType.Int64, device: encoded.device).fill_(StartOfSentence);
            var outputs = new List<Tensor>();
            var attentions = new List<Tensor>();
            for (var i = 0; i < MaxLength; i++)
            {
                Step(input, ref hidden, encoded, out var word, out var weights);
                outputs.Add(word);
                attentions.Add(weights);
                if (target is not null)
                {
                    input = target[.., i].unsqueeze(1);
                }
                else
                {
                    var (_, topi) = word.topk(1);
                    input = topi.squeeze(-1).detach();
                }
            }

            return (F.log_softmax(cat(outputs, dim: 1), dim: -1), hidden, cat(attentions, dim: 1));
        }

        private void Step(Tensor input, ref Tensor hidden, Tensor encoded, out Tensor word, out Tensor weights)
        {
            var embedded = embedding.call(input);
            var query = hidden.permute(1, 0, 2);
            (var context, weights) = attention.call(query, encoded);
            (word, hidden) = gru.call(cat([embedded, context], dim: 2), hidden);
            word = output.call(word);
        }
    }

    private sealed class Seq2Seq : nn.Module<Tensor, (Tensor, Tensor)>
    {
        private readonly Encoder encoder;
        private readonly Decoder decoder;

        public Seq2Seq(long from, long to, long hidden)
            : base("seq2seq")
        {
            (encoder, decoder) = (new Encoder(from, hidden), new Decoder(to, hidden));
            RegisterComponents();
        }

        public override (Tensor, Tensor) forward(Tensor source)
        {
            var (encoded, hidden) = encoder.call(source);
            var (words, _, attention) = decoder.call(encoded, hidden, null);
            return (words, attention);
        }
    }
}
