namespace TorchBridge.Serving.Tests;

/// <summary>Compares tensors bit for bit.</summary>
internal static class TensorAssert
{
    public static void Same(Tensor want, Tensor got)
    {
        Assert.Equal((want.Name, want.Type), (got.Name, got.Type));
        Assert.Equal(want.Shape, got.Shape);
        Assert.Equal(want.Data.ToArray(), got.Data.ToArray());
        Assert.Equal(want.Strings.Select(item => item.ToArray()), got.Strings.Select(item => item.ToArray()));
    }

    /// <summary>The message of a refusal, whose kind must be the one expected.</summary>
    public static string Refused(RefusalKind kind, Action work)
    {
        var error = Assert.Throws<RequestRefusedException>(work);
        Assert.Equal(kind, error.Kind);
        return error.Message;
    }
}
