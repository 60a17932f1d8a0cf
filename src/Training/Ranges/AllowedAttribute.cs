using System.Globalization;
using System.Reflection;
using TorchBridge.Onnx;

namespace TorchBridge.Training.Ranges;

/// <summary>
/// The allowed range of a property, whether its value comes from the command line, a recipe file or a model's
/// settings. Outside the range, training would fail late, never end, or use unbounded memory. NaN is never allowed.
/// </summary>
/// <param name="low">Smallest allowed value.</param>
/// <param name="high">Largest allowed value.</param>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class AllowedAttribute(double low, double high) : Attribute
{
    /// <summary>Smallest allowed value.</summary>
    public double Low => low;

    /// <summary>Largest allowed value.</summary>
    public double High => high;

    /// <summary>Whether 0 is allowed too, below <see cref="Low"/>.</summary>
    public bool OrZero { get; init; }

    /// <summary>The number of which values must be a multiple; 0 for no restriction.</summary>
    public int MultipleOf { get; init; }

    /// <summary>The range of a record's property.</summary>
    /// <typeparam name="T">The record.</typeparam>
    /// <param name="property">Its name.</param>
    /// <exception cref="InvalidOperationException">The property has no range.</exception>
    public static AllowedAttribute Of<T>(string property) =>
        typeof(T).GetProperty(property)?.GetCustomAttribute<AllowedAttribute>()
        ?? throw new InvalidOperationException($"{typeof(T).Name}.{property} has no range");

    /// <summary>Whether a number is allowed.</summary>
    /// <param name="value">Any number; NaN is never allowed.</param>
    public bool Contains(double value) =>
        ((value >= low && value <= high) || (OrZero && value == 0)) && (MultipleOf == 0 || value % MultipleOf == 0);

    /// <summary>Describes the range in the format in which values are typed: no thousands separators, a decimal
    /// point.</summary>
    public override string ToString()
    {
        var range = $"{Text(low)} to {Text(high)}";
        return (OrZero ? "0, or " : "")
            + (
                MultipleOf > 0
                    ? string.Create(CultureInfo.InvariantCulture, $"a multiple of {MultipleOf} from {range}")
                    : range
            );
    }

    /// <summary>Formats a bound without separators.</summary>
    /// <param name="value">The bound.</param>
    private static string Text(double value) =>
        value == Math.Floor(value) && Math.Abs(value) < 1e15
            ? value.ToString("F0", CultureInfo.InvariantCulture)
            : Numbers.Exact(value);
}
