using System.Text.Json.Serialization;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Page;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// The response of <c>/classify</c>, written as JSON with names in snake case; members that are null are left out.
/// </summary>
/// <param name="Model">Name of the model.</param>
/// <param name="Version">Version of the model.</param>
/// <param name="Label">Name of the most probable class.</param>
/// <param name="Probability">Probability of that class, 0 to 1.</param>
/// <param name="Top">The most probable classes, most probable first.</param>
internal sealed record ClassifyAnswer(
    string Model,
    string Version,
    string Label,
    double Probability,
    IReadOnlyList<ClassScore> Top
)
{
    /// <summary>Duration of each step; null unless details were requested.</summary>
    public ClassifyTimes? Times { get; init; }

    /// <summary>
    /// The pixels that the network received, as a PNG in base64; null unless details were requested.
    /// </summary>
    public string? Seen { get; init; }

    /// <summary>
    /// The activation map as rows of values from 0 to 1; null unless details were requested and the model has such an
    /// output.
    /// </summary>
    public double[][]? ActivationMap { get; init; }

    /// <summary>Creates the response.</summary>
    /// <param name="model">A TorchBridge classifier.</param>
    /// <param name="result">Its result for one picture.</param>
    /// <param name="top">Number of classes to return, at least 1.</param>
    /// <param name="details">Whether to add times, the network's pixels and the activation map.</param>
    /// <param name="total">Time since the request's first byte.</param>
    public static ClassifyAnswer Of(ModelVersion model, InferenceResult result, int top, bool details, TimeSpan total)
    {
        var labels = model.Identity.Card!.ClassNames;
        var scores = Classification.Numbers(
            result.Reply.Outputs.First(output => output.Tensor.Name == "probabilities").Tensor
        );
        // The sort is stable, so equal scores keep their order. NaN comes last.
        ClassScore[] best =
        [
            .. Enumerable
                .Range(0, labels.Count)
                .OrderByDescending(i => scores[i])
                .Take(top)
                .Select((index, rank) => new ClassScore(rank + 1, labels[index], index, Finite(scores[index]))),
        ];
        var answer = new ClassifyAnswer(
            model.Identity.Model,
            model.Identity.VersionText,
            best[0].Label,
            best[0].Probability,
            best
        );
        if (!details)
            return answer;
        return answer with
        {
            Times = new ClassifyTimes(
                result.Times.Decode.TotalMilliseconds,
                result.Times.Queue.TotalMilliseconds,
                result.Times.Run.TotalMilliseconds,
                total.TotalMilliseconds,
                result.BatchRows
            ),
            Seen = Convert.ToBase64String(SeenPicture.ToPng(result.Inputs[0])),
            ActivationMap = Http.ActivationMap.Of(result.Reply, best[0].Index),
        };
    }

    /// <summary>Replaces NaN and infinities, which JSON cannot represent, by a probability of 0.</summary>
    /// <param name="value">Any number.</param>
    private static double Finite(double value) => double.IsFinite(value) ? value : 0;
}

/// <summary>A class and its probability.</summary>
/// <param name="Rank">1 for the most probable.</param>
/// <param name="Label">Name of the class.</param>
/// <param name="Index">Index of the class in the model.</param>
/// <param name="Probability">Probability, 0 to 1.</param>
internal sealed record ClassScore(int Rank, string Label, int Index, double Probability);

/// <summary>Duration of each step of a classification, in milliseconds.</summary>
/// <param name="Decode">Time to decode and resize the picture.</param>
/// <param name="Queue">Time that the request waited in the queue.</param>
/// <param name="Run">Time to run the network.</param>
/// <param name="Total">Time from the request's first byte to the response.</param>
/// <param name="BatchRows">Number of pictures in the batch in which the picture ran.</param>
internal sealed record ClassifyTimes(double Decode, double Queue, double Run, double Total, int BatchRows);

/// <summary>Source-generated JSON serialization of the response.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(ClassifyAnswer))]
internal sealed partial class ClassifyJson : JsonSerializerContext;
