using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Protocol;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Models;

/// <summary>Fits a request to a model: every input once, of the right datatype and shape; outputs that there are,
/// each once.</summary>
internal static class RequestBinder
{
    /// <summary>Name under which a classifier of ours takes encoded pictures.</summary>
    public const string PictureInput = "image";

    /// <summary>Makes what the queue takes.</summary>
    /// <param name="request">What the client sent.</param>
    /// <param name="model">The version that answers.</param>
    /// <param name="deadline">Timestamp after which nobody waits for it.</param>
    /// <returns>What the queue takes: tensors in the model's order, positions of the outputs, rows.</returns>
    /// <exception cref="RequestRefusedException">Request and model do not fit.</exception>
    public static PendingRequest Bind(InferenceRequest request, ModelVersion model, long deadline)
    {
        var signature = model.Signature;
        var inputs = new Tensor[signature.Inputs.Count];
        foreach (var tensor in request.Inputs)
        {
            var index = signature.InputIndex(tensor.Name);
            if (index < 0)
                throw Invalid(
                    $"the model has no input '{JsonText.Short(tensor.Name)}'; it takes {Names(signature.Inputs)}"
                );
            if (inputs[index] is not null)
                throw Invalid($"input '{tensor.Name}' is given twice");
            Check(tensor, signature.Inputs[index]);
            inputs[index] = tensor;
        }

        if (Array.IndexOf(inputs, null) is >= 0 and var missing)
            throw Invalid(
                $"input '{signature.Inputs[missing].Name}' is missing; the model takes {Names(signature.Inputs)}"
            );
        return new PendingRequest(inputs, OutputsOf(request, model), RowsOf(inputs, model), deadline);
    }

    /// <summary>Positions of the outputs that a request wants; all where it names none.</summary>
    /// <param name="request">May name outputs.</param>
    /// <param name="model">The model.</param>
    /// <returns>Places in the model's own order, in the order that was asked for.</returns>
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
                    $"the model has no output '{JsonText.Short(output.Name)}'; it gives {Names(signature.Outputs)}"
                );
            if (outputs.Contains(index))
                throw Invalid($"output '{output.Name}' is requested twice");
            outputs.Add(index);
        }

        return [.. outputs];
    }

    /// <summary>Rows that all inputs agree on; 1 where axis 0 is no batch.</summary>
    /// <param name="inputs">In the model's order.</param>
    /// <param name="model">The model.</param>
    private static int RowsOf(Tensor[] inputs, ModelVersion model)
    {
        if (!model.IsBatched)
            return 1;
        var rows = inputs[0].Shape[0];
        if (Array.Find(inputs, input => input.Shape[0] != rows) is { } other)
            throw Invalid($"input '{inputs[0].Name}' has {rows} rows and input '{other.Name}' has {other.Shape[0]}");
        if (rows == 0)
            throw Invalid($"input '{inputs[0].Name}' has no row");
        return rows <= model.Settings.MaxRows
            ? (int)rows
            : throw Invalid($"the request has {rows} rows; the model takes up to {model.Settings.MaxRows} at once");
    }

    /// <summary>Refuses a tensor of another datatype or shape than the model takes.</summary>
    /// <param name="tensor">What was sent.</param>
    /// <param name="spec">What the model takes.</param>
    private static void Check(Tensor tensor, TensorSpec spec)
    {
        if (tensor.Type != spec.Type)
            throw Invalid($"input '{spec.Name}' is {tensor.Type.NameOf()}; the model takes {spec.Type.NameOf()}");
        var fits = tensor.Shape.Length == spec.Shape.Count;
        for (var axis = 0; fits && axis < tensor.Shape.Length; axis++)
            fits = spec.Shape[axis] == TensorSpec.Free || spec.Shape[axis] == tensor.Shape[axis];
        if (!fits)
            throw Invalid(
                $"input '{spec.Name}' is {ShapeRules.Text(tensor.Shape)}; the model takes {spec.ShapeText} ({TensorSpec.Free} is any size)"
            );
    }

    /// <summary>Names for an error.</summary>
    /// <param name="specs">Inputs or outputs.</param>
    private static string Names(IEnumerable<TensorSpec> specs) =>
        string.Join(", ", specs.Select(spec => $"'{spec.Name}'"));
}
