// A second implementation of Muon, in float64 and by another method: compute the singular values (one-sided Jacobi:
// rotate columns in pairs until all are orthogonal; Golub & Van Loan, 8.6.3), apply the polynomial to each of them,
// and compose the matrix again. It uses no matrix polynomial and no torch.
namespace TorchBridge.Training.Tests.Optimization;

/// <summary>An independent implementation of the optimizer.</summary>
internal static class MuonReference
{
    /// <summary>One step on a weight of [rows, columns], in place; the momentum too.</summary>
    public static void Step(double[,] p, double[,] m, double[,] g, double mu, double learningRate)
    {
        int rows = p.GetLength(0),
            columns = p.GetLength(1);
        var direction = new double[rows, columns];
        double squares = 0;
        for (var i = 0; i < rows; i++)
        for (var j = 0; j < columns; j++)
        {
            m[i, j] = (mu * m[i, j]) + g[i, j];
            direction[i, j] = g[i, j] + (mu * m[i, j]);
            squares += p[i, j] * p[i, j];
        }

        var update = Orthogonalized(direction);
        for (var i = 0; i < rows; i++)
        for (var j = 0; j < columns; j++)
            p[i, j] = (p[i, j] * Math.Sqrt(rows / squares)) - (learningRate * update[i, j]);
    }

    /// <summary>The matrix with each singular value s replaced by three rounds of 3.4445 s - 4.775 s^3 + 2.0315 s^5
    /// of its share of the matrix' norm.</summary>
    public static double[,] Orthogonalized(double[,] matrix)
    {
        int rows = matrix.GetLength(0),
            columns = matrix.GetLength(1);
        if (rows < columns)
            return Transposed(Orthogonalized(Transposed(matrix)));
        // U S in the columns of a, and V.
        var (a, v) = Turned(matrix);
        var norm = Math.Sqrt(a.Cast<double>().Sum(value => value * value));
        var result = new double[rows, columns];
        for (var k = 0; k < columns; k++)
        {
            var s = Length(a, k);
            if (s < 1e-12 * norm)
                continue;
            var made = s / norm;
            for (var step = 0; step < 3; step++)
                made = (3.4445 * made) - (4.7750 * Math.Pow(made, 3)) + (2.0315 * Math.Pow(made, 5));
            for (var i = 0; i < rows; i++)
            for (var j = 0; j < columns; j++)
                result[i, j] += a[i, k] / s * made * v[j, k];
        }

        return result;
    }

    /// <summary>Singular values of a matrix, largest first.</summary>
    public static double[] SingularValues(double[,] matrix)
    {
        var (a, _) = Turned(matrix.GetLength(0) < matrix.GetLength(1) ? Transposed(matrix) : matrix);
        return [.. Enumerable.Range(0, a.GetLength(1)).Select(k => Length(a, k)).OrderDescending()];
    }

    private static (double[,] A, double[,] V) Turned(double[,] matrix)
    {
        var a = (double[,])matrix.Clone();
        int rows = a.GetLength(0),
            columns = a.GetLength(1);
        var v = new double[columns, columns];
        for (var k = 0; k < columns; k++)
            v[k, k] = 1;
        for (var sweep = 0; sweep < 60; sweep++)
        {
            var largest = 0.0;
            for (var j = 0; j < columns; j++)
            for (var k = j + 1; k < columns; k++)
            {
                double alpha = 0,
                    beta = 0,
                    gamma = 0;
                for (var i = 0; i < rows; i++)
                {
                    alpha += a[i, j] * a[i, j];
                    beta += a[i, k] * a[i, k];
                    gamma += a[i, j] * a[i, k];
                }

                if (gamma == 0)
                    continue;
                largest = Math.Max(largest, Math.Abs(gamma) / Math.Sqrt(alpha * beta));
                var zeta = (beta - alpha) / (2 * gamma);
                var t = (zeta >= 0 ? 1 : -1) / (Math.Abs(zeta) + Math.Sqrt(1 + (zeta * zeta)));
                var c = 1 / Math.Sqrt(1 + (t * t));
                Turn(a, j, k, c, c * t);
                Turn(v, j, k, c, c * t);
            }

            if (largest < 1e-14)
                break;
        }

        return (a, v);
    }

    private static void Turn(double[,] x, int j, int k, double c, double s)
    {
        for (var i = 0; i < x.GetLength(0); i++)
            (x[i, j], x[i, k]) = ((c * x[i, j]) - (s * x[i, k]), (s * x[i, j]) + (c * x[i, k]));
    }

    private static double Length(double[,] a, int column) =>
        Math.Sqrt(Enumerable.Range(0, a.GetLength(0)).Sum(i => a[i, column] * a[i, column]));

    private static double[,] Transposed(double[,] x)
    {
        var turned = new double[x.GetLength(1), x.GetLength(0)];
        for (var i = 0; i < x.GetLength(0); i++)
        for (var j = 0; j < x.GetLength(1); j++)
            turned[j, i] = x[i, j];
        return turned;
    }
}
