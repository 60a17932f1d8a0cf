using TorchBridge.Training.Inspection;

namespace TorchBridge.Training.Tests.Inspection;

public class FindingTests
{
    [Fact]
    public void A_set_without_faults_says_so()
    {
        var texts = Texts(new([new("all", "ants", 2), new("all", "bees", 1_500)], 30, 40, 1_944, [], []));
        Assert.Equal("1,502 pictures. Their shorter sides range from 30 to 1944 pixels; the median is 40.", texts[0]);
        Assert.StartsWith("Imbalance: the largest class has 750 times", texts[1], StringComparison.Ordinal);
        Assert.Equal("Every picture can be read, and there are no duplicates.", texts[2]);
        Assert.Equal(3, texts.Length);
    }

    [Fact]
    public void Every_kind_of_fault_is_listed_with_its_files()
    {
        DataInspection inspection = new(
            [new("train", "ants", 4), new("test", "bees", 0)],
            30,
            40,
            50,
            [new("a.jpg", "a.jpg is truncated"), new("b.jpg", "b.jpg is text")],
            [
                new(["train/c.jpg", "test/c.jpg"], IsSameFile: true, IsAcrossParts: true, IsAcrossClasses: false),
                new(["ants/d.jpg", "bees/d.jpg"], IsSameFile: false, IsAcrossParts: false, IsAcrossClasses: true),
                new(["ants/e.jpg", "ants/f.jpg"], IsSameFile: true, IsAcrossParts: false, IsAcrossClasses: false),
                new(
                    [.. Enumerable.Range(0, 1_200).Select(i => $"ants/{i}.jpg")],
                    IsSameFile: true,
                    IsAcrossParts: false,
                    IsAcrossClasses: false
                ),
            ]
        );
        Assert.Equal(
            [
                "test: bees has no readable picture.",
                "2 files cannot be read and must be removed: a.jpg is truncated; b.jpg is text",
                "1 picture is in more than one part, which makes the test results too optimistic: "
                    + "train/c.jpg = test/c.jpg (same file)",
                "1 picture is in more than one class, so one of the labels is wrong: "
                    + "ants/d.jpg = bees/d.jpg (same pixels)",
                "2 pictures occur more than once in their class: ants/e.jpg = ants/f.jpg (same file); "
                    + "ants/0.jpg = ants/1.jpg = ants/2.jpg = ants/3.jpg = 1,196 more (same file)",
            ],
            Texts(inspection)[1..]
        );
    }

    private static string[] Texts(DataInspection inspection) =>
        [.. Finding.AllOf(inspection).Select(item => $"{item.Text} {string.Join("; ", item.Items)}".Trim())];
}
