using Spectre.Console;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Explanation;
using TorchBridge.Training.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Commands;

/// <summary>Writes pictures overlaid with the class-activation map of their predicted class.</summary>
internal static class ExplainedPictures
{
    /// <summary>Writes one PNG per picture to a folder, named after the picture.</summary>
    /// <param name="console">Console for the list of files.</param>
    /// <param name="weights">The safetensors file of the model.</param>
    /// <param name="files">Paths of the pictures.</param>
    /// <param name="folder">Folder to write to; created if missing.</param>
    /// <param name="stop">Cancels between two pictures.</param>
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
            console.WriteLine($"  {Path.Combine(folder, name)}: evidence for {model.Settings.ClassNames[label]}");
        }
    }

    /// <summary>A unique name, because pictures from two folders may have the same name.</summary>
    /// <param name="file">The picture.</param>
    /// <param name="written">Names in use; the new one is added.</param>
    /// <returns><c>NAME.map.png</c>, with a number if that is in use.</returns>
    private static string NameOf(string file, HashSet<string> written)
    {
        var stem = Path.GetFileNameWithoutExtension(file);
        var name = $"{stem}.map.png";
        for (var index = 2; !written.Add(name); index++)
            name = FormattableString.Invariant($"{stem}.{index}.map.png");
        return name;
    }

    /// <summary>Reads a picture at the model's size.</summary>
    /// <param name="file">The picture.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    /// <param name="reading">How files are decoded and resized.</param>
    /// <exception cref="UserException">The file is not a readable picture.</exception>
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
