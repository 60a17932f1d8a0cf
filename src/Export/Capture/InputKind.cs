namespace TorchBridge.Export.Capture;

/// <summary>The contents of generated inputs.</summary>
internal enum InputKind
{
    /// <summary>Numbers over the whole range of the example; integers that index a table cover all of its
    /// rows.</summary>
    Random,

    /// <summary>Few distinct numbers, so that there are ties; booleans are random.</summary>
    Ties,

    /// <summary>Zeros, some of them negative zeros; every mask false.</summary>
    Zeros,

    /// <summary>Ones; every mask true.</summary>
    Ones,

    /// <summary>Random numbers with some NaN.</summary>
    NotANumber,

    /// <summary>Random numbers with some infinities of both signs.</summary>
    Infinities,

    /// <summary>Integers far beyond 32 bits, if forward accepts them.</summary>
    LargeIntegers,
}
