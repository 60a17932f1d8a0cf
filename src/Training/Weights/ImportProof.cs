// How the import is proved, as the export is: every tensor bit for bit, and then what the network says. The package's
// own two files are run by ONNX Runtime on random and on real pictures; our network in eval mode gets the same
// pixels, less the same mean picture. Tolerance: 1e-4 of the largest feature. Both sides sum the same float32
// products in another order; seen is about 1e-6.
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Runtime;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>What the proof of an import measured.</summary>
/// <param name="Pictures">Pictures that were compared.</param>
/// <param name="LargestRelative">Largest difference of a feature, over the largest feature.</param>
internal sealed record ImportProof(int Pictures, double LargestRelative)
{
    /// <summary>Share of the largest feature that a difference may have.</summary>
    public const double Tolerance = 1e-4;
    private const int Random = 3,
        Real = 5;

    /// <summary>Compares a network with the package that its weights came from.</summary>
    /// <param name="package">The package.</param>
    /// <param name="network">The network; its mode is put back.</param>
    /// <param name="pictures">Real pictures, of larger ones their middle; where they are smaller than 224 pixels,
    /// random ones are all.</param>
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
                        FormattableString.Invariant($"{actual.Length} features, the package has {expected.Length}")
                    );
                for (var index = 0; index < actual.Length; index++)
                {
                    largest = Math.Max(largest, Math.Abs(expected[index]));
                    // NaN on one side would pass a comparison.
                    difference = double.IsFinite(actual[index])
                        ? Math.Max(difference, Math.Abs((double)actual[index] - expected[index]))
                        : double.PositiveInfinity;
                    if (double.IsPositiveInfinity(difference))
                        throw Mismatch(FormattableString.Invariant($"feature {index} is {actual[index]}"));
                }
            }

            var proof = new ImportProof(all.Length, difference / largest);
            // Written so that NaN fails.
            if (!(proof.LargestRelative <= Tolerance))
                throw Mismatch(
                    FormattableString.Invariant(
                        $"a feature differs by {proof.LargestRelative:E2} of the largest; allowed is {Tolerance:E0}"
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
    /// <param name="package">What the file holds.</param>
    /// <param name="network">What it was loaded into.</param>
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
                throw Mismatch($"{name} is not what the package has");
        }
    }

    /// <summary>Pixels of noise, from a stream of their own.</summary>
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

    /// <summary>Some pictures of a set, the middle of each, where they have the size that the file takes.</summary>
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

    /// <summary>The error of a failed proof.</summary>
    /// <param name="what">What differs.</param>
    private static UserException Mismatch(string what) =>
        new(
            $"--weights imagenet: the network does not say what the package's file says: {what}. Nothing is trained on it."
        );
}
