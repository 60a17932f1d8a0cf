// What it does: reads the ResNet-18 of the NuGet package Microsoft.ML.DnnImageFeaturizer.ResNet18 (MIT; trained on
// ImageNet, written by CNTK) and gives its tensors torchvision's keys.
//   blocks     CNTK's ResNet-18 has three blocks in its last stage, the published one has two: 20 layers with weights.
//              The keys of the third are layer4.2.*; a file with torchvision's ResNet-18 does not fit, nor vice versa.
//   channels   the package's preprocessing takes red, green, blue, reorders them to blue, green, red and subtracts a
//              mean picture. Here the first convolution's input channels are reordered instead, which is exact.
//   mean       the mean picture varies by some grey levels between positions, because photos have their objects in the
//              middle; it exists only for size 224. Its mean per channel is used instead, with scale 1. The import
//              check below uses the mean picture itself.
//   padding    CNTK pads 3 before and 2 after (7x7), and 1 and 0 (3x3), where the stride is 2. For feature maps of even
//              size the last row and column of a symmetric padding are never read, so this equals torchvision's
//              padding at 224 pixels.
using System.Globalization;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Weights;

/// <summary>A ResNet-18 trained on ImageNet, without its classifier.</summary>
internal sealed class PackagedResNet18 : PretrainedWeights
{
    /// <summary>Height and width of the input pictures of the package's file.</summary>
    public const int InputSide = 224;
    private const string Package = "Microsoft.ML.DnnImageFeaturizer.ResNet18 0.23.1";
    private readonly Dictionary<string, Tensor> tensors;

    /// <summary>Takes ownership of the tensors.</summary>
    /// <param name="tensors">Tensors by torchvision's keys.</param>
    /// <param name="meanPicture">The mean picture as planes of red, green and blue.</param>
    private PackagedResNet18(Dictionary<string, Tensor> tensors, float[] meanPicture)
    {
        this.tensors = tensors;
        MeanPicture = meanPicture;
    }

    /// <summary>The package's network: float32 [1, 3, 224, 224] to 512 features.</summary>
    public static string NetworkFile =>
        Path.Combine(AppContext.BaseDirectory, "DnnImageModels", "ResNet18Onnx", "ResNet18.onnx");

    /// <summary>The package's preprocessing: RGB pixels, 0 to 255, to the input of the network.</summary>
    public static string PreprocessingFile =>
        Path.Combine(AppContext.BaseDirectory, "DnnImageModels", "ResNetPrepOnnx", "ResNetPreprocess.onnx");

    /// <summary>The picture that the preprocessing subtracts: planes of red, green and blue, 224 x 224.</summary>
    public float[] MeanPicture { get; }

    /// <summary>Tensors by this program's state-dict keys; the first convolution takes red, green, blue.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => tensors;

    /// <summary>Reads the package's files.</summary>
    /// <exception cref="UserException">The files are missing, or are not the expected ones.</exception>
    public static PackagedResNet18 Open()
    {
        foreach (var file in (string[])[NetworkFile, PreprocessingFile])
        {
            if (!File.Exists(file))
                throw new UserException(
                    $"--weights imagenet: {file} does not exist. It comes with the NuGet package {Package}; run "
                        + $"restore and build again."
                );
        }

        try
        {
            var mean = Rgb(OnnxReader.Read(PreprocessingFile));
            var tensors = CntkResNetGraph.Read(OnnxReader.Read(NetworkFile));
            return new PackagedResNet18(tensors, mean)
            {
                Origin = new WeightsOrigin(ImageNet, HashOf(NetworkFile)),
                Statistics = new ChannelStatistics(
                    [.. mean.Chunk(InputSide * InputSide).Select(plane => plane.Average(value => (double)value) / 255)],
                    [1 / 255.0, 1 / 255.0, 1 / 255.0]
                ),
            };
        }
        catch (InvalidDataException error)
        {
            throw new UserException(
                $"--weights imagenet: the files of {Package} are not as expected: {error.Message}",
                error
            );
        }
    }

    /// <inheritdoc/>
    public override NetworkOptions Shape(NetworkOptions asked, bool isKindAsked)
    {
        var kind = isKindAsked ? asked.Kind : NetworkKind.Resnet18;
        if (kind != NetworkKind.Resnet18)
            throw new UserException(
                $"--weights imagenet is a resnet18, but --network is {Naming.Of(kind)}. For that network give a "
                    + "file: --weights FILE.safetensors, with torchvision's or timm's names."
            );
        return asked with { Kind = kind, LastStageBlocks = CntkResNetGraph.Blocks[^1] };
    }

    /// <inheritdoc/>
    public override string LoadInto(ImageNetwork network, IReadOnlyList<string> classNames, PictureSet? pictures)
    {
        Set(network, tensors);
        var proof = ImportProof.Of(this, network, pictures);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Weights of {Package}, trained on ImageNet; import verified on {proof.Pictures} pictures "
                + $"against the package's own file: largest difference of a feature {proof.LargestRelative:E1} "
                + $"of the largest feature (allowed {ImportProof.Tolerance:E0}). The classifier is new."
        );
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var tensor in tensors.Values)
            tensor.Dispose();
        base.Dispose();
    }

    /// <summary>
    /// The mean picture that the preprocessing subtracts from blue, green and red, as planes of red, green and blue.
    /// </summary>
    /// <param name="preprocessing">The package's first file.</param>
    private static float[] Rgb(OnnxGraph preprocessing)
    {
        var operators = string.Join(" ", preprocessing.Nodes.Select(node => node.OpType));
        if (
            operators != "Split Concat Sub"
            || !preprocessing.Nodes[1].Inputs.SequenceEqual(preprocessing.Nodes[0].Outputs.Reverse<string>())
        )
            throw new InvalidDataException(
                $"the preprocessing is {operators}; expected is Split, Concat in reverse order, Sub"
            );
        var mean = preprocessing.Tensor(preprocessing.Nodes[2].Inputs[1])
            ?? throw new InvalidDataException("the preprocessing does not subtract a constant");
        if (!mean.Dims.SequenceEqual([1L, 3, InputSide, InputSide]))
            throw new InvalidDataException(
                $"the mean picture has the unexpected shape [{string.Join(", ", mean.Dims)}]"
            );
        return [.. mean.Floats().Chunk(InputSide * InputSide).Reverse().SelectMany(plane => plane)];
    }
}
