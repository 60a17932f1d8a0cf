using TorchBridge.Training.Networks;
using static TorchSharp.torch;

namespace TorchBridge.Training.Explanation;

/// <summary>A classifier with the class-activation maps of all classes as a third output: [N, classes, h, w].</summary>
internal sealed class ExplainingClassifier : nn.Module<Tensor, (Tensor Logits, Tensor Probabilities, Tensor Maps)>
{
    private readonly PixelClassifier classifier;

    /// <summary>Wraps a classifier; the caller keeps ownership.</summary>
    /// <param name="classifier">The classifier, in eval mode; its last layer must directly follow the pool.</param>
    public ExplainingClassifier(PixelClassifier classifier)
        : base(nameof(ExplainingClassifier))
    {
        this.classifier = classifier;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override (Tensor Logits, Tensor Probabilities, Tensor Maps) forward(Tensor pixels)
    {
        var (logits, maps) = classifier.Explain(pixels);
        return (logits, logits.softmax(1), maps);
    }
}
