using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Classifies types for the instrumenter: whether they belong to TorchSharp, the framework or the user, and
/// whether they carry tensors.</summary>
internal static class TorchTypes
{
    /// <summary>TorchSharp's own assembly.</summary>
    public static readonly Assembly TorchSharp = typeof(torch).Assembly;

    private static readonly System.Collections.Concurrent.ConcurrentDictionary<Assembly, bool> IsUserAssembly = [];

    /// <summary>Whether a type is declared by TorchSharp.</summary>
    /// <param name="type">Any type, or null for none.</param>
    public static bool IsTorch(Type? type) => type?.Assembly == TorchSharp;

    /// <summary>
    /// Whether a type counts as user code: it belongs to an assembly that uses TorchSharp, or to FSharp.Core, which
    /// runs the user's closures. Other libraries run unchanged.
    /// </summary>
    /// <param name="type">Any type, or null for none.</param>
    public static bool IsUser(Type? type) =>
        type is not null
        && IsUserAssembly.GetOrAdd(type.Assembly, assembly =>
            assembly != TorchSharp
            && assembly != typeof(TorchTypes).Assembly
            && (
                assembly.IsDynamic
                || assembly.GetName().Name == "FSharp.Core"
                || assembly.GetReferencedAssemblies().Any(name => name.Name == TorchSharp.GetName().Name)
            )
        );

    /// <summary>
    /// Whether values of a type are or hold tensors: Tensor, Tensor[], IList of Tensor, (Tensor, Tensor), Func of
    /// Tensor …
    /// </summary>
    /// <param name="type">Type of a parameter or result.</param>
    public static bool CarriesTensors(Type type)
    {
        if (type.IsByRef || type.IsPointer || type.IsArray)
            return CarriesTensors(type.GetElementType()!);
        if (typeof(Tensor).IsAssignableFrom(type))
            return true;
        return type.IsGenericType
            && !typeof(nn.Module).IsAssignableFrom(type)
            && type.GetGenericArguments().Any(CarriesTensors);
    }

    /// <summary>
    /// Whether a method is <c>call</c> or <c>forward</c> of a module, through the class or through <c>IModule</c>.
    /// </summary>
    /// <param name="method">The called method.</param>
    public static bool IsModuleCall(MethodBase method) =>
        method.Name is "call" or "forward" && method.DeclaringType is { } type && IsModule(type);

    /// <summary>Whether a type is a module, or the interface of one.</summary>
    /// <param name="type">Any type.</param>
    public static bool IsModule(Type type) =>
        typeof(nn.Module).IsAssignableFrom(type)
        || (IsTorch(type) && type.IsInterface && type.Name.StartsWith("IModule", StringComparison.Ordinal));

    /// <summary>The type that a method returns; for a constructor, the type it creates.</summary>
    /// <param name="method">A method or constructor.</param>
    public static Type ReturnType(MethodBase method) =>
        method is MethodInfo info ? info.ReturnType : method.DeclaringType!;
}
