using System.Globalization;
using System.Text;
using Parquet;
using Parquet.Schema;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Jobs;

/// <summary>A shard of results as a file. The same rows give the same bytes.</summary>
internal static class ShardFile
{
    private const string Heading = "index,path,sha256,label,probability,error\n";
    private static readonly DataField<long> Index = new("index");
    private static readonly DataField<string> Path = new("path");
    private static readonly DataField<string> Sha256 = new("sha256");
    private static readonly DataField<string> Label = new("label");
    private static readonly DataField<float?> Probability = new("probability");
    private static readonly DataField<string> Error = new("error");

    // A field can be read only once it is part of a schema.
    private static readonly ParquetSchema Schema = new(Index, Path, Sha256, Label, Probability, Error);

    /// <summary>File extension of a format.</summary>
    public static string EndingOf(ResultFormat format) => format == ResultFormat.Csv ? "csv" : "parquet";

    /// <summary>Writes a shard.</summary>
    /// <param name="format">File format.</param>
    /// <param name="isFirst">Whether it is the job's first shard.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="output">Stream to write to.</param>
    public static void Write(ResultFormat format, bool isFirst, IReadOnlyList<ScoredRow> rows, Stream output)
    {
        if (format == ResultFormat.Csv)
            WriteCsv(isFirst, rows, output);
        else
            WriteParquet(rows, output);
    }

    /// <summary>Compares a shard with its lines of the manifest; returns what is wrong, or null.</summary>
    public static string? Problem(
        ResultFormat format,
        bool isFirst,
        string file,
        IReadOnlyList<(long, ManifestEntry)> lines
    )
    {
        var begins = format == ResultFormat.Csv ? ReadCsv(file, isFirst) : ReadParquet(file);
        if (begins is null)
            return "its header line is missing";
        if (begins.Count != lines.Count)
            return FormattableString.Invariant($"it has {begins.Count} rows, but must have {lines.Count}");
        for (var i = 0; i < lines.Count; i++)
        {
            var expected = Beginning(lines[i].Item1, lines[i].Item2.Path, lines[i].Item2.Sha256);
            if (!begins[i].StartsWith(expected, StringComparison.Ordinal))
                return FormattableString.Invariant($"row {i} does not match line {lines[i].Item1} of the manifest");
        }

        return null;
    }

    private static string Beginning(long index, string path, string sha256) =>
        string.Create(CultureInfo.InvariantCulture, $"{index},{CsvPredictions.Quoted(path)},{sha256},");

    private static void WriteCsv(bool isFirst, IReadOnlyList<ScoredRow> rows, Stream output)
    {
        var text = new StringBuilder(isFirst ? Heading : "");
        foreach (var row in rows)
            text.Append(Beginning(row.Index, row.Path, row.Sha256))
                .Append(CsvPredictions.Quoted(row.Label ?? ""))
                .Append(CultureInfo.InvariantCulture, $",{row.Probability:R},")
                .Append(CsvPredictions.Quoted(row.Error ?? ""))
                .Append('\n');
        output.Write(Encoding.UTF8.GetBytes(text.ToString()));
    }

    private static List<string>? ReadCsv(string file, bool isFirst)
    {
        var lines = File.ReadAllLines(file).ToList();
        if (!isFirst)
            return lines;
        if (lines.Count == 0 || lines[0] + "\n" != Heading)
            return null;
        lines.RemoveAt(0);
        return lines;
    }

    private static void WriteParquet(IReadOnlyList<ScoredRow> rows, Stream output)
    {
        // The writer needs a seekable stream, but published results are append-only.
        using var memory = new MemoryStream();
        WriteParquetAsync(rows, memory).GetAwaiter().GetResult();
        memory.Position = 0;
        memory.CopyTo(output);
    }

    private static async Task WriteParquetAsync(IReadOnlyList<ScoredRow> rows, MemoryStream memory)
    {
        var writer = await ParquetWriter.CreateAsync(Schema, memory).ConfigureAwait(false);
        await using (writer.ConfigureAwait(false))
        {
            using var group = writer.CreateRowGroup();
            ReadOnlyMemory<long> indices = rows.Select(row => row.Index).ToArray();
            ReadOnlyMemory<float?> probabilities = rows.Select(row => row.Probability).ToArray();
            await group.WriteAsync(Index, indices).ConfigureAwait(false);
            await group.WriteAsync(Path, [.. rows.Select(row => row.Path)]).ConfigureAwait(false);
            await group.WriteAsync(Sha256, [.. rows.Select(row => row.Sha256)]).ConfigureAwait(false);
            await group.WriteAsync(Label, [.. rows.Select(row => row.Label!)]).ConfigureAwait(false);
            await group.WriteAsync(Probability, probabilities).ConfigureAwait(false);
            await group.WriteAsync(Error, [.. rows.Select(row => row.Error!)]).ConfigureAwait(false);
        }
    }

    private static List<string> ReadParquet(string file) => ReadParquetAsync(file).GetAwaiter().GetResult();

    private static async Task<List<string>> ReadParquetAsync(string file)
    {
        var rows = new List<string>();
        var reader = await ParquetReader.CreateAsync(file).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            for (var number = 0; number < reader.RowGroupCount; number++)
            {
                using var group = reader.OpenRowGroupReader(number);
                var count = checked((int)group.RowCount);
                var (indices, paths, hashes) = (new long[count], new string?[count], new string?[count]);
                await group.ReadAsync(Index, indices.AsMemory()).ConfigureAwait(false);
                await group.ReadAsync(Path, paths.AsMemory()).ConfigureAwait(false);
                await group.ReadAsync(Sha256, hashes.AsMemory()).ConfigureAwait(false);
                for (var row = 0; row < count; row++)
                    rows.Add(Beginning(indices[row], paths[row] ?? "", hashes[row] ?? ""));
            }
        }

        return rows;
    }
}
