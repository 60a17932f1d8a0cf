namespace TorchBridge.Export.Sizes;

/// <summary>A number that depends on the free axes, computed in float64: <c>scale * F(size / divisor) +
/// offset</c>.</summary>
/// <param name="Function">Function applied to the quotient.</param>
/// <param name="Numerator">An integer formula of sizes.</param>
/// <param name="Denominator">An integer formula of sizes, or null for 1.</param>
/// <param name="Scale">A constant factor.</param>
/// <param name="Offset">A constant summand.</param>
internal sealed record NumberExpression(
    NumberFunction Function,
    SizeExpression Numerator,
    SizeExpression? Denominator,
    double Scale,
    double Offset
);

/// <summary>The function that maps an integer to a number.</summary>
internal enum NumberFunction
{
    /// <summary>The identity.</summary>
    Same,

    /// <summary>1 / x</summary>
    Reciprocal,

    /// <summary>The square root.</summary>
    SquareRoot,

    /// <summary>1 / sqrt(x)</summary>
    ReciprocalSquareRoot,

    /// <summary>The natural logarithm.</summary>
    Logarithm,
}
