using System.Globalization;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Inspection;

/// <summary>One finding about a set of pictures, in words: for the console and for the page.</summary>
/// <param name="Text">A sentence, or the heading of <paramref name="Items"/>.</param>
/// <param name="Items">The files that the finding is about, one line each; none if the text says all.</param>
internal sealed record Finding(string Text, IReadOnlyList<string> Items)
{
    /// <summary>Items that the console and the page show of each finding; JSON has all.</summary>
    public const int Listed = 20;

    /// <summary>Puts the findings into words, the most important facts of a set first.</summary>
    /// <param name="inspection">The findings.</param>
    /// <returns>Sizes, empty classes, imbalance, unreadable files and duplicates; or that there are none.</returns>
    public static IReadOnlyList<Finding> AllOf(DataInspection inspection)
    {
        List<Finding> all =
        [
            Sentence(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{inspection.Counts.Sum(item => item.Count):N0} pictures. Their shorter sides range from "
                        + $"{inspection.SmallestSide} to {inspection.LargestSide} pixels; the median is "
                        + $"{inspection.MedianSide}."
                )
            ),
            .. inspection
                .Counts.Where(item => item.Count == 0)
                .Select(item => Sentence($"{item.Part}: {item.Class} has no readable picture.")),
        ];
        if (inspection.IsImbalanced)
            all.Add(
                Sentence(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Imbalance: the largest class has {inspection.LargestOverSmallest:F0} times the pictures of "
                            + $"the smallest. Look at the accuracy of each class, not only at the overall accuracy."
                    )
                )
            );
        const string tooGood = "in more than one part, which makes the test results too optimistic",
            wrong = "in more than one class, so one of the labels is wrong";
        AddList(
            inspection.Unreadable.Select(item => item.Why),
            "file cannot be read and must be removed",
            "files cannot be read and must be removed"
        );
        AddList(Groups(group => group.IsAcrossParts), $"picture is {tooGood}", $"pictures are {tooGood}");
        AddList(Groups(group => group.IsAcrossClasses), $"picture is {wrong}", $"pictures are {wrong}");
        AddList(
            Groups(group => !group.IsAcrossParts && !group.IsAcrossClasses),
            "picture occurs more than once in its class",
            "pictures occur more than once in their class"
        );
        if (inspection.Unreadable.Count + inspection.Duplicates.Count == 0)
            all.Add(Sentence($"Every picture can be read, and there are no duplicates."));
        return all;

        void AddList(IEnumerable<string> lines, string one, string many)
        {
            string[] items = [.. lines];
            if (items.Length > 0)
                all.Add(
                    new Finding(
                        FormattableString.Invariant($"{items.Length:N0} {(items.Length == 1 ? one : many)}:"),
                        items
                    )
                );
        }

        IEnumerable<string> Groups(Func<DuplicateGroup, bool> isMeant) =>
            inspection
                .Duplicates.Where(isMeant)
                .Select(group =>
                    $"{PictureNames.Same(group.Names)} ({(group.IsSameFile ? "same file" : "same pixels")})"
                );
    }

    private static Finding Sentence(string text) => new(text, []);
}
