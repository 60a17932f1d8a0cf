namespace TorchBridge.Export.Capture;

/// <summary>What is in made inputs.</summary>
internal enum InputKind
{
    /// <summary>Numbers all over the range of the example; integers over the whole table that they index, where they
    /// index one.</summary>
    Random,

    /// <summary>Few different numbers, so that there are ties; booleans as they are drawn.</summary>
    Ties,

    /// <summary>Zeros, some of them negative; every mask false.</summary>
    Zeros,

    /// <summary>Ones; every mask true.</summary>
    Ones,

    /// <summary>Random numbers with some NaN.</summary>
    NotANumber,

    /// <summary>Random numbers with some infinities of both signs.</summary>
    Infinities,

    /// <summary>Integers far beyond 32 bits, where forward takes them.</summary>
    LargeIntegers,
}
