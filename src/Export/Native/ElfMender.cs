// What it does: lets libLibTorchSharp.so of TorchSharp 0.107.0, which requires libstdc++ of GCC 13, load on systems
// with an older libstdc++ (Debian 12, Ubuntu 22.04: 3.4.30), by replacing the one symbol that it needs from the new
// version.
//
//   needed:   std::ios_base_library_init()   _ZSt21ios_base_library_initv   @GLIBCXX_3.4.32
//   becomes:  std::ios_base::Init::Init()    _ZNSt8ios_base4InitC1Ev        @GLIBCXX_3.4
//
// Both initialise the standard streams; the constructor does not touch `this`. Old names are shorter than new ones,
// so they fit in place. Layout: ELF64 little-endian; the names are NUL-terminated in .dynstr, the version's SysV ELF
// hash is in its entry (Vernaux) in .gnu.version_r. Source: System V ABI, Linux Standard Base "Symbol Versioning".
using System.Buffers.Binary;
using System.Text;

namespace TorchBridge.Export.Native;

/// <summary>Rewrites one symbol version in a copy of an ELF shared library, or throws if the library is not the
/// expected one.</summary>
internal static class ElfMender
{
    /// <summary>The symbol that only newer versions of libstdc++ have.</summary>
    internal const string NewSymbol = "_ZSt21ios_base_library_initv";

    /// <summary>The equivalent symbol that all versions have.</summary>
    internal const string OldSymbol = "_ZNSt8ios_base4InitC1Ev";

    /// <summary>The version required for the new symbol.</summary>
    internal const string NewVersion = "GLIBCXX_3.4.32";

    /// <summary>The version required for the old symbol.</summary>
    internal const string OldVersion = "GLIBCXX_3.4";

    /// <summary>Returns an adapted copy of <paramref name="library"/>.</summary>
    /// <param name="library">The bytes of libLibTorchSharp.so; they are not changed.</param>
    /// <exception cref="InvalidDataException">The bytes are not the library that this class was written
    /// for.</exception>
    public static byte[] Mend(ReadOnlySpan<byte> library)
    {
        var (strings, needs) = FindSections(library);
        var mended = library.ToArray();
        Replace(mended.AsSpan(strings), NewSymbol, OldSymbol);
        Replace(mended.AsSpan(strings), NewVersion, OldVersion);
        ReplaceHash(mended.AsSpan(needs), ElfHash(NewVersion), ElfHash(OldVersion));
        return mended;
    }

    /// <summary>
    /// Finds the string table and the list of required versions through the section headers.
    /// </summary>
    private static (Range Strings, Range Needs) FindSections(ReadOnlySpan<byte> elf)
    {
        ReadOnlySpan<byte> elf64LittleEndian = [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1];
        if (elf.Length < 64 || !elf[..6].SequenceEqual(elf64LittleEndian))
            throw new InvalidDataException("not a 64-bit little-endian ELF file");

        var table = ReadOffset(elf, 0x28);
        int entrySize = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3A..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3C..]);
        int namesIndex = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3E..]);
        if (entrySize < 64 || namesIndex >= count || table > elf.Length - ((long)entrySize * count))
            throw new InvalidDataException("the section table lies beyond the end of the file (truncated?)");

        var names = Section(elf, table + (namesIndex * entrySize));
        Range? strings = null,
            needs = null;
        for (var index = 0; index < count; index++)
        {
            var header = table + (index * entrySize);
            var nameOffset = BinaryPrimitives.ReadInt32LittleEndian(elf[header..]);
            var all = elf[names];
            if (nameOffset < 0 || nameOffset >= all.Length)
                throw new InvalidDataException("a section name lies outside the name table");
            var name = all[nameOffset..];
            if (IsName(name, ".dynstr"))
                strings = Section(elf, header);
            if (IsName(name, ".gnu.version_r"))
                needs = Section(elf, header);
        }

        return (
            strings ?? throw new InvalidDataException("no .dynstr section"),
            needs ?? throw new InvalidDataException("no .gnu.version_r section")
        );
    }

    /// <summary>Whether an entry of the string table, up to its NUL, equals a name.</summary>
    private static bool IsName(ReadOnlySpan<byte> text, string name) =>
        text.Length > name.Length
        && text[name.Length] == 0
        && text[..name.Length].SequenceEqual(Encoding.ASCII.GetBytes(name));

    /// <summary>The bytes of a section, which must lie within the file.</summary>
    private static Range Section(ReadOnlySpan<byte> elf, int header)
    {
        int offset = ReadOffset(elf, header + 0x18),
            size = ReadOffset(elf, header + 0x20);
        if ((long)offset + size > elf.Length)
            throw new InvalidDataException("a section lies beyond the end of the file (truncated?)");
        return offset..(offset + size);
    }

    /// <summary>A 64-bit offset, which must lie within the file.</summary>
    private static int ReadOffset(ReadOnlySpan<byte> elf, int at)
    {
        var value = BinaryPrimitives.ReadUInt64LittleEndian(elf[at..]);
        return value <= (ulong)elf.Length
            ? (int)value
            : throw new InvalidDataException("an offset lies beyond the end of the file (truncated?)");
    }

    /// <summary>Replaces a name that occurs once in the string table by a shorter one.</summary>
    private static void Replace(Span<byte> strings, string from, string to)
    {
        // With the NUL before and after, so that names which merely end or begin with this one do not match.
        var pattern = Encoding.ASCII.GetBytes("\0" + from + "\0");
        var at = strings.IndexOf(pattern);
        if (at < 0)
            throw new InvalidDataException($"'{from}' is not in the string table");
        if (strings[(at + 1)..].IndexOf(pattern) >= 0)
            throw new InvalidDataException($"'{from}' is in the string table more than once");
        var replacement = Encoding.ASCII.GetBytes(to);
        var place = strings.Slice(at + 1, from.Length);
        place.Clear();
        replacement.CopyTo(place);
    }

    /// <summary>Replaces the hash of a version in the list of required versions.</summary>
    private static void ReplaceHash(Span<byte> needs, uint from, uint to)
    {
        // Walk the list: Verneed { version, cnt: u16, file, aux, next: u32 }, each with its Vernaux { hash: u32,
        // flags, other: u16, name, next: u32 }.
        var replaced = 0;
        for (int need = 0, step = -1; step != 0; need += step)
        {
            int count = BinaryPrimitives.ReadUInt16LittleEndian(Slice(needs, need + 2, 2));
            var aux = need + BinaryPrimitives.ReadInt32LittleEndian(Slice(needs, need + 8, 4));
            for (var index = 0; index < count; index++)
            {
                var hash = Slice(needs, aux, 4);
                if (BinaryPrimitives.ReadUInt32LittleEndian(hash) == from)
                {
                    BinaryPrimitives.WriteUInt32LittleEndian(hash, to);
                    replaced++;
                }

                aux += BinaryPrimitives.ReadInt32LittleEndian(Slice(needs, aux + 12, 4));
            }

            step = BinaryPrimitives.ReadInt32LittleEndian(Slice(needs, need + 12, 4));
            if (step < 0)
                throw new InvalidDataException("the version list runs backwards");
        }

        if (replaced != 1)
            throw new InvalidDataException($"{NewVersion} is needed {replaced} times, expected once");
    }

    /// <summary>A range of the list; throws if it leaves the section.</summary>
    private static Span<byte> Slice(Span<byte> bytes, int at, int length) =>
        at >= 0 && at <= bytes.Length - length
            ? bytes.Slice(at, length)
            : throw new InvalidDataException("the version list leaves its section");

    /// <summary>The System V ABI hash of a symbol (or version) name.</summary>
    /// <param name="name">Name of a symbol or version.</param>
    internal static uint ElfHash(string name)
    {
        uint hash = 0;
        foreach (var letter in name)
        {
            hash = (hash << 4) + letter;
            var high = hash & 0xF000_0000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        return hash;
    }
}
