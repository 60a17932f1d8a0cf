using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Protocol;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Models;

/// <summary>
/// Matches a request to a model: every input must be given once, with the right datatype and shape, and every
/// requested output must exist and be requested once.
/// </summary>
internal static class RequestBinder
{
    /// <summary>Name of the input under which TorchBridge classifiers accept encoded pictures.</summary>
    public const string PictureInput = "image";

    /// <summary>Converts a request to an entry for the model's queue.</summary>
    /// <param name="request">The client's request.</param>
    /// <param name="model">The model version to run.</param>
    /// <param name="deadline">Timestamp after which the request is not run any more.</param>
    /// <returns>The entry: tensors in the model's order, indices of the outputs, and the number of rows.</returns>
    /// <exception cref="RequestRefusedException">The request does not fit the model.</exception>
    public static PendingRequest Bind(InferenceRequest request, ModelVersion model, long deadline)
    {
        var signature = model.Signature;
        var inputs = new Tensor[signature.Inputs.Count];
        foreach (var tensor in request.Inputs)
        {
            var index = signature.InputIndex(tensor.Name);
            if (index < 0)
                throw Invalid(
                    $"the model has no input '{JsonText.Short(tensor.Name)}'; its inputs are {Names(signature.Inputs)}"
                );
            if (inputs[index] is not null)
                throw Invalid($"input '{tensor.Name}' is given twice");
            Check(tensor, signature.Inputs[index]);
            inputs[index] = tensor;
        }

        if (Array.IndexOf(inputs, null) is >= 0 and var missing)
            throw Invalid(
                $"input '{signature.Inputs[missing].Name}' is missing; the model's inputs are {Names(signature.Inputs)}"
            );
        return new PendingRequest(inputs, OutputsOf(request, model), RowsOf(inputs, model), deadline);
    }

    /// <summary>The indices of the outputs that a request asks for; all outputs if it names none.</summary>
    /// <param name="request">The request, which may name outputs.</param>
    /// <param name="model">The model version.</param>
    /// <returns>Indices into the model's outputs, in the order of the request.</returns>
    private static int[] OutputsOf(InferenceRequest request, ModelVersion model)
    {
        var signature = model.Signature;
        if (request.Outputs.Count == 0)
            return [.. Enumerable.Range(0, signature.Outputs.Count)];
        var outputs = new List<int>();
        foreach (var output in request.Outputs)
        {
            var index = signature.OutputIndex(output.Name);
            if (index < 0)
                throw Invalid(
                    $"the model has no output '{JsonText.Short(output.Name)}'; its outputs are {Names(signature.Outputs)}"
                );
            if (outputs.Contains(index))
                throw Invalid($"output '{output.Name}' is requested twice");
            outputs.Add(index);
        }

        return [.. outputs];
    }

    /// <summary>The number of rows, on which all inputs must agree; 1 if axis 0 is not the batch axis.</summary>
    /// <param name="inputs">The inputs in the model's order.</param>
    /// <param name="model">The model version.</param>
    private static int RowsOf(Tensor[] inputs, ModelVersion model)
    {
        if (!model.IsBatched)
            return 1;
        var rows = inputs[0].Shape[0];
        if (Array.Find(inputs, input => input.Shape[0] != rows) is { } other)
            throw Invalid($"input '{inputs[0].Name}' has {rows} rows, but input '{other.Name}' has {other.Shape[0]}");
        if (rows == 0)
            throw Invalid($"input '{inputs[0].Name}' has no rows; at least one is needed");
        return rows <= model.Settings.MaxRows
            ? (int)rows
            : throw Invalid($"the request has {rows} rows; the model takes up to {model.Settings.MaxRows} at once");
    }

    /// <summary>Refuses a tensor whose datatype or shape does not fit the model.</summary>
    /// <param name="tensor">The tensor of the request.</param>
    /// <param name="spec">The model's input.</param>
    private static void Check(Tensor tensor, TensorSpec spec)
    {
        if (tensor.Type != spec.Type)
            throw Invalid($"input '{spec.Name}' is {tensor.Type.NameOf()}; the model takes {spec.Type.NameOf()}");
        var fits = tensor.Shape.Length == spec.Shape.Count;
        for (var axis = 0; fits && axis < tensor.Shape.Length; axis++)
            fits = spec.Shape[axis] == TensorSpec.Free || spec.Shape[axis] == tensor.Shape[axis];
        if (!fits)
            throw Invalid(
                $"input '{spec.Name}' is {ShapeRules.Text(tensor.Shape)}; the model takes {spec.ShapeText} "
                    + $"({TensorSpec.Free} means any size)"
            );
    }

    /// <summary>The names of inputs or outputs, for error messages.</summary>
    /// <param name="specs">Inputs or outputs.</param>
    private static string Names(IEnumerable<TensorSpec> specs) =>
        string.Join(", ", specs.Select(spec => $"'{spec.Name}'"));
}
