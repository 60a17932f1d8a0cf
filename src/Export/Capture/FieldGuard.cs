// Why: forward may keep state between calls: a table created at the first call, a cache that grows. An export runs
// forward many times, and each run must start from the state that the first one found; afterwards the model must be
// unchanged.
using System.Collections;
using System.Reflection;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Capture;

/// <summary>
/// Restores the fields of the user's objects in a model, and the contents of their lists and dictionaries, after a
/// run of forward has changed them, so that each run starts from the same state.
/// </summary>
internal sealed class FieldGuard
{
    /// <summary>
    /// Collections with more items are not restored: copying them for each run would take longer than the run.
    /// </summary>
    private const int MostItems = 10_000;

    /// <summary>What each field held before the runs.</summary>
    private readonly List<(object Owner, FieldInfo Field, object? Value)> fields = [];

    /// <summary>Second handles of the tensors in fields, because a run may dispose the tensors it finds
    /// there.</summary>
    private readonly Dictionary<Tensor, Tensor> aliases = new(ReferenceEqualityComparer.Instance);

    /// <summary>What each list or dictionary in a field held before the runs.</summary>
    private readonly List<(object Collection, object?[] Items)> collections = [];

    /// <summary>Takes a snapshot of the fields.</summary>
    /// <param name="modules">The model's modules.</param>
    public FieldGuard(IEnumerable<nn.Module> modules)
    {
        var open = new Queue<object>(modules.Where(module => TorchTypes.IsUser(module.GetType())));
        var seen = new HashSet<object>(open, ReferenceEqualityComparer.Instance);
        while (open.TryDequeue(out var owner))
        {
            foreach (var field in ModelMap.UserFields(owner.GetType()))
            {
                var value = field.GetValue(owner);
                fields.Add((owner, field, value));
                if (value is Tensor { IsInvalid: false } tensor and not TorchSharp.Modules.Parameter)
                    aliases.TryAdd(tensor, tensor.alias().DetachFromDisposeScope());
                if (value is null or string or Tensor or nn.Module || !seen.Add(value))
                    continue;
                if (value is IDictionary { IsReadOnly: false, IsFixedSize: false, Count: < MostItems } dictionary)
                    collections.Add((value, [.. dictionary.Cast<object?>()]));
                else if (
                    value is IList { IsReadOnly: false, Count: < MostItems } list
                    && value is not Array { Rank: > 1 }
                )
                    collections.Add((value, [.. list.Cast<object?>()]));
                else if (
                    value is Delegate { Target: { } closure }
                    && TorchTypes.IsUser(closure.GetType())
                    && closure is not nn.Module
                    && seen.Add(closure)
                )
                    open.Enqueue(closure);
                else if (
                    value is not Delegate
                    && value.GetType() is { IsValueType: false } type
                    && TorchTypes.IsUser(type)
                )
                    open.Enqueue(value);
            }
        }
    }

    /// <summary>Names of the fields that a run changed so far.</summary>
    public SortedSet<string> Changed { get; } = new(StringComparer.Ordinal);

    /// <summary>Restores whatever has changed, and notes the names of the changed fields.</summary>
    public void Restore()
    {
        for (var index = 0; index < fields.Count; index++)
        {
            var (owner, field, value) = fields[index];
            var now = field.GetValue(owner);
            if (value is Tensor { IsInvalid: true } disposed && aliases.Remove(disposed, out var alias))
            {
                Changed.Add($"{owner.GetType().Name}.{field.Name}");
                aliases.Add(alias, alias.alias().DetachFromDisposeScope());
                fields[index] = (owner, field, alias);
                field.SetValue(owner, alias);
                continue;
            }

            if (field.FieldType.IsValueType ? Equals(now, value) : ReferenceEquals(now, value))
                continue;
            Changed.Add($"{owner.GetType().Name}.{field.Name}");
            field.SetValue(owner, value);
        }

        foreach (var (collection, items) in collections)
        {
            if (IsUnchanged(collection, items))
                continue;
            Changed.Add($"a {collection.GetType().Name.Split('`')[0]} of {items.Length} items");
            Fill(collection, items);
        }
    }

    /// <summary>Whether a collection holds the same objects in the same order.</summary>
    /// <param name="collection">A list or an array that a field holds.</param>
    /// <param name="items">The items in the snapshot.</param>
    private static bool IsUnchanged(object collection, object?[] items) =>
        ((ICollection)collection).Count == items.Length
        && ((IEnumerable)collection).Cast<object?>().Zip(items).All(pair => AreSame(pair.First, pair.Second));

    /// <summary>Whether two items are the same: by value for numbers and strings, by identity for objects.</summary>
    /// <param name="now">The current item.</param>
    /// <param name="then">The item in the snapshot.</param>
    private static bool AreSame(object? now, object? then) =>
        (now, then) switch
        {
            (DictionaryEntry a, DictionaryEntry b) => AreSame(a.Key, b.Key) && AreSame(a.Value, b.Value),
            (ValueType a, ValueType b) => a.Equals(b),
            (string a, string b) => a == b,
            _ => ReferenceEquals(now, then),
        };

    /// <summary>Restores the items of a collection.</summary>
    /// <param name="collection">A list or an array that a field holds.</param>
    /// <param name="items">The items in the snapshot.</param>
    private static void Fill(object collection, object?[] items)
    {
        if (collection is Array array)
        {
            Array.Copy(items, array, items.Length);
        }
        else if (collection is IDictionary dictionary)
        {
            dictionary.Clear();
            foreach (var item in items)
            {
                // A typed dictionary enumerates pairs, an untyped one DictionaryEntry values.
                if (item is DictionaryEntry entry)
                    dictionary.Add(entry.Key, entry.Value);
                else
                    dictionary.Add(
                        item!.GetType().GetProperty("Key")!.GetValue(item)!,
                        item.GetType().GetProperty("Value")!.GetValue(item)
                    );
            }
        }
        else
        {
            var list = (IList)collection;
            list.Clear();
            foreach (var item in items)
                list.Add(item);
        }
    }
}
