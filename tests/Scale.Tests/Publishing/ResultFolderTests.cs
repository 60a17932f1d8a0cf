using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Publishing;
using TorchBridge.Scale.Tests.Work;

namespace TorchBridge.Scale.Tests.Publishing;

public class ResultFolderTests
{
    [Fact]
    public void Of_many_writers_one_publishes_and_the_file_is_its()
    {
        using var folder = new TempFolder();
        for (var round = 0; round < 50; round++)
        {
            var path = folder[$"file{round}"];
            var winners = Enumerable
                .Range(0, 8)
                .AsParallel()
                .WithDegreeOfParallelism(8)
                .Where(writer => OnceFile.Write(path, stream => stream.WriteByte((byte)writer)))
                .ToArray();
            Assert.Equal((byte)Assert.Single(winners), Assert.Single(File.ReadAllBytes(path)));
        }

        Assert.Equal(50, folder.Files.Length); // no temporary file is left
    }

    [Fact]
    public void What_fails_leaves_nothing()
    {
        using var folder = new TempFolder();
        Assert.Throws<InvalidOperationException>(() => OnceFile.Write(folder["a"], stream =>
            {
                stream.WriteByte(1);
                throw new InvalidOperationException();
            }));
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void An_item_is_done_once_and_a_second_run_finds_it()
    {
        using var folder = new TempFolder();
        FaultyWork.Write(folder.Path, 3);
        var (work, results) = FaultyWork.Open(folder.Path);
        var first = results.DoOnce(work, work.Item(1), CancellationToken.None);
        Assert.Equal(first, results.Find(work.Item(1)));
        FaultyWork.Ask(folder.Path, 1, "error"); // the item would fail if it were processed again
        Assert.Equal(first, results.DoOnce(work, work.Item(1), CancellationToken.None));
        Assert.Null(results.Find(work.Item(0)));

        // As after a kill between the file and its receipt: the same bytes are made again, and accepted.
        File.Delete(folder["faults", "1"]);
        File.Delete(results.ReceiptOf(work.Item(1)));
        Assert.Null(results.Find(work.Item(1)));
        Assert.Equal(first, results.DoOnce(work, work.Item(1), CancellationToken.None));
    }

    [Fact]
    public void Other_bytes_are_refused_and_nothing_is_replaced()
    {
        using var folder = new TempFolder();
        FaultyWork.Write(folder.Path, 2);
        var (work, results) = FaultyWork.Open(folder.Path);
        Directory.CreateDirectory(results.Path);
        File.WriteAllText(results.FileOf(work.Item(0)), "something else");
        var error = Assert.Throws<ScaleException>(() => results.DoOnce(work, work.Item(0), CancellationToken.None));
        Assert.Contains("other bytes", error.Message, StringComparison.Ordinal);
        Assert.Equal("something else", File.ReadAllText(results.FileOf(work.Item(0))));

        // Another job in the same folder.
        results.DoOnce(work, work.Item(1), CancellationToken.None);
        FaultyWork.Write(folder.Path, 2, seed: 2);
        var (other, _) = FaultyWork.Open(folder.Path);
        error = Assert.Throws<ScaleException>(() => results.Find(other.Item(1)));
        Assert.Contains("another job", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Verification_finds_what_is_missing_changed_or_too_much()
    {
        using var folder = new TempFolder();
        FaultyWork.Write(folder.Path, 5);
        var (work, results) = FaultyWork.Open(folder.Path);
        for (var index = 0; index < 5; index++)
            results.DoOnce(work, work.Item(index), CancellationToken.None);
        var whole = results.Verify(work);
        Assert.Equal((5, 5, 5L), (whole.Items, whole.Done, whole.Rows));
        Assert.Empty(whole.Problems);

        var bytes = File.ReadAllBytes(results.FileOf(work.Item(0)));
        bytes[0] ^= 1;
        File.WriteAllBytes(results.FileOf(work.Item(0)), bytes);
        File.Delete(results.ReceiptOf(work.Item(1)));
        File.Delete(results.FileOf(work.Item(2)));
        File.WriteAllText(Path.Combine(results.Path, "item-00009"), "too much");
        File.Copy(results.ReceiptOf(work.Item(4)), results.ReceiptOf(work.Item(3)), overwrite: true);
        var broken = results.Verify(work);
        Assert.Equal(1, broken.Done);
        Assert.Equal(5, broken.Problems.Count);
        Assert.Contains("another digest", broken.Problems[0], StringComparison.Ordinal);
        Assert.Contains("receipt is missing", broken.Problems[1], StringComparison.Ordinal);
        Assert.Contains("not done", broken.Problems[2], StringComparison.Ordinal);
        Assert.Contains("another job", broken.Problems[3], StringComparison.Ordinal);
        Assert.Contains("item-00009", broken.Problems[4], StringComparison.Ordinal);
    }
}
