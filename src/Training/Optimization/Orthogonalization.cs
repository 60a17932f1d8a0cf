// What it does: brings the singular values of a matrix close to 1 and keeps its singular vectors, with a polynomial
// that needs only matrix products:
//   X <- G / |G|,  then three times  A = X X^T,  X <- a X + (b A + c A^2) X,  a, b, c = 3.4445, -4.7750, 2.0315
// Each singular value s becomes a s + b s^3 + c s^5: values between 0.06 and 1 end up between 0.68 and 1.14. A matrix
// with more rows than columns is transposed, so that A is the smaller one. A precision of a few percent is enough, so
// it may be computed in bfloat16. Sources: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
// networks" (the coefficients); Bernstein & Newhouse 2024, "Old Optimizer, New Norm" (why: the steepest descent under
// the spectral norm); three steps as in Jordan 2024, "94% on CIFAR-10", airbench94_muon.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>Computes approximately the nearest orthogonal matrix.</summary>
internal static class Orthogonalization
{
    private const int Steps = 3;
    private const double A = 3.4445,
        B = -4.7750,
        C = 2.0315;

    /// <summary>Returns a matrix [m, n], float32, with singular values close to 1; zeros stay zeros.</summary>
    /// <param name="matrix">[m, n], float32.</param>
    /// <param name="compute">Precision of the products.</param>
    public static Tensor Of(Tensor matrix, ScalarType compute)
    {
        using var scope = NewDisposeScope();
        var isTall = matrix.shape[0] > matrix.shape[1];
        var x = (matrix / (matrix.norm() + 1e-7)).to(compute);
        if (isTall)
            x = x.t();
        for (var step = 0; step < Steps; step++)
        {
            var a = x.mm(x.t());
            var polynomial = (a * B).add_(a.mm(a), alpha: C);
            x = (x * A).add_(polynomial.mm(x));
        }

        if (isTall)
            x = x.t();
        return x.to(ScalarType.Float32).MoveToOuterDisposeScope();
    }
}
