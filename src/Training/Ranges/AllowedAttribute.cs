using System.Globalization;
using System.Reflection;
using TorchBridge.Onnx;

namespace TorchBridge.Training.Ranges;

/// <summary>
/// The numbers that a property may hold, wherever they come from: the command line, a recipe's file, a model's own
/// settings. Outside of them training fails late, never ends, or takes memory without a bound. NaN is in no range.
/// </summary>
/// <param name="low">The smallest.</param>
/// <param name="high">The largest.</param>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class AllowedAttribute(double low, double high) : Attribute
{
    /// <summary>The smallest.</summary>
    public double Low => low;

    /// <summary>The largest.</summary>
    public double High => high;

    /// <summary>Whether 0 is allowed too, below <see cref="Low"/>.</summary>
    public bool OrZero { get; init; }

    /// <summary>What the number must be a multiple of; 0 for nothing.</summary>
    public int MultipleOf { get; init; }

    /// <summary>The range of a record's property.</summary>
    /// <typeparam name="T">The record.</typeparam>
    /// <param name="property">Its name.</param>
    /// <exception cref="InvalidOperationException">It has none.</exception>
    public static AllowedAttribute Of<T>(string property) =>
        typeof(T).GetProperty(property)?.GetCustomAttribute<AllowedAttribute>()
        ?? throw new InvalidOperationException($"{typeof(T).Name}.{property} has no range");

    /// <summary>Whether a number is allowed.</summary>
    /// <param name="value">Any number; NaN is in no range.</param>
    public bool Contains(double value) =>
        ((value >= low && value <= high) || (OrZero && value == 0)) && (MultipleOf == 0 || value % MultipleOf == 0);

    /// <summary>What is allowed, in the form in which it is typed: no separators of thousands, a decimal
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

    /// <summary>A bound without separators, whole where it is whole.</summary>
    /// <param name="value">The bound.</param>
    private static string Text(double value) =>
        value == Math.Floor(value) && Math.Abs(value) < 1e15
            ? value.ToString("F0", CultureInfo.InvariantCulture)
            : Numbers.Exact(value);
}
