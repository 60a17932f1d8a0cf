using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Batching;

public class RowIndependenceTests
{
    public static TheoryData<string, string?> Cases =>
        new()
        {
            { nameof(TestModels.Affine), null },
            { nameof(TestModels.Classifier), null },
            { nameof(TestModels.Simple), null },
            { nameof(TestModels.Identity), null },
            { nameof(TestModels.Table), null },
            { nameof(TestModels.MixedRows), "depends on the other rows of the batch" },
            { nameof(TestModels.BatchScale), "depends on the other rows of the batch" },
            { nameof(TestModels.OneRowInside), "but not a batch of 3" },
            { nameof(TestModels.FixedBatch), "is not dynamic" },
        };

    [Theory, MemberData(nameof(Cases))]
    public void Rows_run_together_only_where_each_is_computed_by_itself(string model, string? reason)
    {
        foreach (var seed in Enumerable.Range(0, 20))
        {
            using var session = Sessions.Open(Model(model));
            var found = RowIndependence.Check(session, seed);
            if (reason is null)
                Assert.Null(found);
            else
                Assert.Contains(reason, found, StringComparison.Ordinal);
        }
    }

    private static byte[] Model(string name) =>
        name switch
        {
            nameof(TestModels.Affine) => TestModels.Affine(2, 1),
            nameof(TestModels.Classifier) => TestModels.Classifier(map: true),
            nameof(TestModels.Simple) => TestModels.Simple(),
            nameof(TestModels.Identity) => TestModels.Identity(),
            nameof(TestModels.Table) => TestModels.Table(),
            nameof(TestModels.MixedRows) => TestModels.MixedRows(),
            nameof(TestModels.BatchScale) => TestModels.BatchScale(),
            nameof(TestModels.OneRowInside) => TestModels.OneRowInside(),
            _ => TestModels.FixedBatch(),
        };
}
