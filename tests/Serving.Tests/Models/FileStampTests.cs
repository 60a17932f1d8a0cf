using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Tests.Models;

public class FileStampTests
{
    [Fact]
    public void A_file_that_is_written_over_has_another_stamp_even_at_the_same_time_and_length()
    {
        using var folder = new TempFolder();
        var path = folder["model.onnx"];
        foreach (var length in (int[])[1, 4096, 4097, 300_000])
        {
            var bytes = new byte[length];
            File.WriteAllBytes(path, bytes);
            File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch);
            var before = FileStamp.Of(path);
            Assert.NotNull(before);
            Assert.Equal(before, FileStamp.Of(path));
            // The first and the last byte lie in what is sampled.
            foreach (var place in (int[])[0, length - 1])
            {
                bytes[place] ^= 255;
                File.WriteAllBytes(path, bytes);
                File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch);
                Assert.NotEqual(before, FileStamp.Of(path));
                bytes[place] ^= 255;
            }
        }

        Assert.Null(FileStamp.Of(folder["gone"]));
    }
}
