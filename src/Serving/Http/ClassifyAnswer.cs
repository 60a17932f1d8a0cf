using System.Text.Json.Serialization;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Page;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>
/// What <c>/classify</c> answers, as JSON in snake case; members that are null are left out.
/// </summary>
/// <param name="Model">Name of the model.</param>
/// <param name="Version">The version that computed it.</param>
/// <param name="Label">Name of the most probable class.</param>
/// <param name="Probability">Its probability, 0 to 1.</param>
/// <param name="Top">The most probable classes, most probable first.</param>
internal sealed record ClassifyAnswer(
    string Model,
    string Version,
    string Label,
    double Probability,
    IReadOnlyList<ClassScore> Top
)
{
    /// <summary>Times, where details are asked for.</summary>
    public ClassifyTimes? Times { get; init; }

    /// <summary>The picture as the network saw it, a PNG in base64.</summary>
    public string? Seen { get; init; }

    /// <summary>Where the network looked, where the model has such an output: rows of values, 0 to 1.</summary>
    public double[][]? ActivationMap { get; init; }

    /// <summary>Makes an answer.</summary>
    /// <param name="model">A classifier of ours.</param>
    /// <param name="result">What it computed for one picture.</param>
    /// <param name="top">How many classes, 1 and up.</param>
    /// <param name="details">Whether times, the seen picture and the activation map are added.</param>
    /// <param name="total">Time from the request's first byte.</param>
    public static ClassifyAnswer Of(ModelVersion model, InferenceResult result, int top, bool details, TimeSpan total)
    {
        var labels = model.Identity.Card!.ClassNames;
        var scores = Classification.Numbers(
            result.Reply.Outputs.First(output => output.Tensor.Name == "probabilities").Tensor
        );
        // A stable sort: of equals the first. NaN is the least of all.
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

    /// <summary>
    /// A model that computes NaN says nothing: JSON has no word for it, and zero is the honest probability.
    /// </summary>
    /// <param name="value">NaN and the infinities, which JSON has not, become 0.</param>
    private static double Finite(double value) => double.IsFinite(value) ? value : 0;
}

/// <summary>A class and its probability.</summary>
/// <param name="Rank">1 for the most probable.</param>
/// <param name="Label">Its name.</param>
/// <param name="Index">Its place among the model's classes.</param>
/// <param name="Probability">0 to 1.</param>
internal sealed record ClassScore(int Rank, string Label, int Index, double Probability);

/// <summary>What took how many milliseconds.</summary>
/// <param name="Decode">The picture was decoded and resized.</param>
/// <param name="Queue">The request waited.</param>
/// <param name="Run">The network ran.</param>
/// <param name="Total">From the request's first byte to the answer.</param>
/// <param name="BatchRows">Pictures in the batch that it ran in.</param>
internal sealed record ClassifyTimes(double Decode, double Queue, double Run, double Total, int BatchRows);

/// <summary>Writes the answer, by code that is generated at build time.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(ClassifyAnswer))]
internal sealed partial class ClassifyJson : JsonSerializerContext;
