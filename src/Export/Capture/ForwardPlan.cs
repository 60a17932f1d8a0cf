using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>How the model's own <c>forward</c> is called: which overload, where each argument comes from, and the
/// names of the inputs.</summary>
internal sealed class ForwardPlan
{
    /// <summary>Where each argument comes from, in the order of the method's parameters.</summary>
    private readonly Slot[] slots;

    /// <summary>Creates a plan for a method all of whose arguments are known.</summary>
    /// <param name="method">The forward to call.</param>
    /// <param name="slots">Where each of its arguments comes from.</param>
    private ForwardPlan(MethodInfo method, Slot[] slots)
    {
        Method = method;
        this.slots = slots;
        Names = [.. slots.SelectMany(slot => slot.Names)];
    }

    /// <summary>Where an argument comes from.</summary>
    private enum SlotKind
    {
        Constant,
        Tensor,
        Sequence,
        Tuple,
    }

    /// <summary>The overload.</summary>
    public MethodInfo Method { get; }

    /// <summary>A name for each input tensor: the parameter's, numbered if the parameter takes several.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>
    /// Finds the overload that accepts the examples: the one that <c>call</c> reaches if it does, otherwise the one
    /// with the fewest additional arguments.
    /// </summary>
    /// <param name="module">The model.</param>
    /// <param name="examples">Number of input tensors.</param>
    /// <param name="constants">Values of arguments that are not inputs, by parameter name.</param>
    /// <returns>The plan; its names are those of the file's inputs.</returns>
    /// <exception cref="ExportException">No overload accepts them; the message says what is missing.</exception>
    public static ForwardPlan Find(
        nn.Module module,
        int examples,
        IReadOnlyDictionary<string, object?>? constants = null
    )
    {
        constants ??= new Dictionary<string, object?>();
        var name = module.GetType().Name;
        var methods = ForwardMethods.Of(module.GetType());
        if (methods.Count == 0)
            throw new ExportException("", null, $"{name} has no public forward method");
        if (examples == 0)
            throw new ExportException(
                "",
                null,
                $"no example inputs are given. Pass one tensor per tensor argument of {Signature(methods[0])}."
            );
        foreach (
            var unknown in constants.Keys.Where(key =>
                !methods.Any(method => method.GetParameters().Any(parameter => parameter.Name == key))
            )
        )
            throw new ExportException(
                "",
                null,
                $"ExportOptions.Arguments names '{unknown}', which is not a parameter of "
                    + $"{string.Join(" or ", methods.Select(Signature))}"
            );
        var tried = methods
            .Select(method =>
                (Method: method, Slots: Fill(method, examples, constants, out var problem), Problem: problem)
            )
            .ToArray();
        var best = tried
            .Where(one => one.Problem is null)
            .OrderBy(one => ForwardMethods.IsReachedByCall(one.Method) ? 0 : 1)
            .ThenBy(one => one.Slots.Count(slot => slot.Kind == SlotKind.Constant))
            .FirstOrDefault();
        if (best.Method is not null)
            return new ForwardPlan(best.Method, best.Slots);
        var nearest = tried.OrderBy(one => ForwardMethods.IsReachedByCall(one.Method) ? 0 : 1).First();
        throw new ExportException(
            "",
            null,
            $"{name}.forward: {nearest.Problem}. The signature is {string.Join(" or ", methods.Select(Signature))}."
        );
    }

    /// <summary>The arguments of the method, without the module.</summary>
    /// <param name="inputs">The input tensors.</param>
    /// <returns>In the form that reflection expects.</returns>
    public object?[] Arguments(IReadOnlyList<Tensor> inputs)
    {
        var next = 0;
        return
        [
            .. slots.Select(slot =>
            {
                var mine = inputs.Skip(next).Take(slot.Names.Length).ToArray();
                next += mine.Length;
                return slot.Kind switch
                {
                    SlotKind.Constant => slot.Value,
                    SlotKind.Tensor => mine[0],
                    SlotKind.Sequence => Sequence(slot.Type, mine),
                    _ => Activator.CreateInstance(slot.Type, [.. mine]),
                };
            }),
        ];
    }

    /// <summary>Calls the original method, not the instrumented copy.</summary>
    /// <param name="module">The model.</param>
    /// <param name="inputs">The input tensors.</param>
    /// <returns>The result of forward.</returns>
    public object? Call(nn.Module module, IReadOnlyList<Tensor> inputs) =>
        Method.Invoke(module, BindingFlags.DoNotWrapExceptions, null, Arguments(inputs), null);

    /// <summary>
    /// Assigns the examples to a method's parameters from left to right; the remaining parameters need constants or
    /// default values.
    /// </summary>
    /// <param name="method">An overload of forward.</param>
    /// <param name="examples">Number of input tensors; every one must be assigned.</param>
    /// <param name="constants">Constant values by parameter name.</param>
    /// <param name="problem">Why the overload does not fit; null if it does.</param>
    private static Slot[] Fill(
        MethodInfo method,
        int examples,
        IReadOnlyDictionary<string, object?> constants,
        out string? problem
    )
    {
        problem = null;
        var slots = new List<Slot>();
        var parameters = method.GetParameters();
        var left = examples;
        for (var position = 0; position < parameters.Length; position++)
        {
            var parameter = parameters[position];
            var type = Nullable.GetUnderlyingType(parameter.ParameterType) ?? parameter.ParameterType;
            var later = parameters
                .Skip(position + 1)
                .Count(other =>
                    typeof(Tensor).IsAssignableFrom(other.ParameterType)
                    && !other.HasDefaultValue
                    && !constants.ContainsKey(other.Name!)
                );
            if (constants.TryGetValue(parameter.Name!, out var constant))
            {
                slots.Add(Constant(parameter, type, constant, ref problem));
            }
            else if (left > 0 && type.IsAssignableFrom(typeof(Tensor)) && typeof(Tensor).IsAssignableFrom(type))
            {
                slots.Add(new Slot(SlotKind.Tensor, type, null, [parameter.Name!]));
                left--;
            }
            else if (left > later && IsSequence(type))
            {
                slots.Add(
                    new Slot(
                        SlotKind.Sequence,
                        type,
                        null,
                        [.. Enumerable.Range(0, left - later).Select(number => $"{parameter.Name}{number}")]
                    )
                );
                left = later;
            }
            else if (TupleArity(type) is > 0 and var arity && left >= arity)
            {
                slots.Add(
                    new Slot(
                        SlotKind.Tuple,
                        type,
                        null,
                        [.. Enumerable.Range(0, arity).Select(number => $"{parameter.Name}{number}")]
                    )
                );
                left -= arity;
            }
            else if (
                parameter.HasDefaultValue
                || (
                    TorchTypes.IsTorch(method.DeclaringType)
                    && (
                        !parameter.ParameterType.IsValueType
                        || Nullable.GetUnderlyingType(parameter.ParameterType) is not null
                    )
                )
            )
            {
                // TorchSharp's own modules accept null for what is optional in PyTorch.
                slots.Add(new Slot(SlotKind.Constant, type, ForwardMethods.DefaultOf(parameter), []));
            }
            else
            {
                problem ??= TorchTypes.CarriesTensors(type)
                    ? $"{examples} example{(examples == 1 ? " is" : "s are")} given, and none is left for "
                        + $"its argument '{parameter.Name}' ({Shown(type)})"
                    : $"its argument '{parameter.Name}' ({Shown(type)}) has no default. Give its value with "
                        + $"ExportOptions.Arguments[\"{parameter.Name}\"]; it becomes a constant of the file";
            }
        }

        if (left > 0)
            problem ??= $"it takes {examples - left} input tensors, and {examples} examples are given";
        return [.. slots];
    }

    /// <summary>
    /// An argument with a constant value, converted to the parameter's type.
    /// </summary>
    /// <param name="parameter">The parameter that the value is for.</param>
    /// <param name="type">The parameter's type, without Nullable.</param>
    /// <param name="value">The constant; null is allowed if the parameter accepts it.</param>
    /// <param name="problem">Set if the value cannot be converted; otherwise unchanged.</param>
    private static Slot Constant(ParameterInfo parameter, Type type, object? value, ref string? problem)
    {
        try
        {
            object? converted = value switch
            {
                null
                    when parameter.ParameterType.IsValueType
                        && Nullable.GetUnderlyingType(parameter.ParameterType) is null =>
                    throw new InvalidCastException(),
                null => null,
                string text when type.IsEnum => Enum.Parse(type, text),
                IConvertible when !type.IsInstanceOfType(value) && type.IsEnum => Enum.ToObject(type, value),
                IConvertible when !type.IsInstanceOfType(value) => Convert.ChangeType(
                    value,
                    type,
                    CultureInfo.InvariantCulture
                ),
                _ when type.IsInstanceOfType(value) => value,
                _ => throw new InvalidCastException(),
            };
            return new Slot(SlotKind.Constant, type, converted, []);
        }
        catch (Exception error)
            when (error is InvalidCastException or FormatException or ArgumentException or OverflowException)
        {
            problem ??=
                $"ExportOptions.Arguments[\"{parameter.Name}\"] is {value ?? "null"}, but that parameter is of "
                + $"type {Shown(type)}";
            return new Slot(SlotKind.Constant, type, null, []);
        }
    }

    /// <summary>Whether a parameter takes several tensors as an array or list.</summary>
    /// <param name="type">Type of a parameter.</param>
    private static bool IsSequence(Type type) =>
        type != typeof(string)
        && (type == typeof(Tensor[]) || type.IsAssignableFrom(typeof(List<Tensor>)))
        && typeof(IEnumerable).IsAssignableFrom(type);

    /// <summary>Number of tensors in a tuple type; 0 for any other type.</summary>
    /// <param name="type">Type of a parameter.</param>
    /// <returns>The number of elements if all of them are tensors; otherwise 0.</returns>
    private static int TupleArity(Type type) =>
        typeof(ITuple).IsAssignableFrom(type)
        && type.IsGenericType
        && type.GetGenericArguments() is var items
        && items.All(item => typeof(Tensor).IsAssignableFrom(item))
            ? items.Length
            : 0;

    /// <summary>Converts tensors to the array or list that a parameter takes.</summary>
    /// <param name="type">Type of the parameter.</param>
    /// <param name="tensors">Its elements.</param>
    private static object Sequence(Type type, Tensor[] tensors) =>
        type.IsAssignableFrom(typeof(List<Tensor>)) && type != typeof(Tensor[]) ? tensors.ToList() : tensors;

    /// <summary>The C# signature of a forward method, for error messages.</summary>
    /// <param name="method">A forward method.</param>
    private static string Signature(MethodInfo method) =>
        $"forward({string.Join(", ", method.GetParameters().Select(Shown))})";

    /// <summary>A parameter in C# syntax.</summary>
    /// <param name="parameter">A parameter of forward.</param>
    private static string Shown(ParameterInfo parameter) =>
        $"{Shown(parameter.ParameterType)} {parameter.Name}{(parameter.HasDefaultValue ? " = …" : "")}";

    /// <summary>A type in C# syntax.</summary>
    /// <param name="type">Type of a parameter.</param>
    private static string Shown(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return $"{Shown(inner)}?";
        if (type.IsArray)
            return $"{Shown(type.GetElementType()!)}[]";
        if (type.IsGenericType)
            return $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<"
                + $"{string.Join(", ", type.GetGenericArguments().Select(Shown))}>";
        return Type.GetTypeCode(type) switch
        {
            _ when type.IsEnum => type.Name,
            TypeCode.Int32 => "int",
            TypeCode.Int64 => "long",
            TypeCode.Boolean => "bool",
            TypeCode.Single => "float",
            TypeCode.Double => "double",
            TypeCode.String => "string",
            _ => type.Name,
        };
    }

    /// <summary>Where one argument of forward comes from.</summary>
    private sealed record Slot(SlotKind Kind, Type Type, object? Value, string[] Names);
}
