// Classifies pictures without ML.NET, after the model has checked itself on this machine.
// Usage: ConsoleClassifier MODEL.onnx PICTURE…
using System.Globalization;
using TorchBridge.Inference;

if (args.Length < 2)
{
    Console.Error.WriteLine("Usage: ConsoleClassifier MODEL.onnx PICTURE…");
    return 2;
}

using var classifier = ImageClassifier.Load(args[0]);
var check = classifier.Verify();
Console.WriteLine(
    string.Create(
        CultureInfo.InvariantCulture,
        $"self-check: {check.Agree} of {check.Pictures} pictures as in training, largest difference "
            + $"{check.LargestDifference:G3} (allowed {check.Tolerance:G3})"
    )
);
if (!check.Passed)
    return 1;

foreach (var (path, prediction) in args[1..].Zip(classifier.ClassifyBatch(args[1..])))
    Console.WriteLine(FormattableString.Invariant($"{path}: {prediction.Label} {prediction.Probabilities.Max():F4}"));
return 0;
