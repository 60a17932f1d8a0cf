using System.Globalization;

namespace TorchBridge.Scale.Grains;

/// <summary>How a job's items are divided into segments.</summary>
internal static class Segments
{
    /// <summary>Number of items per segment. Its state is about 1.5 kB, and is stored twice per item: when the item
    /// is leased and when it is completed.</summary>
    public const int Size = 512;

    /// <summary>Name of the Orleans grain storage.</summary>
    public const string Store = "books";

    /// <summary>Number of segments of a job.</summary>
    public static int CountOf(JobTicket ticket) => (ticket.Count + Size - 1) / Size;

    /// <summary>The terms of a segment.</summary>
    public static SegmentTerms Terms(JobTicket ticket, int segment) =>
        new()
        {
            First = segment * Size,
            Count = Math.Min(Size, ticket.Count - (segment * Size)),
            LeaseDuration = ticket.LeaseDuration,
            MostAttempts = ticket.MostAttempts,
            Held = Math.Clamp(ticket.Held - (segment * Size), 0, Math.Min(Size, ticket.Count - (segment * Size))),
        };

    /// <summary>The grain key of the segment that contains an item.</summary>
    public static string KeyOf(string job, string run, int index) => Key(job, run, index / Size);

    /// <summary>The grain key of a segment.</summary>
    public static string Key(string job, string run, int segment) =>
        string.Create(CultureInfo.InvariantCulture, $"{job}/{run}/{segment}");
}
