using TorchBridge.Export.Capture;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Runs modules in TorchSharp.</summary>
internal static class Functions
{
    /// <summary>Runs a module in eval mode on copies of the inputs.</summary>
    public static Tensor[] Forward(nn.Module module, Tensor[] inputs)
    {
        using var noGrad = no_grad();
        return
        [
            .. ForwardResult
                .Flatten(
                    ForwardPlan.Find(module, inputs.Length).Call(module, [.. inputs.Select(input => input.clone())])
                )
                .Select(pair => pair.Tensor),
        ];
    }
}

/// <summary>A module whose forward is a function of one tensor: the exporter follows the delegate.</summary>
internal sealed class Function(Func<Tensor, Tensor> function) : nn.Module<Tensor, Tensor>("function")
{
    public override Tensor forward(Tensor input) => function(input);
}

/// <summary>A module whose forward is a function of two tensors.</summary>
internal sealed class Function2(Func<Tensor, Tensor, Tensor> function) : nn.Module<Tensor, Tensor, Tensor>("function")
{
    public override Tensor forward(Tensor input, Tensor other) => function(input, other);
}

/// <summary>A module whose forward is a function of three tensors.</summary>
internal sealed class Function3(Func<Tensor, Tensor, Tensor, Tensor> function)
    : nn.Module<Tensor, Tensor, Tensor, Tensor>("function")
{
    public override Tensor forward(Tensor input, Tensor other, Tensor third) => function(input, other, third);
}

/// <summary>A module whose forward returns several tensors.</summary>
internal sealed class FunctionMany(Func<Tensor, Tensor[]> function) : nn.Module<Tensor, Tensor[]>("function")
{
    public override Tensor[] forward(Tensor input) => function(input);
}

/// <summary>A module whose forward takes two tensors and returns several.</summary>
internal sealed class Function2Many(Func<Tensor, Tensor, Tensor[]> function)
    : nn.Module<Tensor, Tensor, Tensor[]>("function")
{
    public override Tensor[] forward(Tensor input, Tensor other) => function(input, other);
}
