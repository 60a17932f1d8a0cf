using System.Reflection;
using System.Text;

namespace TorchBridge.Testing;

/// <summary>The public members of an assembly as text, for a snapshot: a change of the public API is visible in a
/// diff, and cannot be made by accident.</summary>
public static class PublicApi
{
    /// <summary>Describes an assembly: one line per member, sorted.</summary>
    public static string Of(Assembly assembly)
    {
        var text = new StringBuilder();
        foreach (var type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(Kind(type)).Append(' ').Append(Name(type)).Append('\n');
            const BindingFlags declared =
                BindingFlags.Public
                | BindingFlags.NonPublic
                | BindingFlags.Instance
                | BindingFlags.Static
                | BindingFlags.DeclaredOnly;
            var members = type.GetMembers(declared)
                .Where(IsVisible)
                .Select(Describe)
                .Where(line => line.Length > 0)
                .Distinct()
                .Order(StringComparer.Ordinal);
            foreach (var member in members)
                text.Append("  ").Append(member).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>Compares an assembly with its committed snapshot.</summary>
    /// <returns>Null if they agree; otherwise a message that says what to do.</returns>
    public static string? Difference(Assembly assembly, string snapshot) =>
        Snapshot.Difference(Of(assembly), snapshot, "the public API");

    private static bool IsVisible(MemberInfo member) =>
        member switch
        {
            MethodBase method => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly,
            FieldInfo field => field.IsPublic || field.IsFamily,
            PropertyInfo property => (property.GetMethod ?? property.SetMethod) is { } accessor && IsVisible(accessor),
            Type nested => nested.IsNestedPublic,
            _ => false,
        };

    private static string Describe(MemberInfo member) =>
        member switch
        {
            // Members that the compiler generates for records and properties are left out.
            MethodInfo method
                when method.IsSpecialName
                    || method.Name.Contains('<', StringComparison.Ordinal)
                    || method.Name is "PrintMembers" or "GetHashCode" or "Equals" or "Deconstruct" => "",
            MethodInfo method =>
                $"{(method.IsStatic ? "static " : "")}{Name(method.ReturnType)} {method.Name}({Parameters(method)})",
            ConstructorInfo constructor => $".ctor({Parameters(constructor)})",
            PropertyInfo { Name: "EqualityContract" } => "",
            PropertyInfo property => $"{Name(property.PropertyType)} {property.Name} {{ "
                + $"{(property.GetMethod is { IsPublic: true } ? "get; " : "")}"
                + $"{(property.SetMethod is { IsPublic: true } ? "set; " : "")}}}",
            FieldInfo field when field.IsSpecialName => "",
            FieldInfo field =>
                $"{(field.IsLiteral ? "const " : field.IsStatic ? "static " : "")}{Name(field.FieldType)} {field.Name}",
            _ => "",
        };

    private static string Parameters(MethodBase method) =>
        string.Join(
            ", ",
            method
                .GetParameters()
                .Select(parameter =>
                    $"{Name(parameter.ParameterType)} {parameter.Name}{(parameter.HasDefaultValue ? " = default" : "")}"
                )
        );

    private static string Kind(Type type) =>
        type.IsEnum ? "enum"
        : type.IsInterface ? "interface"
        : type.IsValueType ? "struct"
        : type is { IsAbstract: true, IsSealed: true } ? "static class"
        : typeof(Delegate).IsAssignableFrom(type) ? "delegate"
        : "class";

    private static string Name(Type type) =>
        type.IsGenericType
            ? $"{(type.FullName ?? type.Name).Split('`')[0].Replace('+', '.')}<"
                + $"{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
        : type.IsArray ? $"{Name(type.GetElementType()!)}[]"
        : (type.FullName ?? type.Name).Replace('+', '.');
}
