using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>What the parameters of a requested output mean.</summary>
internal static class OutputParameters
{
    /// <summary>Reads them.</summary>
    /// <param name="name">The output.</param>
    /// <param name="parameters">Its parameters.</param>
    /// <exception cref="RequestRefusedException">One has a value that it cannot have, or asks for shared
    /// memory.</exception>
    public static RequestedOutput Read(string name, IReadOnlyDictionary<string, object> parameters)
    {
        int? classes = null;
        if (parameters.TryGetValue("classification", out var wanted))
            classes = wanted is long and >= 1 and <= int.MaxValue
                ? (int)(long)wanted
                : throw Invalid($"output '{name}': classification is the number of classes, 1 or more");
        if (parameters.ContainsKey("shared_memory_region"))
            throw Invalid($"output '{name}' is to go to shared memory, which this server does not write");
        return new RequestedOutput(name, classes, JsonParameters.Flag(parameters, "binary_data", $"output '{name}'"));
    }
}
