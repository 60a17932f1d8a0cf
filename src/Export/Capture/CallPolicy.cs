using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>What is done with a call that an instrumented method makes.</summary>
internal enum CallKind
{
    /// <summary>No tensor is made, changed or read: it simply runs.</summary>
    LeaveAlone,

    /// <summary>A method of TorchSharp that makes or changes tensors: it runs and is recorded.</summary>
    Operation,

    /// <summary><c>call</c> or <c>forward</c> of a module: recorded as one where the module has a lowering, else
    /// entered.</summary>
    Module,

    /// <summary>A method of the user, or a delegate over tensors: entered.</summary>
    Enter,

    /// <summary>A method of TorchSharp that returns the tensor it is given (dispose scopes): it runs and the value
    /// stays the same.</summary>
    SameValue,

    /// <summary>A method that reads numbers out of a tensor: refused when it is called.</summary>
    ReadsNumbers,
}

/// <summary>Decides by a method's signature what is done with a call to it.</summary>
internal static class CallPolicy
{
    /// <summary>Getters of tensors that describe and do not read: they may steer <c>forward</c>.</summary>
    private static readonly HashSet<string> Describing = new(StringComparer.Ordinal)
    {
        "get_shape",
        "size",
        "get_Item",
        "dim",
        "get_ndim",
        "get_Dimensions",
        "numel",
        "get_NumberOfElements",
        "get_dtype",
        "get_device",
        "get_device_type",
        "get_device_index",
        "stride",
        "is_contiguous",
        "get_requires_grad",
        "get_IsInvalid",
        "get_is_leaf",
        "get_is_sparse",
        "get_layout",
        "get_ElementSize",
        "element_size",
        "is_floating_point",
        "is_complex",
        "is_integral",
        "get_is_cuda",
        "get_is_cpu",
        "get_itemsize",
        "get_nbytes",
        "get_names",
        "has_names",
        "Dispose",
        "ToString",
        "GetHashCode",
        "Equals",
        "get_Handle",
        "DecoupleFromNativeHandle",
        "get_is_quantized",
        "is_nonzero_shape",
        "result_type",
        "can_cast",
        "broadcast_shapes",
        "print",
        "IntShape",
        "get_grad_fn",
        "get_retains_grad",
        "get_is_nested",
        "storage_offset",
    };

    /// <summary>Methods that return the tensor they are given, under another owner.</summary>
    private static readonly HashSet<string> Passing = new(StringComparer.Ordinal)
    {
        "MoveToOuterDisposeScope",
        "MoveToOuter",
        "MoveToOtherDisposeScope",
        "MoveToOther",
        "DetachFromDisposeScope",
        "Detach",
        "Attach",
        "Include",
    };

    /// <summary>Classifies a call to <paramref name="method"/>.</summary>
    /// <param name="method">What is called: of TorchSharp, the framework, or the user.</param>
    public static CallKind Classify(MethodBase method)
    {
        var declaring = method.DeclaringType;
        if (declaring is null || method is not MethodInfo info)
            return CallKind.LeaveAlone;
        if (typeof(Delegate).IsAssignableFrom(declaring))
            return method.Name == "Invoke" ? CallKind.Enter : CallKind.LeaveAlone;
        // What the compiler writes for collection expressions: inline arrays seen as spans.
        if (declaring.Name.StartsWith("<PrivateImplementationDetails>", StringComparison.Ordinal))
            return CallKind.LeaveAlone;
        if (TorchTypes.IsUser(declaring))
            return CallKind.Enter;
        if (declaring.IsInterface && method.Name is "MoveNext" or "GetEnumerator")
            return CallKind.Enter;
        if (!TorchTypes.IsTorch(declaring))
            return CallKind.LeaveAlone;
        if (TorchTypes.IsModuleCall(method) || IsArrow(method))
            return CallKind.Module;
        if (TorchTypes.IsModule(declaring) || typeof(Scalar).IsAssignableFrom(declaring))
            return CallKind.LeaveAlone;
        return OfTorch(info);
    }

    /// <summary>Whether a call is <c>x --> module</c>, as F# writes a module's call.</summary>
    /// <param name="method">What is called.</param>
    public static bool IsArrow(MethodBase method) =>
        method.Name == "op_MinusMinusGreater" && TorchTypes.IsTorch(method.DeclaringType);

    /// <summary>Classifies <c>new T(…)</c>.</summary>
    /// <param name="constructor">Of T.</param>
    public static CallKind ClassifyConstruction(ConstructorInfo constructor)
    {
        var type = constructor.DeclaringType!;
        var takesTensors = constructor
            .GetParameters()
            .Any(parameter => TorchTypes.CarriesTensors(parameter.ParameterType));
        // new Parameter(x) is x; classes of the user may compute with what they are given, modules compute their
        // weights.
        if (typeof(Tensor).IsAssignableFrom(type))
            return takesTensors ? CallKind.SameValue : CallKind.LeaveAlone;
        return
            TorchTypes.IsUser(type)
            && takesTensors
            && !type.IsValueType
            && !TorchTypes.IsModule(type)
            && !typeof(Delegate).IsAssignableFrom(type)
            ? CallKind.Enter
            : CallKind.LeaveAlone;
    }

    /// <summary>
    /// Classifies a method of TorchSharp by its signature: what gives tensors is an operation, what only describes
    /// one is left alone, what reads its numbers is refused.
    /// </summary>
    /// <param name="method">A method of TorchSharp's assembly.</param>
    private static CallKind OfTorch(MethodInfo method)
    {
        if (method.Name is "Parameter" && method.IsStatic)
            return CallKind.SameValue;
        // It runs the lambda and keeps what that returns.
        if (method.Name is "WrappedTensorDisposeScope")
            return CallKind.LeaveAlone;
        // Scope and index types are containers that TorchSharp declares; only Passing methods of theirs touch tensors.
        if (Passing.Contains(method.Name) && Touches(method))
            return CallKind.SameValue;
        if (method.DeclaringType == typeof(TensorIndex) || method.DeclaringType == typeof(DisposeScope))
            return CallKind.LeaveAlone;
        // Tensors made of numbers are constants: the traces are compared, and what differs is refused.
        if (method.Name is "tensor" or "from_array" && method.IsStatic)
            return CallKind.LeaveAlone;
        if (TorchTypes.CarriesTensors(method.ReturnType))
            return CallKind.Operation;
        var onTensor = !method.IsStatic && typeof(Tensor).IsAssignableFrom(method.DeclaringType);
        if (!onTensor && !method.GetParameters().Any(parameter => TorchTypes.CarriesTensors(parameter.ParameterType)))
            return CallKind.LeaveAlone;
        if (method.ReturnType == typeof(void) && (IsInPlace(method)))
            return CallKind.Operation;
        return Describing.Contains(method.Name) ? CallKind.LeaveAlone : CallKind.ReadsNumbers;
    }

    /// <summary>
    /// Whether a method changes its receiver by its name: <c>relu_</c>, <c>add_</c>, <c>x[...] = y</c>.
    /// </summary>
    /// <param name="method">A method of TorchSharp.</param>
    public static bool IsInPlace(MethodBase method) =>
        method.Name is "set_Item" or "set_TensorItems"
        || (
            method.Name.EndsWith('_')
            && !method.Name.EndsWith("__", StringComparison.Ordinal)
            && !method.Name.StartsWith("requires_grad", StringComparison.Ordinal)
        );

    /// <summary>Whether a method takes or gives tensors.</summary>
    /// <param name="method">Any method.</param>
    private static bool Touches(MethodInfo method) =>
        TorchTypes.CarriesTensors(method.ReturnType)
        || method.GetParameters().Any(parameter => TorchTypes.CarriesTensors(parameter.ParameterType));
}
