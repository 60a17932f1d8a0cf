using System.Globalization;

namespace TorchBridge.Scale.Grains;

/// <summary>How a job's items are cut into books.</summary>
internal static class Segments
{
    /// <summary>Items of a segment: one state of about 1.5 kB, written twice an item.</summary>
    public const int Size = 512;

    /// <summary>Name of the grain storage.</summary>
    public const string Store = "books";

    /// <summary>How many segments a job has.</summary>
    public static int CountOf(JobTicket ticket) => (ticket.Count + Size - 1) / Size;

    /// <summary>What a segment is.</summary>
    public static SegmentTerms Terms(JobTicket ticket, int segment) =>
        new()
        {
            First = segment * Size,
            Count = Math.Min(Size, ticket.Count - (segment * Size)),
            LeaseDuration = ticket.LeaseDuration,
            MostAttempts = ticket.MostAttempts,
            Held = Math.Clamp(ticket.Held - (segment * Size), 0, Math.Min(Size, ticket.Count - (segment * Size))),
        };

    /// <summary>The key of the segment that an item is in.</summary>
    public static string KeyOf(string job, string run, int index) => Key(job, run, index / Size);

    /// <summary>The key of a segment.</summary>
    public static string Key(string job, string run, int segment) =>
        string.Create(CultureInfo.InvariantCulture, $"{job}/{run}/{segment}");
}
