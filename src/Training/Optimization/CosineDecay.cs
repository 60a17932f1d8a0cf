namespace TorchBridge.Training.Optimization;

/// <summary>Cosine decay to zero, a pure function of the step. Source: Loshchilov &amp; Hutter 2017, "SGDR", equation 5, one period.</summary>
internal static class CosineDecay
{
    /// <summary>peak (1 + cos(π step / steps)) / 2</summary>
    public static double At(double peak, long step, long steps) => peak * (1 + Math.Cos(Math.PI * step / steps)) / 2;
}
