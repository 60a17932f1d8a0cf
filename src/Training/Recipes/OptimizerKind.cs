namespace TorchBridge.Training.Recipes;

/// <summary>The optimizer, which updates the weights.</summary>
internal enum OptimizerKind
{
    /// <summary>Adam with decoupled weight decay.</summary>
    AdamW,

    /// <summary>Stochastic gradient descent with Nesterov momentum; weight decay is added to the gradient.</summary>
    Sgd,

    /// <summary>Orthogonalized momentum for the weights of convolutions, <see cref="Sgd"/> for the rest.</summary>
    Muon,
}
