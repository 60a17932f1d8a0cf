namespace TorchBridge.Export;

/// <summary>Thrown when an export is refused. The message names the module path, the location in the source and what
/// to do instead. No file was written.</summary>
public class ExportException : Exception
{
    /// <summary>Creates an exception without a source location.</summary>
    public ExportException() { }

    /// <summary>Creates an exception without a source location.</summary>
    /// <param name="message">What was refused and why.</param>
    public ExportException(string message)
        : base(message) { }

    /// <summary>Creates an exception with a cause.</summary>
    /// <param name="message">What was refused and why.</param>
    /// <param name="innerException">What caused it.</param>
    public ExportException(string message, Exception innerException)
        : base(message, innerException) { }

    /// <summary>Creates an exception that names a module and a source location.</summary>
    /// <param name="modulePath">The module's path in the model (<c>layer2.1.downsample</c>); empty for the model
    /// itself.</param>
    /// <param name="place">Method and source line, if known.</param>
    /// <param name="reason">What was refused, why, and what to do instead.</param>
    /// <param name="innerException">The underlying exception, if there is one.</param>
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

    /// <summary>Method and source line, if known.</summary>
    public string? Place { get; }

    /// <summary>What was refused and why, without the source location.</summary>
    public string? Reason { get; }

    /// <summary>
    /// Every refusal of this export, starting with this one; only this one if nothing else was found.
    /// </summary>
    public IReadOnlyList<ExportException> All
    {
        get => field.Count == 0 ? [this] : field;
        init;
    } = [];
}
