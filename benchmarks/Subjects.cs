using TorchBridge.Benchmarks.Serving;

namespace TorchBridge.Benchmarks;

/// <summary>The side-by-side measurements (subjects) by name.</summary>
internal static class Subjects
{
    public static IReadOnlyDictionary<string, Func<Measurement>> All { get; } =
        new Dictionary<string, Func<Measurement>>(StringComparer.Ordinal)
        {
            ["export"] = ExportSubject.Run,
            ["training"] = TrainingSubject.Run,
            ["scoring"] = ScoringSubject.Run,
            ["quantized"] = QuantizedSubject.Run,
            ["calibration"] = CalibrationSubject.Run,
            ["ingredients"] = IngredientsSubject.Run,
            ["minutes-to-90"] = MinutesTo90Subject.Run,
            ["serving"] = ServingSubject.Run,
            ["photos"] = PhotosSubject.Run,
            ["many-photos"] = PhotosSubject.RunMany,
            ["scale"] = ScaleSubject.Run,
            ["scale-scoring"] = ScaleScoring.Run,
        };

    /// <summary>Peers that are measured in separate processes.</summary>
    public static IReadOnlyDictionary<string, Func<string[], double[]>> Peers { get; } =
        TrainingSubject
            .Peers.Concat(ScoringSubject.Peers)
            .Concat(QuantizedSubject.Peers)
            .Select(pair =>
                KeyValuePair.Create<string, Func<string[], double[]>>(pair.Key, arguments => [pair.Value(arguments)])
            )
            .Concat(LoadPeer.Peers)
            .Concat(PhotosSubject.Peers)
            .Concat(MinutesTo90Subject.Peers)
            .Append(new("serve_stock", StockServer.Run))
            .ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
}
