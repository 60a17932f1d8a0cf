// What it does: copies the IL of a method into a DynamicMethod in which every call that matters goes to a small
// wrapper (CallWrapper) instead. No IL offset changes (callvirt becomes call, a token another token), so branches,
// the local variables and the exception clauses stay as they are. The original method is untouched. Layout: ECMA-335,
// partition III (instructions) and II.25.4.6 (fat exception clauses).
using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Emit;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Makes instrumented copies of methods, one per method, for the length of one export.
/// </summary>
internal sealed class MethodInstrumenter
{
    /// <summary>All IL instructions by their code, of one byte or two.</summary>
    private static readonly Dictionary<ushort, OpCode> OpCodesByValue = typeof(OpCodes)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => (ushort)code.Value);

    /// <summary>The copy of each method, made at its first call.</summary>
    private readonly Dictionary<MethodBase, DynamicMethod> copies = [];

    /// <summary>Call sites by the number that their wrappers carry.</summary>
    private readonly List<CallSite> sites = [];

    /// <summary>Whole numbers that the copied methods load.</summary>
    private readonly HashSet<long> constants = [];

    /// <summary>Whole numbers that the instrumented methods load: sizes at which they may do something else.</summary>
    public IReadOnlyCollection<long> Constants => constants;

    /// <summary>The call site with a number that a wrapper carries.</summary>
    /// <param name="index">What the wrapper was built with.</param>
    public CallSite Site(int index) => sites[index];

    /// <summary>
    /// Returns the instrumented copy of a method; its first parameter is <c>this</c> where the method has one.
    /// </summary>
    /// <param name="method">A method or constructor with IL; it is not changed.</param>
    /// <returns>The copy; the same one each time.</returns>
    /// <exception cref="NotSupportedException">The method has no IL, or IL that cannot be copied; the message says
    /// which.</exception>
    public DynamicMethod Instrument(MethodBase method)
    {
        if (copies.TryGetValue(method, out var known))
            return known;
        var body = method.GetMethodBody()
            ?? throw new NotSupportedException("it has no IL body (abstract, extern, or made by the runtime)");
        if (IsAsync(method))
            throw new NotSupportedException("it is async: forward must run to its end on one thread");

        var parameters = method.GetParameters().Select(parameter => parameter.ParameterType).ToList();
        if (!method.IsStatic)
            parameters.Insert(0, ReceiverType(method));
        var returns = method is MethodInfo called ? called.ReturnType : typeof(void);
        var copy = new DynamicMethod(
            $"{method.DeclaringType?.Name}.{method.Name}",
            returns,
            [.. parameters],
            typeof(MethodInstrumenter).Module,
            skipVisibility: true
        )
        {
            InitLocals = body.InitLocals,
        };

        var info = copy.GetDynamicILInfo();
        var code = body.GetILAsByteArray()!;
        Rewrite(method, code, info);
        info.SetCode(code, body.MaxStackSize + 1);
        info.SetLocalSignature(LocalSignature(body));
        if (body.ExceptionHandlingClauses.Count > 0)
            info.SetExceptions(Exceptions(body, info));
        copies.Add(method, copy);
        return copy;
    }

    /// <summary>
    /// The type of a copy's first parameter: an object, so that one delegate type takes every class's override.
    /// </summary>
    /// <param name="method">An instance method or constructor.</param>
    public static Type ReceiverType(MethodBase method) =>
        method.DeclaringType!.IsValueType ? method.DeclaringType.MakeByRefType() : typeof(object);

    /// <summary>Makes the wrapper of a call.</summary>
    /// <param name="site">The call.</param>
    /// <param name="kind">What is done with it.</param>
    /// <returns>A static method to call in place of the site's callee.</returns>
    public DynamicMethod Wrap(CallSite site, CallKind kind)
    {
        if (kind == CallKind.Enter)
            site = site with { EntryType = CallWrapper.EntryType(site.Callee) };
        sites.Add(site);
        return CallWrapper.Build(site, sites.Count - 1, kind);
    }

    /// <summary>Whether the compiler made a state machine of a method: it would go on elsewhere.</summary>
    /// <param name="method">The user's.</param>
    private static bool IsAsync(MethodBase method) =>
        method
            .GetCustomAttributes(inherit: false)
            .Any(attribute => attribute.GetType().Name == "AsyncStateMachineAttribute");

    /// <summary>
    /// Goes through the IL and gives every token its meaning in the copy; calls that matter go to wrappers.
    /// </summary>
    /// <param name="method">The user's.</param>
    /// <param name="code">Its instructions, changed in place.</param>
    /// <param name="info">Receives the tokens.</param>
    private void Rewrite(MethodBase method, byte[] code, DynamicILInfo info)
    {
        var typeArguments = method.DeclaringType is { IsGenericType: true } generic
            ? generic.GetGenericArguments()
            : null;
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        Type? constraint = null;
        var constrainedAt = 0;
        for (var at = 0; at < code.Length; )
        {
            var start = at;
            var value = code[at] == 0xFE ? BinaryPrimitives.ReadUInt16BigEndian(code.AsSpan(at)) : code[at];
            if (!OpCodesByValue.TryGetValue(value, out var op))
                throw new NotSupportedException($"it has an unknown instruction 0x{value:X} at IL_{at:X4}");
            at += op.Size;
            var operand = code.AsSpan(at);
            if (ConstantOf(op, operand) is { } constant)
                constants.Add(constant);
            switch (op.OperandType)
            {
                case OperandType.InlineNone:
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    at += 1;
                    break;
                case OperandType.InlineVar:
                    at += 2;
                    break;
                case OperandType.InlineBrTarget or OperandType.InlineI or OperandType.ShortInlineR:
                    at += 4;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    at += 8;
                    break;
                case OperandType.InlineSwitch:
                    at += 4 + (4 * BinaryPrimitives.ReadInt32LittleEndian(operand));
                    break;
                case OperandType.InlineString:
                    Write(operand, info.GetTokenFor(method.Module.ResolveString(Token(operand))));
                    at += 4;
                    break;
                case OperandType.InlineType
                or OperandType.InlineField
                or OperandType.InlineTok
                or OperandType.InlineMethod:
                    var member = method.Module.ResolveMember(Token(operand), typeArguments, methodArguments)!;
                    if (op == OpCodes.Call || op == OpCodes.Callvirt || op == OpCodes.Newobj)
                        RewriteCall(
                            new CallSite(method, (MethodBase)member, op == OpCodes.Callvirt, start),
                            code,
                            op,
                            constraint,
                            constrainedAt,
                            info
                        );
                    else
                        Write(operand, TokenFor(member, info));
                    if (op == OpCodes.Constrained)
                        (constraint, constrainedAt) = ((Type)member, start);
                    else if (op.OpCodeType != OpCodeType.Prefix)
                        constraint = null;
                    at += 4;
                    break;
                default:
                    throw new NotSupportedException($"it has the instruction {op.Name} (a function pointer)");
            }
        }
    }

    /// <summary>
    /// Decides what is done with one call, and writes the token of the callee or of its wrapper.
    /// </summary>
    /// <param name="site">The call, and where it stands.</param>
    /// <param name="code">IL of the copy, changed in place.</param>
    /// <param name="op">The instruction: call, callvirt or newobj.</param>
    /// <param name="constraint">Type of a <c>constrained.</c> prefix; null without one.</param>
    /// <param name="constrainedAt">Where in the IL that prefix begins.</param>
    /// <param name="info">Gives the tokens that the copy may use.</param>
    private void RewriteCall(
        CallSite site,
        byte[] code,
        OpCode op,
        Type? constraint,
        int constrainedAt,
        DynamicILInfo info
    )
    {
        var operand = code.AsSpan(site.Offset + op.Size);
        var callee = site.Callee;
        var kind =
            op == OpCodes.Newobj
                ? CallPolicy.ClassifyConstruction((ConstructorInfo)callee)
                : CallPolicy.Classify(callee);
        var isOrdinary = op == OpCodes.Newobj || !callee.IsConstructor; // else a constructor that calls its base's
        if (constraint is not null && kind == CallKind.Enter)
        {
            // On a value type or type parameter, whose address is the receiver: an enumerator, a struct of the user's.
            var target = constraint.IsValueType ? VirtualMethods.Resolve((MethodInfo)callee, constraint) : null;
            if (target?.DeclaringType == constraint && TorchTypes.IsUser(constraint))
            {
                code.AsSpan(constrainedAt, OpCodes.Constrained.Size + 4).Fill((byte)OpCodes.Nop.Value);
                site = site with { Callee = target, IsVirtual = false };
            }
            else if (
                target is not null
                || !callee.GetParameters().Any(parameter => TorchTypes.CarriesTensors(parameter.ParameterType))
            )
            {
                kind = CallKind.LeaveAlone;
            }
            else
            {
                throw new NotSupportedException($"it calls {site.CalleeName} through a type parameter");
            }
        }

        var givesCode =
            constraint is null
            && !TorchTypes.IsUser(callee.DeclaringType)
            && CallWrapper.TakesCode(callee)
            && !typeof(Delegate).IsAssignableFrom(callee.DeclaringType);
        if (!isOrdinary || (kind == CallKind.LeaveAlone && !givesCode))
        {
            Write(operand, TokenFor(callee, info));
            return;
        }

        if (constraint is not null && kind != CallKind.Enter)
            throw new NotSupportedException($"it calls {site.CalleeName} through a type parameter");
        Write(operand, info.GetTokenFor(Wrap(site, kind)));
        code[site.Offset] = (byte)OpCodes.Call.Value; // One byte, as callvirt and newobj are: the wrapper is static.
    }

    /// <summary>The whole number that an instruction loads; null for any other instruction.</summary>
    /// <param name="op">The instruction.</param>
    /// <param name="operand">What stands behind it.</param>
    /// <returns>Null where it loads no integer.</returns>
    private static long? ConstantOf(OpCode op, ReadOnlySpan<byte> operand)
    {
        if (op.Value is >= 0x16 and <= 0x1E)
            return op.Value - 0x16; // ldc.i4.0 to ldc.i4.8
        if (op == OpCodes.Ldc_I4_S)
            return (sbyte)operand[0];
        if (op == OpCodes.Ldc_I4)
            return BinaryPrimitives.ReadInt32LittleEndian(operand);
        if (op == OpCodes.Ldc_I8)
            return BinaryPrimitives.ReadInt64LittleEndian(operand);
        if (op != OpCodes.Ldc_R8)
            return null;
        var number = BinaryPrimitives.ReadDoubleLittleEndian(operand);
        return number == Math.Floor(number) && Math.Abs(number) < 1e6 ? (long)number : null;
    }

    /// <summary>The metadata token in an instruction's operand.</summary>
    /// <param name="operand">Four bytes, little-endian.</param>
    private static int Token(ReadOnlySpan<byte> operand) => BinaryPrimitives.ReadInt32LittleEndian(operand);

    /// <summary>Writes a token into an instruction's operand.</summary>
    private static void Write(Span<byte> operand, int token) => BinaryPrimitives.WriteInt32LittleEndian(operand, token);

    /// <summary>The token of a type, field or method in the copy.</summary>
    /// <param name="member">A method, field or type.</param>
    /// <param name="info">The copy's.</param>
    private static int TokenFor(MemberInfo member, DynamicILInfo info) =>
        member switch
        {
            Type type => info.GetTokenFor(type.TypeHandle),
            FieldInfo field => field.DeclaringType is { } owner
                ? info.GetTokenFor(field.FieldHandle, owner.TypeHandle)
                : info.GetTokenFor(field.FieldHandle),
            MethodBase method => method.DeclaringType is { } owner
                ? info.GetTokenFor(method.MethodHandle, owner.TypeHandle)
                : info.GetTokenFor(method.MethodHandle),
            _ => throw new NotSupportedException($"it names {member.Name}, a {member.MemberType}"),
        };

    /// <summary>The local variables' types, as metadata has them.</summary>
    /// <param name="body">Of the user's method.</param>
    private static byte[] LocalSignature(MethodBody body)
    {
        var signature = SignatureHelper.GetLocalVarSigHelper();
        foreach (var local in body.LocalVariables)
            signature.AddArgument(local.LocalType, local.IsPinned);
        return signature.GetSignature();
    }

    /// <summary>The exception clauses in the fat format of ECMA-335, II.25.4.6.</summary>
    /// <param name="body">Of the user's method.</param>
    /// <param name="info">The copy's.</param>
    private static byte[] Exceptions(MethodBody body, DynamicILInfo info)
    {
        const int clauseSize = 24;
        var section = new byte[4 + (clauseSize * body.ExceptionHandlingClauses.Count)];
        // EHTable | FatFormat, then the size in three bytes
        BinaryPrimitives.WriteInt32LittleEndian(section, 0x41 | (section.Length << 8));
        var at = 4;
        foreach (var clause in body.ExceptionHandlingClauses)
        {
            var last = clause.Flags switch
            {
                ExceptionHandlingClauseOptions.Clause => info.GetTokenFor(clause.CatchType!.TypeHandle),
                ExceptionHandlingClauseOptions.Filter => clause.FilterOffset,
                _ => 0,
            };
            foreach (
                var field in (int[])
                    [
                        (int)clause.Flags,
                        clause.TryOffset,
                        clause.TryLength,
                        clause.HandlerOffset,
                        clause.HandlerLength,
                        last,
                    ]
            )
            {
                BinaryPrimitives.WriteInt32LittleEndian(section.AsSpan(at), field);
                at += 4;
            }
        }

        return section;
    }
}
