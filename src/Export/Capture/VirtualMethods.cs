using System.Reflection;

namespace TorchBridge.Export.Capture;

/// <summary>Finds the method that a virtual call reaches.</summary>
internal static class VirtualMethods
{
    /// <summary>The implementation of <paramref name="method"/> in <paramref name="type"/>.</summary>
    public static MethodInfo Resolve(MethodInfo method, Type type)
    {
        if (!method.IsVirtual)
            return method;
        if (type.IsArray)
            return method; // of the framework, and without interface maps
        if (method.DeclaringType!.IsInterface && !type.IsInterface)
        {
            var map = type.GetInterfaceMap(method.DeclaringType);
            var definition = method.IsGenericMethod ? method.GetGenericMethodDefinition() : method;
            var at = Array.IndexOf(map.InterfaceMethods, definition);
            if (at < 0)
                return method;
            var target = map.TargetMethods[at];
            return method.IsGenericMethod ? target.MakeGenericMethod(method.GetGenericArguments()) : target;
        }

        const BindingFlags declared =
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
        var root = method.GetBaseDefinition();
        for (var at = type; at is not null && at != method.DeclaringType; at = at.BaseType)
        {
            var found = at.GetMethods(declared)
                .FirstOrDefault(candidate => candidate.IsVirtual && candidate.GetBaseDefinition() == root);
            if (found is not null)
                return found;
        }

        return method;
    }
}
