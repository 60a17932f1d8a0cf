using System.Reflection;

namespace TorchBridge.Export.Capture;

/// <summary>One call in an instrumented method: caller, callee and source location.</summary>
/// <param name="Caller">The method whose copy makes the call.</param>
/// <param name="Callee">The called method or constructor.</param>
/// <param name="IsVirtual">Whether the call is resolved by the receiver's run-time type.</param>
/// <param name="Offset">IL offset of the call in <paramref name="Caller"/>.</param>
internal sealed record CallSite(MethodBase Caller, MethodBase Callee, bool IsVirtual, int Offset)
{
    /// <summary>Delegate type through which a user's method is entered: the receiver as an object, then the method's
    /// parameters.</summary>
    public Type? EntryType { get; init; }

    /// <summary><c>ResidualBlock.forward, line 42 of Blocks.cs</c>; without the line where there are no debug
    /// symbols.</summary>
    public string Place => $"{Caller.DeclaringType?.Name}.{Caller.Name}{SourceLines.Find(Caller, Offset)}";

    /// <summary><c>Tensor.relu_</c></summary>
    public string CalleeName => $"{Callee.DeclaringType?.Name}.{Callee.Name}";
}
