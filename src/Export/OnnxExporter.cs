using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export;

/// <summary>Turns TorchSharp modules into ONNX files that compute the same, or refuses.</summary>
public static class OnnxExporter
{
    /// <summary>
    /// One export at a time: each switches the modes of its modules, which models may share, and seeds the random
    /// state of the process, and puts both back.
    /// </summary>
    private static readonly Lock Gate = new();

    /// <summary>
    /// Whether this flow of control is inside of an export already: one inside of forward would wait for itself for
    /// ever.
    /// </summary>
    private static readonly AsyncLocal<bool> IsExporting = new();

    /// <summary>
    /// Exports a module as it computes in eval mode. The module's weights, modes and gradients and the global random
    /// state are afterwards what they were. The file appears whole and verified, or not at all.
    /// </summary>
    /// <param name="model">Any module; its <c>forward</c> is captured by running an instrumented copy of it.</param>
    /// <param name="example">An input as <c>forward</c> takes it; its axis 0 is free (<see
    /// cref="ExportOptions.FreeAxes"/>).</param>
    /// <param name="path">Where to write; an existing file is replaced only by a verified one.</param>
    /// <param name="options">How; the defaults are meant to be right.</param>
    /// <returns>What was captured, folded and measured.</returns>
    /// <exception cref="ExportException">Something in forward cannot be exported; the message names the module path
    /// and the line.</exception>
    /// <exception cref="ParityException">The file would not compute what the module computes.</exception>
    /// <exception cref="ArgumentNullException">The model or the example is null.</exception>
    public static ExportReport Export(nn.Module model, Tensor example, string path, ExportOptions? options = null) =>
        Export(model, [example], path, options);

    /// <summary>
    /// Exports a module that takes several tensors, in the order of forward's arguments. A list or tuple of tensors
    /// takes as many of them as it has room for.
    /// </summary>
    /// <param name="model">Any module.</param>
    /// <param name="examples">One tensor per tensor argument of <c>forward</c>.</param>
    /// <param name="path">Where to write.</param>
    /// <param name="options">How.</param>
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
            throw new ExportException($"ExportOptions.Opset is {options.Opset}; allowed are 17 to 21");

        if (IsExporting.Value)
            throw new ExportException(
                $"{path} is to be exported from inside of forward, which another export is running. Export before or "
                    + "after; forward itself must not."
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
    /// Tells whether a module exports, at which sizes and with which nodes, or everything that stands in the way. It
    /// is exported and compared as by <see cref="Export(nn.Module, Tensor[], string, ExportOptions)"/>, and the file
    /// removed again.
    /// </summary>
    /// <param name="model">Any module.</param>
    /// <param name="examples">One tensor per tensor argument of <c>forward</c>.</param>
    /// <param name="options">How.</param>
    /// <returns>What was found; nothing that stands in the way is thrown.</returns>
    public static ExportCheck Check(nn.Module model, Tensor[] examples, ExportOptions? options = null)
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-check-");
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

    /// <summary>Tells whether a module of one input exports.</summary>
    /// <param name="model">Any module.</param>
    /// <param name="example">An input as <c>forward</c> takes it.</param>
    /// <param name="options">How.</param>
    /// <returns>What was found.</returns>
    public static ExportCheck Check(nn.Module model, Tensor example, ExportOptions? options = null) =>
        Check(model, [example], options);
}
