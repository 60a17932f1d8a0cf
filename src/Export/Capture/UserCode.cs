using System.Collections;
using System.Reflection;
using System.Reflection.Emit;

namespace TorchBridge.Export.Capture;

/// <summary>Replaces user code that the framework runs by instrumented code: LINQ lambdas, delegates in fields,
/// iterators.</summary>
/// <param name="instrumenter">Creates the copies.</param>
internal sealed class UserCode(MethodInstrumenter instrumenter)
{
    /// <summary>A delegate of the same type that runs the instrumented copy; the delegate itself if it is not user
    /// code.</summary>
    /// <param name="code">A delegate with a single method.</param>
    /// <param name="caller">The call site that passes or calls it, for messages.</param>
    public Delegate Instrumented(Delegate code, CallSite caller)
    {
        var method = code.Method;
        if (method.DeclaringType is null)
            return code; // already instrumented, or compiled from an expression tree
        if (TorchTypes.IsUser(method.DeclaringType))
            return instrumenter.Instrument(method).CreateDelegate(code.GetType(), code.Target);
        // A method group of TorchSharp (`act = torch.relu`, `heads.Select(head.forward)`): recorded as if it were
        // called at the place where it is passed.
        var kind = CallPolicy.Classify(method);
        if (kind == CallKind.LeaveAlone || !TorchTypes.IsTorch(method.DeclaringType))
            return code;
        return instrumenter
            .Wrap(caller with { Callee = method, IsVirtual = method.IsVirtual, EntryType = null }, kind)
            .CreateDelegate(code.GetType(), code.Target);
    }

    /// <summary>Prepares an argument that is passed to the framework: the user's delegates and iterators are
    /// instrumented.</summary>
    /// <param name="argument">Any argument of a delegate's or sequence's type.</param>
    /// <param name="site">The call.</param>
    public object? Argument(object? argument, CallSite site)
    {
        if (argument is Delegate code)
            return Single(code, site) is { } single ? Instrumented(single, site) : code;
        if (argument is not IEnumerable || argument is string)
            return argument;
        var sequence = argument
            .GetType()
            .GetInterfaces()
            .FirstOrDefault(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IEnumerable<>));
        if (sequence is null)
            return argument;
        var item = sequence.GetGenericArguments()[0];
        var given = TorchTypes.IsUser(argument.GetType())
            ? Activator.CreateInstance(typeof(InstrumentedSequence<>).MakeGenericType(item), argument, instrumenter)!
            : argument;
        // TorchSharp enumerates a sequence once and the recorder a second time, so a lazy one would run its lambdas
        // twice.
        if (!TorchTypes.IsTorch(site.Callee.DeclaringType) || given is ICollection)
            return given;
        return typeof(Enumerable)
            .GetMethod(nameof(Enumerable.ToArray))!
            .MakeGenericMethod(item)
            .Invoke(null, BindingFlags.DoNotWrapExceptions, null, [given], null);
    }

    private static Delegate? Single(Delegate code, CallSite site) =>
        code.GetInvocationList() is [var only]
            ? only
            : throw new NotSupportedException(
                $"{site.CalleeName} is given a multicast delegate (a delegate that holds several methods)"
            );

    /// <summary>A user's iterator, run by the instrumented copies of its methods.</summary>
    private sealed class InstrumentedSequence<T>(IEnumerable<T> source, MethodInstrumenter instrumenter)
        : IEnumerable<T>
    {
        private static readonly MethodInfo Begin = typeof(IEnumerable<T>).GetMethod(
            nameof(IEnumerable<T>.GetEnumerator)
        )!;
        private static readonly MethodInfo Next = typeof(IEnumerator).GetMethod(nameof(IEnumerator.MoveNext))!;
        private static readonly MethodInfo Now = typeof(IEnumerator<T>)
            .GetProperty(nameof(IEnumerator<T>.Current))!
            .GetMethod!;

        public IEnumerator<T> GetEnumerator()
        {
            var enumerator = Bound<Func<IEnumerator<T>>>(Begin, source)();
            var next = Bound<Func<bool>>(Next, enumerator);
            var current = Bound<Func<T>>(Now, enumerator);
            while (next())
                yield return current();
            enumerator.Dispose();
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        private TDelegate Bound<TDelegate>(MethodInfo method, object receiver)
            where TDelegate : Delegate
        {
            var target = VirtualMethods.Resolve(method, receiver.GetType());
            return TorchTypes.IsUser(target.DeclaringType)
                ? (TDelegate)instrumenter.Instrument(target).CreateDelegate(typeof(TDelegate), receiver)
                : method.CreateDelegate<TDelegate>(receiver);
        }
    }
}
