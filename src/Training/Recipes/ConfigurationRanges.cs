using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.Json;
using TorchBridge.Onnx;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>Checks a recipe by the ranges that stand on its records.</summary>
internal static class ConfigurationRanges
{
    /// <summary>Checks a configuration.</summary>
    /// <param name="configuration">What was read.</param>
    /// <param name="source">What to call it in an error.</param>
    /// <exception cref="UserException">A value is out of its range, or no value of its kind.</exception>
    public static void Check(RunConfiguration configuration, string source)
    {
        CheckRecord(configuration, source);
        if (configuration.Training.Window > 0 && configuration.Network.Norm == NormKind.Layer)
            throw new UserException(
                $"{source}: a window does not go with the norm 'layer', whose weights have the size of the whole picture."
            );
        if (
            configuration.Network.Form == BlockForm.Pooled
            && configuration.Training.Window is > 0 and < ModernCnn.SmallestPooled
        )
            throw new UserException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{source}: a window of {configuration.Training.Window} pixels is too small for the form 'pooled', "
                        + $"which halves it three times; allowed is {ModernCnn.SmallestPooled} or more."
                )
            );
    }

    /// <summary>How a record differs from another, value by value, for people.</summary>
    /// <typeparam name="T">Their type.</typeparam>
    /// <param name="now">A record.</param>
    /// <param name="was">The record it is compared with.</param>
    /// <returns>One text a value that differs: its name, what it is and what it was.</returns>
    public static IEnumerable<string> Differences<T>(T now, T was)
        where T : class
    {
        foreach (var property in PropertiesOf(now.GetType()))
        {
            var (value, before) = (property.GetValue(now), property.GetValue(was));
            if (Equals(value, before))
                continue;
            if (value is not null && before is not null && IsRecord(value.GetType()))
            {
                foreach (var inner in Differences(value, before))
                    yield return inner;
            }
            else
                yield return $"{JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name)} is {Text(value)}, and was {Text(before)}";
        }

        static string Text(object? value) =>
            value switch
            {
                null => "not given",
                Enum choice => JsonNamingPolicy.SnakeCaseLower.ConvertName(choice.ToString()),
                double number => Numbers.Exact(number),
                IFormattable other => other.ToString(null, CultureInfo.InvariantCulture),
                _ => value.ToString()!,
            };
    }

    /// <summary>The properties of a record that are read and written.</summary>
    /// <param name="record">Its type.</param>
    public static IEnumerable<PropertyInfo> PropertiesOf(Type record) =>
        record
            .GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.CanWrite && property.GetIndexParameters().Length == 0);

    /// <summary>Whether a type is a record of settings, whose properties are looked at one by one.</summary>
    /// <param name="type">Any type.</param>
    public static bool IsRecord(Type type) =>
        type.IsClass
        && !typeof(IEnumerable).IsAssignableFrom(type)
        && type.Namespace!.StartsWith(Ours, StringComparison.Ordinal);

    private const string Ours = "TorchBridge.Training";

    /// <summary>Checks the numbers of a record and of the records in it.</summary>
    /// <param name="record">The record.</param>
    /// <param name="source">The file, for an error.</param>
    /// <exception cref="UserException">A number is out of its range; the message says which and what is
    /// allowed.</exception>
    private static void CheckRecord(object record, string source)
    {
        foreach (var property in PropertiesOf(record.GetType()))
        {
            var name = JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name);
            var value = property.GetValue(record);
            if (value is null)
            {
                if (Nullable.GetUnderlyingType(property.PropertyType) is null && IsRecord(property.PropertyType))
                    throw new UserException($"{source}: {name} is null; leave it out, or give its values.");
            }
            else if (value is Enum choice)
            {
                if (!Enum.IsDefined(value.GetType(), value))
                    throw new UserException(
                        $"{source}: {name} is {choice}; allowed is {string.Join(", ", NamesOf(value.GetType()))}."
                    );
            }
            else if (property.GetCustomAttribute<AllowedAttribute>() is { } allowed)
            {
                var number = Convert.ToDouble(value, CultureInfo.InvariantCulture);
                if (!allowed.Contains(number))
                    throw new UserException($"{source}: {name} is {Numbers.Exact(number)}; allowed is {allowed}.");
            }
            else if (IsRecord(value.GetType()))
                CheckRecord(value, source);
        }
    }

    /// <summary>The values of a choice as files write them.</summary>
    /// <param name="choice">An enum.</param>
    public static IEnumerable<string> NamesOf(Type choice) =>
        Enum.GetNames(choice).Select(JsonNamingPolicy.SnakeCaseLower.ConvertName);
}
