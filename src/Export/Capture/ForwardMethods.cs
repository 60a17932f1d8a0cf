using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Finds the <c>forward</c> that a call of a module reaches: a class may have several, and may override or
/// hide its base's.</summary>
internal static class ForwardMethods
{
    /// <summary>
    /// Every public <c>forward</c> of a module's run-time type, the most derived first; an overridden one is not
    /// repeated.
    /// </summary>
    /// <param name="type">Type of the module.</param>
    /// <returns>Methods with a body; none for a module of TorchSharp that has only a native one.</returns>
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
    /// Whether a method fills the slot that TorchSharp's <c>call</c> reaches, so that it is what <c>model.call(x)</c>
    /// runs.
    /// </summary>
    /// <param name="method">A <c>forward</c>.</param>
    public static bool IsReachedByCall(MethodInfo method) =>
        method.IsVirtual && TorchTypes.IsTorch(method.GetBaseDefinition().DeclaringType);

    /// <summary>The <c>forward</c> that a call site reaches.</summary>
    /// <param name="site">Calls <c>call</c> or <c>forward</c>.</param>
    /// <param name="type">Run-time type of the module.</param>
    /// <param name="arguments">What is given, the module first.</param>
    /// <returns>Null where no forward takes such arguments.</returns>
    public static MethodInfo? Reached(CallSite site, Type type, IReadOnlyList<object?> arguments)
    {
        var callee = (MethodInfo)site.Callee;
        if (!TorchTypes.IsTorch(callee.DeclaringType) && !callee.IsAbstract)
            return site.IsVirtual ? VirtualMethods.Resolve(callee, type) : callee;
        // `base.forward(x)` and a class of TorchSharp that has one of its own.
        if (!site.IsVirtual && callee.Name == "forward" && !callee.IsAbstract)
            return callee;
        var wanted = callee.GetParameters().Select(parameter => parameter.ParameterType).ToArray();
        return Of(type)
            .FirstOrDefault(method =>
                method.GetParameters().Select(parameter => parameter.ParameterType).SequenceEqual(wanted)
            )
            ?? Fitting(type, [.. arguments.Skip(1)]);
    }

    /// <summary>The <c>forward</c> that takes some arguments, with as few others as possible.</summary>
    /// <param name="type">Run-time type of the module.</param>
    /// <param name="arguments">What is given, without the module.</param>
    /// <returns>Null where no forward takes such arguments.</returns>
    public static MethodInfo? Fitting(Type type, IReadOnlyList<object?> arguments) =>
        Of(type)
            .Where(method => Takes(method.GetParameters(), arguments))
            .OrderBy(method => IsReachedByCall(method) ? 0 : 1)
            .ThenBy(method => method.GetParameters().Length)
            .FirstOrDefault();

    /// <summary>Arguments with the defaults of the parameters that are not given.</summary>
    /// <param name="method">A <c>forward</c>.</param>
    /// <param name="arguments">What is given, the module first.</param>
    /// <returns>As many as the method has parameters, the module first.</returns>
    public static object?[] WithDefaults(MethodInfo method, IReadOnlyList<object?> arguments) =>
        [.. arguments, .. method.GetParameters().Skip(arguments.Count - 1).Select(DefaultOf)];

    /// <summary>The default of a parameter, as reflection takes it.</summary>
    /// <param name="parameter">Of a <c>forward</c>.</param>
    public static object? DefaultOf(ParameterInfo parameter) =>
        parameter.HasDefaultValue ? parameter.DefaultValue : null;

    /// <summary>Whether parameters take some arguments, and have defaults for the rest.</summary>
    /// <param name="parameters">Of a method.</param>
    /// <param name="arguments">Those of the caller.</param>
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
