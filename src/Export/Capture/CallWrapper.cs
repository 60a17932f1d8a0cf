// What it does: for one call site, a static method with the callee's stack effect (receiver first) that stands in for
// the call.
// A wrapper of a TorchSharp call asks the recorder what to do, makes the real call if the recorder says so, and
// passes arguments and result on:
//
//   static R wrapper(T self, A a, ReadOnlySpan<long> b) {
//       object[] arguments = { self, a, b.ToArray() };
//       if (Recorder.Intercept(site, arguments, out object handled)) return (R)handled;
//       R result = self.callee(a, b);
//       Recorder.Record(site, arguments, result);
//       return result;
//   }
//
// A call of the user's code goes to the instrumented copy with unchanged arguments (by reference, spans, structs):
//
//   static R wrapper(T self, ref A a) {
//       var entry = (EntryType)Recorder.Enter(site, self);
//       return entry != null ? entry(self, ref a) : self.callee(ref a);
//   }
//
// A call of the framework is made unchanged, except that user code among its arguments (delegates and iterators) is
// replaced by instrumented code: Recorder.Argument does that.
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Builds the wrapper of a call site: a static method with the callee's stack effect that stands in for the call.
/// </summary>
internal static class CallWrapper
{
    /// <summary>Called by a wrapper before a TorchSharp call.</summary>
    private static readonly MethodInfo Intercept = typeof(Recorder).GetMethod(nameof(Recorder.Intercept))!;

    /// <summary>Called by a wrapper after a TorchSharp call.</summary>
    private static readonly MethodInfo Record = typeof(Recorder).GetMethod(nameof(Recorder.Record))!;

    /// <summary>Called by a wrapper before a call of the user's code; returns the instrumented copy.</summary>
    private static readonly MethodInfo Enter = typeof(Recorder).GetMethod(nameof(Recorder.Enter))!;

    /// <summary>Replaces a delegate or sequence that is passed to the framework by an instrumented one.</summary>
    private static readonly MethodInfo Argument = typeof(Recorder).GetMethod(nameof(Recorder.Argument))!;

    /// <summary>
    /// Creates an object without running its constructor; the constructor's instrumented copy runs on it instead.
    /// </summary>
    private static readonly MethodInfo Uninitialized = typeof(RuntimeHelpers).GetMethod(
        nameof(RuntimeHelpers.GetUninitializedObject)
    )!;

    /// <summary>Turns a type's token in IL into a <see cref="Type"/>.</summary>
    private static readonly MethodInfo TypeOfHandle = typeof(Type).GetMethod(nameof(Type.GetTypeFromHandle))!;

    /// <summary>Builds the wrapper of a call.</summary>
    /// <param name="site">The call.</param>
    /// <param name="index">Number of the call site, by which the recorder finds it.</param>
    /// <param name="kind">How the call is handled.</param>
    /// <returns>A method that takes the receiver, if there is one, and the arguments.</returns>
    /// <exception cref="NotSupportedException">The call passes or returns a span or reference that cannot be
    /// recorded.</exception>
    public static DynamicMethod Build(CallSite site, int index, CallKind kind)
    {
        var parameters = ParametersOf(site.Callee);
        var returns = TorchTypes.ReturnType(site.Callee);
        var wrapper = new DynamicMethod(
            $"{site.Callee.Name}@{site.Offset:X}",
            returns,
            [.. parameters],
            typeof(CallWrapper).Module,
            skipVisibility: true
        );
        var il = wrapper.GetILGenerator();
        if (!TorchTypes.IsUser(site.Callee.DeclaringType))
            EmitArguments(il, site.Callee, index);
        switch (kind)
        {
            case CallKind.Enter when site.Callee.IsConstructor:
                EmitConstruction(il, site, parameters, index);
                break;
            case CallKind.Enter:
                EmitEntry(il, site, parameters, index);
                break;
            case CallKind.LeaveAlone:
                EmitRealCall(il, site, parameters.Count);
                break;
            default:
                EmitRecorded(il, site, parameters, returns, index);
                break;
        }

        il.Emit(OpCodes.Ret);
        return wrapper;
    }

    /// <summary>Whether the framework may run the user's code through an argument of a method.</summary>
    /// <param name="method">A method of the framework.</param>
    public static bool TakesCode(MethodBase method) =>
        method.GetParameters().Any(parameter => IsCode(parameter.ParameterType));

    /// <summary>The delegate type through which the copy of a user's method is called.</summary>
    /// <param name="callee">A method, constructor or delegate's Invoke.</param>
    public static Type EntryType(MethodBase callee)
    {
        if (callee.DeclaringType is { } type && typeof(Delegate).IsAssignableFrom(type))
            return type;
        var parameters = callee.GetParameters().Select(parameter => parameter.ParameterType).ToList();
        if (!callee.IsStatic)
            parameters.Insert(0, MethodInstrumenter.ReceiverType(callee));
        return System.Linq.Expressions.Expression.GetDelegateType([
            .. parameters,
            callee is MethodInfo method ? method.ReturnType : typeof(void),
        ]);
    }

    /// <summary>
    /// Whether an argument may hold the user's code: a delegate, or a sequence that is computed while it is read.
    /// </summary>
    /// <param name="type">Type of a parameter.</param>
    private static bool IsCode(Type type) =>
        typeof(Delegate).IsAssignableFrom(type)
        || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IEnumerable<>));

    /// <summary>The types on the stack before the call, the receiver first.</summary>
    /// <param name="callee">The called method.</param>
    /// <returns>The receiver first, if there is one, then the parameters.</returns>
    private static List<Type> ParametersOf(MethodBase callee)
    {
        var parameters = callee.GetParameters().Select(parameter => parameter.ParameterType).ToList();
        if (callee.IsStatic || callee.IsConstructor)
            return parameters;
        parameters.Insert(
            0,
            callee.DeclaringType!.IsValueType ? callee.DeclaringType.MakeByRefType() : callee.DeclaringType
        );
        return parameters;
    }

    /// <summary>Replaces delegates and sequences among the arguments by instrumented ones.</summary>
    /// <param name="il">IL generator of the wrapper.</param>
    /// <param name="callee">The called method.</param>
    /// <param name="index">Number of the call site.</param>
    private static void EmitArguments(ILGenerator il, MethodBase callee, int index)
    {
        var shift = callee.IsStatic || callee.IsConstructor ? 0 : 1;
        foreach (var parameter in callee.GetParameters().Where(parameter => IsCode(parameter.ParameterType)))
        {
            il.Emit(OpCodes.Ldc_I4, index);
            il.Emit(OpCodes.Ldarg, (short)(parameter.Position + shift));
            il.Emit(OpCodes.Call, Argument);
            il.Emit(OpCodes.Castclass, parameter.ParameterType);
            il.Emit(OpCodes.Starg, (short)(parameter.Position + shift));
        }
    }

    /// <summary>Calls the instrumented copy of a user's method, or the method itself where there is none.</summary>
    /// <param name="il">IL generator of the wrapper.</param>
    /// <param name="site">The call site.</param>
    /// <param name="parameters">Parameter types of the wrapper.</param>
    /// <param name="index">Number of the call site.</param>
    private static void EmitEntry(ILGenerator il, CallSite site, List<Type> parameters, int index)
    {
        var isDelegate = typeof(Delegate).IsAssignableFrom(site.Callee.DeclaringType);
        var entry = il.DeclareLocal(typeof(Delegate));
        var realCall = il.DefineLabel();
        il.Emit(OpCodes.Ldc_I4, index);
        if (site.Callee.IsStatic || site.Callee.DeclaringType!.IsValueType)
            il.Emit(OpCodes.Ldnull);
        else
            il.Emit(OpCodes.Ldarg_0);
        il.Emit(OpCodes.Call, Enter);
        il.Emit(OpCodes.Stloc, entry);
        il.Emit(OpCodes.Ldloc, entry);
        il.Emit(OpCodes.Brfalse, realCall);
        il.Emit(OpCodes.Ldloc, entry);
        il.Emit(OpCodes.Castclass, site.EntryType!);
        for (var position = isDelegate ? 1 : 0; position < parameters.Count; position++)
            il.Emit(OpCodes.Ldarg, (short)position);
        il.Emit(OpCodes.Callvirt, site.EntryType!.GetMethod("Invoke")!);
        il.Emit(OpCodes.Ret);
        il.MarkLabel(realCall);
        EmitRealCall(il, site, parameters.Count);
    }

    /// <summary>
    /// Creates an object of a user's class without running its constructor, and runs the constructor's instrumented
    /// copy.
    /// </summary>
    /// <param name="il">IL generator of the wrapper.</param>
    /// <param name="site">The call site.</param>
    /// <param name="parameters">Parameter types of the wrapper.</param>
    /// <param name="index">Number of the call site.</param>
    private static void EmitConstruction(ILGenerator il, CallSite site, List<Type> parameters, int index)
    {
        var made = il.DeclareLocal(site.Callee.DeclaringType!);
        il.Emit(OpCodes.Ldtoken, site.Callee.DeclaringType!);
        il.Emit(OpCodes.Call, TypeOfHandle);
        il.Emit(OpCodes.Call, Uninitialized);
        il.Emit(OpCodes.Castclass, site.Callee.DeclaringType!);
        il.Emit(OpCodes.Stloc, made);
        il.Emit(OpCodes.Ldc_I4, index);
        il.Emit(OpCodes.Ldloc, made);
        il.Emit(OpCodes.Call, Enter);
        il.Emit(OpCodes.Castclass, site.EntryType!);
        il.Emit(OpCodes.Ldloc, made);
        for (var position = 0; position < parameters.Count; position++)
            il.Emit(OpCodes.Ldarg, (short)position);
        il.Emit(OpCodes.Callvirt, site.EntryType!.GetMethod("Invoke")!);
        il.Emit(OpCodes.Ldloc, made);
    }

    /// <summary>Emits a TorchSharp call between the recorder's Intercept and Record.</summary>
    /// <param name="il">IL generator of the wrapper.</param>
    /// <param name="site">The call site.</param>
    /// <param name="parameters">Parameter types of the wrapper.</param>
    /// <param name="returns">Return type of the callee.</param>
    /// <param name="index">Number of the call site.</param>
    private static void EmitRecorded(ILGenerator il, CallSite site, List<Type> parameters, Type returns, int index)
    {
        var arguments = il.DeclareLocal(typeof(object[]));
        var handled = il.DeclareLocal(typeof(object));
        PackArguments(il, parameters, arguments);
        var realCall = il.DefineLabel();
        il.Emit(OpCodes.Ldc_I4, index);
        il.Emit(OpCodes.Ldloc, arguments);
        il.Emit(OpCodes.Ldloca, handled);
        il.Emit(OpCodes.Call, Intercept);
        il.Emit(OpCodes.Brfalse, realCall);
        if (returns != typeof(void))
        {
            il.Emit(OpCodes.Ldloc, handled);
            il.Emit(
                OpCodes.Unbox_Any,
                returns.IsByRefLike
                    ? throw new NotSupportedException($"it calls {site.CalleeName}, which returns a span")
                    : returns
            );
        }

        il.Emit(OpCodes.Ret);
        il.MarkLabel(realCall);
        EmitRealCall(il, site, parameters.Count);
        var result = returns == typeof(void) ? null : il.DeclareLocal(returns);
        if (result is not null)
            il.Emit(OpCodes.Stloc, result);
        il.Emit(OpCodes.Ldc_I4, index);
        il.Emit(OpCodes.Ldloc, arguments);
        if (result is null)
        {
            il.Emit(OpCodes.Ldnull);
        }
        else
        {
            il.Emit(OpCodes.Ldloc, result);
            if (returns.IsValueType)
                il.Emit(OpCodes.Box, returns);
        }

        il.Emit(OpCodes.Call, Record);
        if (result is not null)
            il.Emit(OpCodes.Ldloc, result);
    }

    /// <summary>Emits the call itself, with unchanged arguments.</summary>
    /// <param name="il">IL generator of the wrapper.</param>
    /// <param name="site">The call site.</param>
    /// <param name="count">Number of arguments, the receiver included.</param>
    private static void EmitRealCall(ILGenerator il, CallSite site, int count)
    {
        for (var index = 0; index < count; index++)
            il.Emit(OpCodes.Ldarg, (short)index);
        if (site.Callee is ConstructorInfo constructor)
            il.Emit(OpCodes.Newobj, constructor);
        else
            il.Emit(site.IsVirtual ? OpCodes.Callvirt : OpCodes.Call, (MethodInfo)site.Callee);
    }

    /// <summary>Puts the arguments into an array of objects.</summary>
    /// <param name="il">IL generator of the wrapper.</param>
    /// <param name="parameters">Parameter types of the wrapper.</param>
    /// <param name="arguments">Receives the array.</param>
    private static void PackArguments(ILGenerator il, List<Type> parameters, LocalBuilder arguments)
    {
        il.Emit(OpCodes.Ldc_I4, parameters.Count);
        il.Emit(OpCodes.Newarr, typeof(object));
        for (var position = 0; position < parameters.Count; position++)
        {
            il.Emit(OpCodes.Dup);
            il.Emit(OpCodes.Ldc_I4, position);
            EmitBoxed(il, parameters[position], position);
            il.Emit(OpCodes.Stelem_Ref);
        }

        il.Emit(OpCodes.Stloc, arguments);
    }

    /// <summary>Loads one argument as an object: references are dereferenced, spans become arrays, value types are
    /// boxed.</summary>
    /// <param name="il">IL generator of the wrapper.</param>
    /// <param name="type">Type of the argument.</param>
    /// <param name="position">Position of the argument.</param>
    private static void EmitBoxed(ILGenerator il, Type type, int position)
    {
        if (type.IsByRef)
        {
            var target = type.GetElementType()!;
            il.Emit(OpCodes.Ldarg, (short)position);
            if (target.IsByRefLike)
                throw new NotSupportedException($"it passes a {target.Name} by reference");
            il.Emit(OpCodes.Ldobj, target);
            if (target.IsValueType)
                il.Emit(OpCodes.Box, target);
        }
        else if (type.IsByRefLike)
        {
            // ReadOnlySpan<long> of a collection expression: an array can be recorded, a span cannot.
            var toArray = type.GetMethod("ToArray", Type.EmptyTypes)
                ?? throw new NotSupportedException($"it passes a {type.Name}");
            il.Emit(OpCodes.Ldarga, (short)position);
            il.Emit(OpCodes.Call, toArray);
        }
        else
        {
            il.Emit(OpCodes.Ldarg, (short)position);
            if (type.IsValueType)
                il.Emit(OpCodes.Box, type);
        }
    }
}
