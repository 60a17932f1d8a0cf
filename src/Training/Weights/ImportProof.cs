// How an import is verified, like an export: every tensor bit for bit, and then the network's results. The package's
// own two files are run by ONNX Runtime on random and on real pictures; our network in eval mode gets the same pixels,
// minus the same mean picture. Tolerance: 1e-4 of the largest feature. Both sides sum the same float32 products in
// different orders; observed differences are about 1e-6.
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Runtime;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>The result of verifying an import.</summary>
/// <param name="Pictures">Number of compared pictures.</param>
/// <param name="LargestRelative">Largest difference of a feature, relative to the largest feature.</param>
internal sealed record ImportProof(int Pictures, double LargestRelative)
{
    /// <summary>Tolerance, as a share of the largest feature.</summary>
    public const double Tolerance = 1e-4;
    private const int Random = 3,
        Real = 5;

    /// <summary>Compares a network with the package from which its weights were imported.</summary>
    /// <param name="package">The package.</param>
    /// <param name="network">The network; its mode is restored.</param>
    /// <param name="pictures">Real pictures, cropped to their centre; if they are smaller than 224 pixels, only
    /// random ones are used.</param>
    /// <exception cref="UserException">They differ.</exception>
    public static ImportProof Of(PackagedResNet18 package, ImageNetwork network, PictureSet? pictures)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        CompareTensors(package, network);
        var wasTraining = network.training;
        network.eval();
        try
        {
            var sessions = new OrtSession { Log = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
            using var preprocessing = sessions.Open(PackagedResNet18.PreprocessingFile);
            using var reference = sessions.Open(PackagedResNet18.NetworkFile);
            var mean = tensor(package.MeanPicture).view(1, 3, PackagedResNet18.InputSide, PackagedResNet18.InputSide);
            double largest = 0,
                difference = 0;
            var all = RandomPictures().Concat(RealPictures(pictures)).ToArray();
            foreach (var pixels in all)
            {
                using var step = NewDisposeScope();
                var expected = Run(reference, Run(preprocessing, pixels));
                var actual = network
                    .Features(tensor(pixels).view(1, 3, PackagedResNet18.InputSide, PackagedResNet18.InputSide) - mean)
                    .contiguous()
                    .data<float>()
                    .ToArray();
                if (actual.Length != expected.Length)
                    throw Mismatch(
                        FormattableString.Invariant(
                            $"it has {actual.Length} features, but the package has {expected.Length}"
                        )
                    );
                for (var index = 0; index < actual.Length; index++)
                {
                    largest = Math.Max(largest, Math.Abs(expected[index]));
                    // NaN on one side would pass the comparison.
                    difference = double.IsFinite(actual[index])
                        ? Math.Max(difference, Math.Abs((double)actual[index] - expected[index]))
                        : double.PositiveInfinity;
                    if (double.IsPositiveInfinity(difference))
                        throw Mismatch(FormattableString.Invariant($"feature {index} is {actual[index]}"));
                }
            }

            var proof = new ImportProof(all.Length, difference / largest);
            // Written so that NaN fails the check.
            if (!(proof.LargestRelative <= Tolerance))
                throw Mismatch(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"a feature differs by {proof.LargestRelative:E2} of the largest feature; allowed is "
                            + $"{Tolerance:E0}"
                    )
                );
            return proof;
        }
        finally
        {
            network.train(wasTraining);
        }
    }

    /// <summary>Compares every tensor bit for bit.</summary>
    /// <param name="package">The package.</param>
    /// <param name="network">The network with the imported weights.</param>
    /// <exception cref="UserException">One differs.</exception>
    private static void CompareTensors(PackagedResNet18 package, ImageNetwork network)
    {
        var state = network.state_dict();
        foreach (var (name, value) in state)
        {
            if (
                name.EndsWith("num_batches_tracked", StringComparison.Ordinal)
                || name.StartsWith("fc.", StringComparison.Ordinal)
            )
                continue;
            if (!package.Tensors.TryGetValue(name, out var expected))
                throw Mismatch($"the package has no {name}");
            if (!value.shape.SequenceEqual(expected.shape) || !value.contiguous().bytes.SequenceEqual(expected.bytes))
                throw Mismatch($"{name} differs from the package's tensor");
        }
    }

    /// <summary>Reproducible random pictures.</summary>
    private static IEnumerable<float[]> RandomPictures()
    {
        for (var index = 0; index < Random; index++)
        {
            var draw = new Draw(1, 41, index);
            var pixels = new float[3 * PackagedResNet18.InputSide * PackagedResNet18.InputSide];
            for (var pixel = 0; pixel < pixels.Length; pixel++)
                pixels[pixel] = (float)draw.Uniform(0, 255);
            yield return pixels;
        }
    }

    /// <summary>Some pictures of a set, cropped to the centre, if they are large enough for the file.</summary>
    /// <param name="set">The training part, or null.</param>
    private static IEnumerable<float[]> RealPictures(PictureSet? set)
    {
        const int side = PackagedResNet18.InputSide;
        if (set is null || set.Height < side || set.Width < side)
            yield break;
        for (var index = 0; index < Math.Min(Real, set.Count); index++)
            yield return Middle(set, index * set.Count / Math.Min(Real, set.Count));

        static float[] Middle(PictureSet set, int index)
        {
            var planes = set.Picture(index);
            int top = (set.Height - side) / 2,
                left = (set.Width - side) / 2;
            var middle = new float[3 * side * side];
            for (var at = 0; at < middle.Length; at++)
            {
                int channel = at / (side * side),
                    row = top + (at / side % side),
                    column = left + (at % side);
                middle[at] = planes[(((channel * set.Height) + row) * set.Width) + column];
            }

            return middle;
        }
    }

    /// <summary>Runs one of the package's files on one picture.</summary>
    /// <param name="session">The file.</param>
    /// <param name="pixels">3 x 224 x 224 floats.</param>
    private static float[] Run(InferenceSession session, float[] pixels)
    {
        var input = new DenseTensor<float>(pixels, [1, 3, PackagedResNet18.InputSide, PackagedResNet18.InputSide]);
        using var results = session.Run([NamedOnnxValue.CreateFromTensor(session.InputNames[0], input)]);
        return [.. results[0].AsEnumerable<float>()];
    }

    /// <summary>Creates the exception for a failed verification.</summary>
    /// <param name="what">What differs.</param>
    private static UserException Mismatch(string what) =>
        new(
            $"--weights imagenet: the imported network does not give the same results as the package's file: "
                + $"{what}. Training was not started."
        );
}
