using System.Collections;
using System.Globalization;
using System.Reflection;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>Reads non-public options of TorchSharp's modules. The tests of each module verify that the names still
/// exist.</summary>
internal static class ModuleFields
{
    private const BindingFlags Any =
        BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>
    /// The value of the first existing member with one of these names; null if the module has none of them.
    /// </summary>
    /// <param name="module">Any module.</param>
    /// <param name="names">Names of fields or properties, public or not.</param>
    public static object? Find(nn.Module module, params string[] names)
    {
        foreach (var name in names)
        {
            for (var type = module.GetType(); type is not null; type = type.BaseType)
            {
                if (type.GetProperty(name, Any) is { CanRead: true } property)
                    return property.GetValue(module);
                if (type.GetField(name, Any) is { } field)
                    return field.GetValue(module);
            }
        }

        return null;
    }

    /// <summary>The value of a member that must exist.</summary>
    /// <param name="module">Any module.</param>
    /// <param name="names">Names of fields or properties, public or not.</param>
    /// <exception cref="ExportException">The module has none of them, because this is another version of
    /// TorchSharp.</exception>
    public static object Get(nn.Module module, params string[] names) =>
        Find(module, names)
        ?? throw new ExportException(
            $"{module.GetType().Name} has no member {string.Join(" or ", names)}: this version of TorchSharp is "
                + "not the one that the exporter was written for. Use TorchSharp 0.107.0."
        );

    /// <summary>An option of one or several integers.</summary>
    /// <param name="module">Any module.</param>
    /// <param name="names">Names of fields or properties.</param>
    public static long[] Longs(nn.Module module, params string[] names) =>
        Get(module, names) switch
        {
            long number => [number],
            int number => [number],
            System.Runtime.CompilerServices.ITuple tuple =>
            [
                .. Enumerable
                    .Range(0, tuple.Length)
                    .Select(i => Convert.ToInt64(tuple[i], CultureInfo.InvariantCulture)),
            ],
            IEnumerable list =>
            [
                .. list.Cast<object>().Select(item => Convert.ToInt64(item, CultureInfo.InvariantCulture)),
            ],
            var other => throw new ExportException($"{module.GetType().Name}.{names[0]} is {other}, expected integers"),
        };

    /// <summary>An option of one or several integers, or null.</summary>
    /// <param name="module">Any module.</param>
    /// <param name="names">Names of fields or properties.</param>
    public static long[]? OptionalLongs(nn.Module module, params string[] names) =>
        Find(module, names) is null ? null : Longs(module, names);

    /// <summary>A number, or the fallback if the module has none.</summary>
    /// <param name="module">Any module.</param>
    /// <param name="fallback">Value to use if there is none.</param>
    /// <param name="names">Names of fields or properties.</param>
    public static double Double(nn.Module module, double fallback, params string[] names) =>
        Find(module, names) is { } value ? Convert.ToDouble(value, CultureInfo.InvariantCulture) : fallback;

    /// <summary>An integer, or the fallback if the module has none.</summary>
    /// <param name="module">Any module.</param>
    /// <param name="fallback">Value to use if there is none.</param>
    /// <param name="names">Names of fields or properties.</param>
    public static long Long(nn.Module module, long fallback, params string[] names) =>
        Find(module, names) is { } value ? Convert.ToInt64(value, CultureInfo.InvariantCulture) : fallback;

    /// <summary>A boolean, or the fallback if the module has none.</summary>
    /// <param name="module">Any module.</param>
    /// <param name="fallback">Value to use if there is none.</param>
    /// <param name="names">Names of fields or properties.</param>
    public static bool Bool(nn.Module module, bool fallback, params string[] names) =>
        Find(module, names) as bool? ?? fallback;
}
