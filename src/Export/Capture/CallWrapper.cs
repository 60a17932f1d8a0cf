// What it does: for one call site, a static method with the callee's stack effect (receiver first) that asks the recorder what
// to do, makes the real call where that is the answer, and hands arguments and result over:
//
//   static R wrapper(T self, A a, ReadOnlySpan<long> b) {
//       object[] arguments = { self, a, b.ToArray() };
//       if (Recorder.Intercept(site, arguments, out object handled)) return (R)handled;
//       R result = self.callee(a, b);
//       Recorder.Record(site, arguments, result);
//       return result;
//   }
using System.Reflection;
using System.Reflection.Emit;

namespace TorchBridge.Export.Capture;

/// <summary>Builds the wrapper of a call site.</summary>
internal static class CallWrapper
{
    private static readonly MethodInfo Intercept = typeof(Recorder).GetMethod(nameof(Recorder.Intercept), BindingFlags.Static | BindingFlags.Public)!;
    private static readonly MethodInfo Record = typeof(Recorder).GetMethod(nameof(Recorder.Record), BindingFlags.Static | BindingFlags.Public)!;

    public static DynamicMethod Build(CallSite site, int index)
    {
        var callee = (MethodInfo)site.Callee;
        var parameters = callee.GetParameters().Select(parameter => parameter.ParameterType).ToList();
        if (!callee.IsStatic)
        {
            if (callee.DeclaringType!.IsValueType) parameters.Insert(0, callee.DeclaringType.MakeByRefType());
            else parameters.Insert(0, callee.DeclaringType);
        }

        var wrapper = new DynamicMethod($"{callee.Name}@{site.Offset:X}", callee.ReturnType, [.. parameters], typeof(CallWrapper).Module, skipVisibility: true);
        var il = wrapper.GetILGenerator();
        var arguments = il.DeclareLocal(typeof(object[]));
        var handled = il.DeclareLocal(typeof(object));
        PackArguments(il, parameters, arguments);

        var realCall = il.DefineLabel();
        il.Emit(OpCodes.Ldc_I4, index);
        il.Emit(OpCodes.Ldloc, arguments);
        il.Emit(OpCodes.Ldloca, handled);
        il.Emit(OpCodes.Call, Intercept);
        il.Emit(OpCodes.Brfalse, realCall);
        if (callee.ReturnType != typeof(void))
        {
            il.Emit(OpCodes.Ldloc, handled);
            il.Emit(OpCodes.Unbox_Any, callee.ReturnType.IsByRefLike ? throw new NotSupportedException($"it calls {site.CalleeName}, which returns a span") : callee.ReturnType);
        }

        il.Emit(OpCodes.Ret);
        il.MarkLabel(realCall);
        EmitRealCall(il, site, callee, parameters.Count, index, arguments);
        return wrapper;
    }

    private static void EmitRealCall(ILGenerator il, CallSite site, MethodInfo callee, int count, int index, LocalBuilder arguments)
    {
        for (var i = 0; i < count; i++) il.Emit(OpCodes.Ldarg, (short)i);
        il.Emit(site.IsVirtual ? OpCodes.Callvirt : OpCodes.Call, callee);
        var returnsNothing = callee.ReturnType == typeof(void);
        var result = returnsNothing ? null : il.DeclareLocal(callee.ReturnType);
        if (result is not null) il.Emit(OpCodes.Stloc, result);
        il.Emit(OpCodes.Ldc_I4, index);
        il.Emit(OpCodes.Ldloc, arguments);
        if (result is null)
        {
            il.Emit(OpCodes.Ldnull);
        }
        else
        {
            il.Emit(OpCodes.Ldloc, result);
            if (callee.ReturnType.IsValueType) il.Emit(OpCodes.Box, callee.ReturnType);
        }

        il.Emit(OpCodes.Call, Record);
        if (result is not null) il.Emit(OpCodes.Ldloc, result);
        il.Emit(OpCodes.Ret);
    }

    private static void PackArguments(ILGenerator il, List<Type> parameters, LocalBuilder arguments)
    {
        il.Emit(OpCodes.Ldc_I4, parameters.Count);
        il.Emit(OpCodes.Newarr, typeof(object));
        for (var i = 0; i < parameters.Count; i++)
        {
            il.Emit(OpCodes.Dup);
            il.Emit(OpCodes.Ldc_I4, i);
            EmitBoxed(il, parameters[i], i);
            il.Emit(OpCodes.Stelem_Ref);
        }

        il.Emit(OpCodes.Stloc, arguments);
    }

    private static void EmitBoxed(ILGenerator il, Type type, int position)
    {
        if (type.IsByRef)
        {
            var target = type.GetElementType()!;
            il.Emit(OpCodes.Ldarg, (short)position);
            if (target.IsByRefLike) throw new NotSupportedException($"it passes a {target.Name} by reference");
            il.Emit(OpCodes.Ldobj, target);
            if (target.IsValueType) il.Emit(OpCodes.Box, target);
        }
        else if (type.IsByRefLike)
        {
            // ReadOnlySpan<long> of a collection expression: an array can be kept, a span cannot.
            var toArray = type.GetMethod("ToArray", Type.EmptyTypes) ?? throw new NotSupportedException($"it passes a {type.Name}");
            il.Emit(OpCodes.Ldarga, (short)position);
            il.Emit(OpCodes.Call, toArray);
        }
        else
        {
            il.Emit(OpCodes.Ldarg, (short)position);
            if (type.IsValueType) il.Emit(OpCodes.Box, type);
        }
    }
}
