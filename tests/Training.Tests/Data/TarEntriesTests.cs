using System.Formats.Tar;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Tests.Data;

public class TarEntriesTests
{
    private const int Size = 124,
        Time = 136,
        FieldLength = 12;

    [Theory]
    [InlineData(Size, 0xFF, 0)]
    [InlineData(Size, 0x7F, 4)]
    [InlineData(Time, 0xFF, 0)]
    [InlineData(Time, 1, 0)]
    [InlineData(Time, 0x7F, 7)]
    public void Numbers_that_are_too_large_are_a_damaged_archive(int field, byte digits, int zeros)
    {
        using var memory = new MemoryStream();
        using (var writer = new TarWriter(memory, leaveOpen: true))
            writer.WriteEntry(
                new UstarTarEntry(TarEntryType.RegularFile, "a/b.png") { DataStream = new MemoryStream([1, 2, 3]) }
            );
        // 256 as the base: the first bit says so
        var header = memory.GetBuffer().AsSpan(field, FieldLength);
        header.Fill(digits);
        header[..zeros].Clear();
        header[0] = 0x80;
        memory.Position = 0;
        using var reader = new TarReader(memory);
        var error = Record.Exception(() => TarEntries.Next(reader));
        Assert.True(error is InvalidDataException or IOException, $"{error}");
    }
}
