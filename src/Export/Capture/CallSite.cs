using System.Reflection;

namespace TorchBridge.Export.Capture;

/// <summary>One call in an instrumented method: who calls whom, and where that stands in the source.</summary>
/// <param name="Caller">The method whose copy makes the call.</param>
/// <param name="Callee">The method that is called, or the constructor of what is made.</param>
/// <param name="IsVirtual">Whether the call is resolved by the receiver's run-time type.</param>
/// <param name="Offset">IL offset of the call in <paramref name="Caller"/>.</param>
internal sealed record CallSite(MethodBase Caller, MethodBase Callee, bool IsVirtual, int Offset)
{
    /// <summary>The delegate that a user's method is entered through: its parameters after the receiver, an
    /// object.</summary>
    public Type? EntryType { get; init; }

    /// <summary><c>ResidualBlock.forward, line 42 of Blocks.cs</c>; without the line where there are no debug
    /// symbols.</summary>
    public string Place => $"{Caller.DeclaringType?.Name}.{Caller.Name}{SourceLines.Find(Caller, Offset)}";

    /// <summary><c>Tensor.relu_</c></summary>
    public string CalleeName => $"{Callee.DeclaringType?.Name}.{Callee.Name}";
}
