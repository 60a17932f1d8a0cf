namespace TorchBridge.Export;

/// <summary>An export was refused: the message names the module path, the place in the source and what to do instead.
/// No file was written.</summary>
public class ExportException : Exception
{
    /// <summary>Makes an exception without a place.</summary>
    public ExportException() { }

    /// <summary>Makes an exception without a place.</summary>
    /// <param name="message">What was refused and why.</param>
    public ExportException(string message)
        : base(message) { }

    /// <summary>Makes an exception with a cause.</summary>
    /// <param name="message">What was refused and why.</param>
    /// <param name="innerException">What caused it.</param>
    public ExportException(string message, Exception innerException)
        : base(message, innerException) { }

    /// <summary>Makes an exception that names a module and a place.</summary>
    /// <param name="modulePath">The module's path in the model (<c>layer2.1.downsample</c>); empty for the model
    /// itself.</param>
    /// <param name="place">Method and source line, where known.</param>
    /// <param name="reason">What was refused, why, and what to do instead.</param>
    /// <param name="innerException">What caused it, if anything did.</param>
    public ExportException(string modulePath, string? place, string reason, Exception? innerException = null)
        : base(
            $"{(modulePath.Length == 0 ? "the model" : modulePath)}{(place is null ? "" : $" ({place})")}: {reason}",
            innerException
        )
    {
        ModulePath = modulePath;
        Place = place;
        Reason = reason;
    }

    /// <summary>The path of the module whose forward was refused; empty for the model itself.</summary>
    public string ModulePath { get; } = "";

    /// <summary>Method and source line, where known.</summary>
    public string? Place { get; }

    /// <summary>What was refused and why, without the place.</summary>
    public string? Reason { get; }

    /// <summary>
    /// Everything that was refused in one export, one by one, this first; itself alone where nothing else was found.
    /// </summary>
    public IReadOnlyList<ExportException> All
    {
        get => field.Count == 0 ? [this] : field;
        init;
    } = [];
}
