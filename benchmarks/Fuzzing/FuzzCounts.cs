namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>The outcomes of the inputs of one door.</summary>
internal sealed class FuzzCounts
{
    public long Accepted { get; set; }

    public long Refused { get; set; }

    public long Undocumented { get; set; }

    public int Crashes { get; set; }

    public int Hangs { get; set; }

    public int OverMemory { get; set; }

    public long PeakBytes { get; set; }

    public double Seconds { get; set; }

    public long Inputs => Accepted + Refused + Undocumented + Crashes + Hangs + OverMemory;

    public bool IsClean => Undocumented == 0 && Crashes == 0 && Hangs == 0 && OverMemory == 0;
}
