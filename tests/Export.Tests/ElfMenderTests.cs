using System.Buffers.Binary;
using System.Text;
using TorchBridge.Export.Native;

namespace TorchBridge.Export.Tests;

public class ElfMenderTests
{
    [Fact]
    public void Replaces_the_symbol_the_version_and_the_hash_and_nothing_else()
    {
        var library = FakeElf.Make();
        var mended = ElfMender.Mend(library);
        var text = Encoding.Latin1.GetString(mended);
        Assert.Contains("\0" + ElfMender.OldSymbol + "\0", text, StringComparison.Ordinal);
        Assert.DoesNotContain(ElfMender.NewSymbol, text, StringComparison.Ordinal);
        Assert.Contains("\0GLIBCXX_3.4\0", text, StringComparison.Ordinal);
        Assert.DoesNotContain("GLIBCXX_3.4.32", text, StringComparison.Ordinal);
        Assert.Contains("\0GLIBCXX_3.4.30\0", text, StringComparison.Ordinal);
        Assert.Equal(library.Length, mended.Length);
        var changed = Enumerable.Range(0, library.Length).Count(i => library[i] != mended[i]);
        Assert.InRange(changed, 4, ElfMender.NewSymbol.Length + ElfMender.NewVersion.Length + 4);
    }

    [Theory]
    [InlineData("GLIBCXX_3.4", 0x08922974u)]
    [InlineData("GLIBCXX_3.4.32", 0x0297f842u)]
    public void The_hash_is_the_System_V_hash(string name, uint expected) =>
        Assert.Equal(expected, ElfMender.ElfHash(name));

    [Fact]
    public void Text_is_no_library() =>
        Assert.Contains(
            "not a 64-bit",
            Assert
                .Throws<InvalidDataException>(() => ElfMender.Mend(Encoding.ASCII.GetBytes(new string('x', 200))))
                .Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_library_without_the_symbol_is_refused() =>
        Assert.Contains(
            ElfMender.NewSymbol,
            Assert
                .Throws<InvalidDataException>(() => ElfMender.Mend(FakeElf.Make(symbol: "_ZNSt8ios_base4InitC2Ev")))
                .Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_library_that_needs_the_version_twice_is_refused() =>
        Assert.Contains(
            "2 times",
            Assert
                .Throws<InvalidDataException>(() => ElfMender.Mend(FakeElf.Make(secondNeed: ElfMender.NewVersion)))
                .Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void Any_truncation_is_refused_and_never_crashes()
    {
        var library = FakeElf.Make();
        for (var length = 0; length < library.Length; length += 7)
            Assert.Throws<InvalidDataException>(() => ElfMender.Mend(library.AsSpan(0, length)));
    }

    [Fact]
    public void The_real_library_is_mended()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");
        if (!File.Exists(path))
            path = Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so");
        Assert.SkipUnless(File.Exists(path), "this platform's output has no libLibTorchSharp.so");
        Assert.Equal(new FileInfo(path).Length, ElfMender.Mend(File.ReadAllBytes(path)).Length);
    }
}

/// <summary>A small ELF64 file with the three sections that are needed.</summary>
internal static class FakeElf
{
    public static byte[] Make(string symbol = ElfMender.NewSymbol, string secondNeed = "GLIBCXX_3.4.30")
    {
        var strings = Encoding.ASCII.GetBytes($"\0libstdc++.so.6\0{symbol}\0{ElfMender.NewVersion}\0GLIBCXX_3.4.30\0");
        var names = Encoding.ASCII.GetBytes("\0.dynstr\0.gnu.version_r\0.shstrtab\0");
        var needs = new byte[16 + (2 * 16)];
        BinaryPrimitives.WriteUInt16LittleEndian(needs.AsSpan(0), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(needs.AsSpan(2), 2);
        BinaryPrimitives.WriteInt32LittleEndian(needs.AsSpan(8), 16);
        BinaryPrimitives.WriteUInt32LittleEndian(needs.AsSpan(16), ElfMender.ElfHash(ElfMender.NewVersion));
        BinaryPrimitives.WriteInt32LittleEndian(needs.AsSpan(28), 16);
        BinaryPrimitives.WriteUInt32LittleEndian(needs.AsSpan(32), ElfMender.ElfHash(secondNeed));

        byte[][] contents =
        [
            [],
            strings,
            needs,
            names,
        ];
        int[] nameOffsets = [0, 1, 9, 24];
        using var stream = new MemoryStream();
        stream.Write(new byte[64]);
        var offsets = contents
            .Select(content =>
            {
                var at = (int)stream.Position;
                stream.Write(content);
                return at;
            })
            .ToArray();
        var table = (int)stream.Position;
        for (var i = 0; i < contents.Length; i++)
        {
            var header = new byte[64];
            BinaryPrimitives.WriteInt32LittleEndian(header, nameOffsets[i]);
            BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(0x18), offsets[i]);
            BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(0x20), contents[i].Length);
            stream.Write(header);
        }

        var elf = stream.ToArray();
        ((ReadOnlySpan<byte>)[0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1]).CopyTo(elf);
        BinaryPrimitives.WriteInt64LittleEndian(elf.AsSpan(0x28), table);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(0x3A), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(0x3C), 4);
        BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(0x3E), 3);
        return elf;
    }
}
