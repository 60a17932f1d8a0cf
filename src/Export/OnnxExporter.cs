using TorchBridge.Onnx.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>Exports TorchSharp modules to ONNX files that compute the same results. What cannot be exported exactly
/// is refused.</summary>
public static class OnnxExporter
{
    /// <summary>
    /// Allows one export at a time, because each one switches the modes of its modules, which models may share, seeds
    /// the random state of the process, and restores both.
    /// </summary>
    private static readonly Lock Gate = new();

    /// <summary>
    /// Whether the current async flow is already inside an export: an export started inside forward would deadlock.
    /// </summary>
    private static readonly AsyncLocal<bool> IsExporting = new();

    /// <summary>
    /// Exports a module as it behaves in eval mode. The module's weights, modes and gradients and the global random
    /// state are restored afterwards. The file is written completely and only after it passed verification, or not at
    /// all.
    /// </summary>
    /// <param name="model">Any module; its <c>forward</c> is captured by running an instrumented copy of it.</param>
    /// <param name="example">An example of the input of <c>forward</c>; axis 0 is free by default (<see
    /// cref="ExportOptions.FreeAxes"/>).</param>
    /// <param name="path">Path of the file to write; an existing file is replaced only by a verified one.</param>
    /// <param name="options">Options; null for the defaults, which suit most models.</param>
    /// <returns>What was captured, folded and measured.</returns>
    /// <exception cref="ExportException">Something in forward cannot be exported; the message names the module path
    /// and the line.</exception>
    /// <exception cref="ParityException">The file would not compute what the module computes.</exception>
    /// <exception cref="ArgumentNullException">The model or the example is null.</exception>
    public static ExportReport Export(nn.Module model, Tensor example, string path, ExportOptions? options = null) =>
        Export(model, [example], path, options);

    /// <summary>
    /// Exports a module that takes several tensors, in the order of the arguments of <c>forward</c>. An argument that
    /// is a list or tuple of tensors takes as many of them as it can hold.
    /// </summary>
    /// <param name="model">Any module.</param>
    /// <param name="examples">One tensor per tensor argument of <c>forward</c>.</param>
    /// <param name="path">Path of the file to write; an existing file is replaced only by a verified one.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <returns>What was captured, folded and measured.</returns>
    /// <exception cref="ExportException">Something in forward cannot be exported.</exception>
    /// <exception cref="ParityException">The file would not compute what the module computes.</exception>
    /// <exception cref="ArgumentNullException">The model or the examples are null.</exception>
    public static ExportReport Export(nn.Module model, Tensor[] examples, string path, ExportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(examples);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        options ??= new ExportOptions();
        if (options.Opset is < 17 or > 21)
            throw new ExportException($"ExportOptions.Opset is {options.Opset}; supported opsets are 17 to 21");

        if (IsExporting.Value)
            throw new ExportException(
                $"{path} cannot be exported from inside forward while another export is running it. Export before or "
                    + "after that call, not within forward."
            );
        lock (Gate)
        {
            IsExporting.Value = true;
            try
            {
                return new ExportRun(model, examples, path, options).Run();
            }
            finally
            {
                IsExporting.Value = false;
            }
        }
    }

    /// <summary>
    /// Checks whether a module can be exported, and with which sizes and nodes; otherwise lists every reason why not.
    /// The module is exported to a temporary file and compared exactly as by <see cref="Export(nn.Module, Tensor[],
    /// string, ExportOptions)"/>, and the file is deleted again.
    /// </summary>
    /// <param name="model">Any module.</param>
    /// <param name="examples">One tensor per tensor argument of <c>forward</c>.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <returns>The result; refusals are returned, not thrown.</returns>
    public static ExportCheck Check(nn.Module model, Tensor[] examples, ExportOptions? options = null)
    {
        var folder = ProcessFiles.NewFolder("check");
        try
        {
            return new ExportCheck(Export(model, examples, Path.Combine(folder.FullName, "model.onnx"), options), []);
        }
        catch (ExportException refusal)
        {
            return new ExportCheck(null, refusal.All);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Checks whether a module with one input can be exported.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="example">An example of the input of <c>forward</c>.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <returns>The result; refusals are returned, not thrown.</returns>
    public static ExportCheck Check(nn.Module model, Tensor example, ExportOptions? options = null) =>
        Check(model, [example], options);
}
