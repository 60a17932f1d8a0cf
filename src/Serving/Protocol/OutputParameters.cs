using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Interprets the parameters of a requested output.</summary>
internal static class OutputParameters
{
    /// <summary>Reads the parameters of an output.</summary>
    /// <param name="name">Name of the output.</param>
    /// <param name="parameters">The output's parameters.</param>
    /// <exception cref="RequestRefusedException">A parameter has an invalid value, or asks for shared
    /// memory.</exception>
    public static RequestedOutput Read(string name, IReadOnlyDictionary<string, object> parameters)
    {
        int? classes = null;
        if (parameters.TryGetValue("classification", out var wanted))
            classes = wanted is long and >= 1 and <= int.MaxValue
                ? (int)(long)wanted
                : throw Invalid($"output '{name}': classification must be the number of classes, 1 or more");
        if (parameters.ContainsKey("shared_memory_region"))
            throw Invalid($"output '{name}' is to go to shared memory, which this server does not support");
        return new RequestedOutput(name, classes, JsonParameters.Flag(parameters, "binary_data", $"output '{name}'"));
    }
}
