using System.Text;
using System.Text.Json;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Files;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Training.Deployment;

/// <summary>Writes a folder from which others serve the model: the repository, and what the target needs beside
/// it.</summary>
internal static class DeploymentPackager
{
    private const string Repository = "models";

    /// <summary>ONNX Runtime's first versions with an opset
    /// (onnxruntime.ai/docs/reference/compatibility.html).</summary>
    private static readonly Dictionary<int, string> FirstRuntime = new()
    {
        [17] = "1.12",
        [18] = "1.14",
        [19] = "1.15",
        [20] = "1.17",
        [21] = "1.18",
    };

    /// <summary>Writes it: made beside the folder under another name, and renamed whole.</summary>
    /// <param name="onnx">The model.</param>
    /// <param name="target">Who serves it.</param>
    /// <param name="place">Names and addresses.</param>
    /// <returns>Paths of the files, and what the reader should know of them.</returns>
    /// <exception cref="UserException">There is no model, or the folder is there.</exception>
    public static (IReadOnlyList<string> Files, string Note) Package(
        string onnx,
        DeploymentTarget target,
        DeploymentPlace place
    )
    {
        var graph = Read(onnx);
        var folder = Path.GetFullPath(place.Folder);
        if (Directory.Exists(folder) || File.Exists(folder))
            throw new UserException($"{place.Folder} is there. Delete it, or name another folder with --to.");
        var staging = $"{folder}.{Guid.NewGuid():N}.tmp";
        try
        {
            WriteAll(staging, onnx, graph, target, place);
            Directory.Move(staging, folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{place.Folder} cannot be written: {error.Message}", error);
        }
        finally
        {
            if (Directory.Exists(staging))
                Directory.Delete(staging, recursive: true);
        }

        string[] files =
        [
            .. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal),
        ];
        var runtime = FirstRuntime.TryGetValue(graph.Opset, out var version)
            ? $": needs ONNX Runtime {version} or newer"
            : "";
        return (files, FormattableString.Invariant($"opset {graph.Opset}{runtime}"));
    }

    /// <summary>Writes the repository and the target's own files.</summary>
    /// <param name="staging">A folder beside the place that it is moved to.</param>
    /// <param name="onnx">The model's file.</param>
    /// <param name="graph">The same, read.</param>
    /// <param name="target">Who serves it.</param>
    /// <param name="place">Names and paths.</param>
    private static void WriteAll(
        string staging,
        string onnx,
        OnnxGraph graph,
        DeploymentTarget target,
        DeploymentPlace place
    )
    {
        var model = Path.Combine(staging, Repository, place.Name);
        var version = Directory.CreateDirectory(Path.Combine(model, "1")).FullName;
        File.Copy(onnx, Path.Combine(version, "model.onnx"));
        AtomicFile.Text(Path.Combine(model, "config.pbtxt"), ConfigPbtxt.Of(place.Name, graph));
        if (LabelsOf(graph) is { } labels)
            AtomicFile.Text(Path.Combine(model, ConfigPbtxt.Labels), labels);
        if (target == DeploymentTarget.KServe)
            AtomicFile.Text(
                Path.Combine(staging, "inferenceservice.yaml"),
                Manifests.InferenceService(place.Name, place.Storage)
            );
        if (target is DeploymentTarget.Docker or DeploymentTarget.Kubernetes)
        {
            AtomicFile.Text(
                Path.Combine(staging, "Dockerfile"),
                Manifests.Dockerfile(place.Folder.Replace('\\', '/').TrimEnd('/'), place.Image)
            );
            AtomicFile.Text(Path.Combine(staging, "Dockerfile.dockerignore"), Manifests.DockerIgnore);
        }

        if (target == DeploymentTarget.Kubernetes)
            AtomicFile.Text(Path.Combine(staging, "deployment.yaml"), Manifests.Deployment(place.Name, place.Image));
    }

    /// <summary>Reads the exported model.</summary>
    /// <param name="onnx">Its file.</param>
    /// <exception cref="UserException">It is missing, no model, or has its tensors in other files.</exception>
    private static OnnxGraph Read(string onnx)
    {
        try
        {
            // Packages hold one file a version; a model with its tensors in others is larger than any that is trained
            // here.
            return OnnxReader.DataFiles(onnx).Count == 0
                ? OnnxReader.Read(onnx)
                : throw new UserException(
                    $"{onnx} keeps its tensors in other files; only a model in one file is packaged."
                );
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw UserException.OfModel(onnx, error);
        }
    }

    /// <summary>A line a class. Triton knows no other way: a line break within a name is a space.</summary>
    /// <param name="graph">The model; null is given where its metadata names no classes.</param>
    private static string? LabelsOf(OnnxGraph graph)
    {
        if (!graph.Metadata.TryGetValue(MetadataKeys.ClassNames, out var json))
            return null;
        var text = new StringBuilder();
        foreach (var name in JsonSerializer.Deserialize<string[]>(json)!)
            text.Append(name.ReplaceLineEndings(" ")).Append('\n');
        return text.ToString();
    }
}
