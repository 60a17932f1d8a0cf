using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>Actor and critic of PPO: several forward methods in one class, of which call() reaches one.</summary>
public class PpoTests
{
    [Fact]
    public void The_actor_by_call()
    {
        using var actor = new Actor(4, [16, 8], 3);
        Unseen.Check(
            actor,
            inputs => actor.call(inputs[0]) is var (probabilities, state) ? [probabilities, state] : [],
            [randn(2, 5, 4)],
            Unseen.Free(("state", [0, 1])),
            [randn(1, 1, 4)],
            [randn(3, 9, 4)]
        );
    }

    [Fact]
    public void The_overload_that_takes_the_action_too()
    {
        using var critic = new Critic(4, 3);
        Unseen.Check(
            critic,
            inputs => [critic.forward(inputs[0], inputs[1])],
            [randn(2, 4), nn.functional.one_hot(tensor(new long[] { 0, 2 }), 3)],
            new ExportOptions(),
            [randn(3, 4), nn.functional.one_hot(tensor(new long[] { 2, 1, 0 }), 3)]
        );
        Unseen.Check(critic, inputs => [critic.call(inputs[0])], [randn(2, 4)], new ExportOptions(), [randn(7, 4)]);
    }

    [Fact]
    public void Actor_and_critic_in_one()
    {
        using var agent = new ActorCritic(4, 3);
        Unseen.Check(
            agent,
            inputs => agent.call(inputs[0]) is var (probabilities, value) ? [probabilities, value] : [],
            [randn(2, 4)],
            new ExportOptions(),
            [randn(1, 4)],
            [randn(6, 4)]
        );
    }

    private abstract class Network<TResult>(string name) : nn.Module<Tensor, TResult>(name)
    {
        // As its authors have it: an overload for subclasses to fill, with more than `call` reaches. To export it instead
        // of the one that takes a tensor would throw.
        public virtual TResult forward(nn.utils.rnn.PackedSequence sequence) => throw new NotImplementedException();
    }

    private sealed class Actor : Network<(Tensor, Tensor)>
    {
        private readonly LSTM lstm;
        private readonly ModuleList<nn.Module<Tensor, Tensor>> fcs = [];
        private readonly Linear head;
        private Tensor? hidden;

        public Actor(int inputs, int[] widths, int actions)
            : base(nameof(Actor))
        {
            lstm = nn.LSTM(inputs, widths[0], batchFirst: true);
            for (var i = 1; i < widths.Length; i++)
                fcs.Add(nn.Linear(widths[i - 1], widths[i]));
            head = nn.Linear(widths[^1], actions);
            foreach (var layer in fcs.OfType<Linear>())
                nn.init.orthogonal_(layer.weight);
            RegisterComponents();
        }

        public override (Tensor, Tensor) forward(nn.utils.rnn.PackedSequence sequence)
        {
            var (output, h, _) = lstm.call(sequence, null);
            return (head.call(h[0]), output.data);
        }

        public override (Tensor, Tensor) forward(Tensor state)
        {
            using var scope = NewDisposeScope();
            if (state.dim() == 2)
                state = state.unsqueeze(1);
            var (y, h, _) = lstm.call(state, null);
            hidden = h.detach();
            y = y[.., -1];
            foreach (var layer in fcs)
                y = F.relu(layer.call(y));
            return (F.softmax(head.call(y), 1).MoveToOuterDisposeScope(), h.MoveToOuterDisposeScope());
        }

        public (Tensor action, Tensor logProbability) Act(Tensor state)
        {
            var (probabilities, _) = call(state);
            var action = probabilities.multinomial(1);
            return (action, probabilities.gather(1, action).log());
        }
    }

    private sealed class Critic : nn.Module<Tensor, Tensor>
    {
        private readonly Sequential body;
        private readonly Linear action;

        public Critic(int inputs, int actions)
            : base(nameof(Critic))
        {
            body = nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 1));
            action = nn.Linear(actions, 1);
            RegisterComponents();
        }

        public override Tensor forward(Tensor state) => body.call(state).squeeze(-1);

        public Tensor forward(Tensor state, Tensor actions) =>
            forward(state) + action.call(actions.to(ScalarType.Float32)).squeeze(-1);
    }

    private sealed class ActorCritic : nn.Module<Tensor, (Tensor probabilities, Tensor value)>
    {
        private readonly Linear shared;
        private readonly Linear policy;
        private readonly Linear value;

        public ActorCritic(int inputs, int actions)
            : base(nameof(ActorCritic))
        {
            (shared, policy, value) = (nn.Linear(inputs, 16), nn.Linear(16, actions), nn.Linear(16, 1));
            RegisterComponents();
        }

        public override (Tensor probabilities, Tensor value) forward(Tensor x)
        {
            x = F.relu(shared.call(x));
            return (F.softmax(policy.call(x), -1), value.call(x));
        }
    }
}
