using Spectre.Console;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Commands;

/// <summary>Writes pictures with the class-activation map of what they are taken for.</summary>
internal static class ExplainedPictures
{
    /// <summary>Writes a PNG a picture into a folder, named as the picture.</summary>
    /// <param name="console">Where each file is told.</param>
    /// <param name="weights">The safetensors file of the model.</param>
    /// <param name="files">Pictures.</param>
    /// <param name="folder">Made where it is missing.</param>
    /// <param name="stop">Ends it between two pictures.</param>
    /// <exception cref="UserException">A picture cannot be read, or the network has no exact map.</exception>
    public static void Write(
        IAnsiConsole console,
        string weights,
        IReadOnlyList<string> files,
        string folder,
        CancellationToken stop
    )
    {
        using var model = TrainedModel.Load(weights);
        ClassActivation.RequireExact(model.Network);
        model.Classifier.eval();
        Directory.CreateDirectory(folder);
        var (width, height) = (model.Settings.Network.Width, model.Settings.Network.Height);
        var planes = new byte[3 * width * height];
        var written = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var file in files)
        {
            stop.ThrowIfCancellationRequested();
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            Read(file, width, height, planes, model.Settings.Reading);
            var pixels = tensor(planes).to(ScalarType.Float32).view(1, 3, height, width);
            var label = (int)model.Classifier.Logits(pixels).argmax(1).item<long>();
            var name = NameOf(file, written);
            AtomicWrite.File(Path.Combine(folder, name), stream =>
                stream.Write(MapOverlay.Png(planes, width, height, ClassActivation.Of(model, pixels, [label])[0]))
            );
            console.WriteLine($"  {Path.Combine(folder, name)}: where {model.Settings.ClassNames[label]} is seen");
        }
    }

    /// <summary>Pictures of two folders may have one name.</summary>
    /// <param name="file">The picture.</param>
    /// <param name="written">Names that are taken; the new one is added.</param>
    /// <returns><c>NAME.map.png</c>, with a number where that is taken.</returns>
    private static string NameOf(string file, HashSet<string> written)
    {
        var stem = Path.GetFileNameWithoutExtension(file);
        var name = $"{stem}.map.png";
        for (var index = 2; !written.Add(name); index++)
            name = FormattableString.Invariant($"{stem}.{index}.map.png");
        return name;
    }

    /// <summary>Reads a picture in the model's size.</summary>
    /// <param name="file">The picture.</param>
    /// <param name="width">In pixels.</param>
    /// <param name="height">In pixels.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    /// <param name="reading">How files become pixels.</param>
    /// <exception cref="UserException">It is no picture that can be read.</exception>
    private static void Read(string file, int width, int height, byte[] planes, PictureReading reading)
    {
        try
        {
            PictureReader.ReadFile(file, width, height, planes, reading);
        }
        catch (InvalidPictureException error)
        {
            throw new UserException(error.Message, error);
        }
    }
}
