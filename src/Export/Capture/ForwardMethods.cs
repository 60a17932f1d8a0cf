using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Finds the <c>forward</c> that a call of a module reaches: a class may have several, and may override or
/// hide its base's.</summary>
internal static class ForwardMethods
{
    /// <summary>
    /// Every public <c>forward</c> of a module's run-time type, the most derived first, without overridden ones.
    /// </summary>
    /// <param name="type">Type of the module.</param>
    /// <returns>Methods with an IL body; none for a TorchSharp module whose forward is native only.</returns>
    public static IReadOnlyList<MethodInfo> Of(Type type)
    {
        var found = new List<MethodInfo>();
        for (var at = type; at is not null; at = at.BaseType)
        {
            foreach (
                var method in at.GetMethods(BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly)
            )
            {
                if (
                    method.Name == "forward"
                    && !method.IsAbstract
                    && !found.Any(known => HaveSameParameters(known, method))
                )
                    found.Add(method);
            }
        }

        return found;
    }

    /// <summary>
    /// Whether a method overrides the one that TorchSharp's <c>call</c> invokes, so that <c>model.call(x)</c> runs
    /// it.
    /// </summary>
    /// <param name="method">A <c>forward</c>.</param>
    public static bool IsReachedByCall(MethodInfo method) =>
        method.IsVirtual && TorchTypes.IsTorch(method.GetBaseDefinition().DeclaringType);

    /// <summary>The <c>forward</c> that a call site reaches.</summary>
    /// <param name="site">A call of <c>call</c> or <c>forward</c>.</param>
    /// <param name="type">Run-time type of the module.</param>
    /// <param name="arguments">The arguments of the call, the module first.</param>
    /// <returns>Null if no forward accepts these arguments.</returns>
    public static MethodInfo? Reached(CallSite site, Type type, IReadOnlyList<object?> arguments)
    {
        var callee = (MethodInfo)site.Callee;
        if (!TorchTypes.IsTorch(callee.DeclaringType) && !callee.IsAbstract)
            return site.IsVirtual ? VirtualMethods.Resolve(callee, type) : callee;
        // `base.forward(x)`, or a TorchSharp class with a forward of its own.
        if (!site.IsVirtual && callee.Name == "forward" && !callee.IsAbstract)
            return callee;
        var wanted = callee.GetParameters().Select(parameter => parameter.ParameterType).ToArray();
        return Of(type)
            .FirstOrDefault(method =>
                method.GetParameters().Select(parameter => parameter.ParameterType).SequenceEqual(wanted)
            )
            ?? Fitting(type, [.. arguments.Skip(1)]);
    }

    /// <summary>
    /// The method of a TorchSharp module that a call runs if no <c>forward</c> has exactly its parameters: a
    /// <c>forward</c> with more parameters, or the module's own <c>call</c>. TransformerEncoderLayer and Transformer
    /// take their masks only by <c>call</c>.
    /// </summary>
    /// <param name="site">The call site.</param>
    /// <param name="type">Run-time type of the module.</param>
    /// <param name="given">Number of arguments, without the module.</param>
    /// <returns>Null if the module has no such method.</returns>
    public static MethodInfo? OfLeaf(CallSite site, Type type, int given)
    {
        var callee = (MethodInfo)site.Callee;
        return Of(type).FirstOrDefault(method => method.GetParameters().Length >= given)
            ?? type.GetMethods(BindingFlags.Instance | BindingFlags.Public)
                .FirstOrDefault(method => method.Name == "call" && HaveSameParameters(method, callee));
    }

    /// <summary>The <c>forward</c> that accepts the given arguments with the fewest additional parameters.</summary>
    /// <param name="type">Run-time type of the module.</param>
    /// <param name="arguments">The arguments of the call, without the module.</param>
    /// <returns>Null if no forward accepts these arguments.</returns>
    public static MethodInfo? Fitting(Type type, IReadOnlyList<object?> arguments) =>
        Of(type)
            .Where(method => Takes(method.GetParameters(), arguments))
            .OrderBy(method => IsReachedByCall(method) ? 0 : 1)
            .ThenBy(method => method.GetParameters().Length)
            .FirstOrDefault();

    /// <summary>Completes arguments with the default values of the missing parameters.</summary>
    /// <param name="method">A <c>forward</c>.</param>
    /// <param name="arguments">The arguments of the call, the module first.</param>
    /// <returns>As many as the method has parameters, the module first.</returns>
    public static object?[] WithDefaults(MethodInfo method, IReadOnlyList<object?> arguments) =>
        [.. arguments, .. method.GetParameters().Skip(arguments.Count - 1).Select(DefaultOf)];

    /// <summary>The default value of a parameter, in the form that reflection expects.</summary>
    /// <param name="parameter">A parameter of <c>forward</c>.</param>
    public static object? DefaultOf(ParameterInfo parameter) =>
        parameter.HasDefaultValue ? parameter.DefaultValue : null;

    /// <summary>Whether parameters accept the given arguments and have default values for the rest.</summary>
    /// <param name="parameters">Parameters of a method.</param>
    /// <param name="arguments">Arguments of the call.</param>
    private static bool Takes(ParameterInfo[] parameters, IReadOnlyList<object?> arguments) =>
        arguments.Count <= parameters.Length
        && parameters.Skip(arguments.Count).All(parameter => parameter.HasDefaultValue)
        && parameters
            .Zip(arguments)
            .All(pair =>
                pair.Second is null
                    ? !pair.First.ParameterType.IsValueType
                    : pair.First.ParameterType.IsInstanceOfType(pair.Second)
            );

    /// <summary>Whether one method overrides or hides another.</summary>
    /// <param name="one">A method.</param>
    /// <param name="other">Another one.</param>
    private static bool HaveSameParameters(MethodInfo one, MethodInfo other) =>
        one.GetParameters()
            .Select(parameter => parameter.ParameterType)
            .SequenceEqual(other.GetParameters().Select(parameter => parameter.ParameterType));
}
