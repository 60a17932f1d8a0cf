using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Contract;
using TorchBridge.Quantization;
using TorchBridge.Training;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Benchmarks.Fuzzing;

/// <summary>The entry points for data from outside (doors) by name.</summary>
internal static class FuzzDoors
{
    private const int Width = 20,
        Height = 12;

    /// <summary>How often our own files are repeated in a corpus that contains each found file once, because a found
    /// picture takes a second, and few of the found models are classifiers.</summary>
    private const int PictureShare = 500,
        ClassifierShare = 200;

    /// <summary>Creates a door. A corpus is created once, in the door's own process.</summary>
    public static IReadOnlyDictionary<string, Func<FuzzDoor>> All { get; } =
        new Dictionary<string, Func<FuzzDoor>>(StringComparer.Ordinal)
        {
            ["picture"] = Picture,
            ["load"] = Load,
            ["score"] = Score,
            ["quantize"] = Quantize,
            ["zip"] = Zip,
            ["safetensors"] = Weights,
            ["checkpoint"] = Resume,
            ["archive"] = Archive,
            ["recipe"] = Recipe,
            ["card"] = Card,
        };

    /// <summary>The temporary folder of this process. It is left to the system's cleaning, because the parent may end
    /// this process at any time.</summary>
    private static string Scratch { get; } = Directory.CreateTempSubdirectory("torchbridge-fuzz-").FullName;

    private static FuzzDoor Picture() =>
        new(
            [
                .. Enumerable.Repeat(FuzzCorpus.Pictures().ToArray(), PictureShare).SelectMany(pictures => pictures),
                .. FuzzCorpus.Found("pictures"),
            ],
            error => error is InvalidPictureException,
            (input, random) =>
                PictureReader.Read(
                    input,
                    "the picture",
                    Width,
                    Height,
                    new byte[3 * Width * Height],
                    new PictureReading(random.Next(2) == 0, random.Next(2) == 0)
                )
        );

    private static FuzzDoor Load() =>
        new(
            [.. Enumerable.Repeat(FuzzCorpus.Classifier(), ClassifierShare), .. FuzzCorpus.Found("onnx")],
            error => error is InvalidDataException,
            (input, _) =>
            {
                using var classifier = ImageClassifier.Load(input, "the model", new SessionSettings { Threads = 1 });
                classifier.ClassifyPlanes(new byte[3L * classifier.Width * classifier.Height], 1);
            }
        );

    private static FuzzDoor Score() =>
        new(
            [.. Enumerable.Repeat(FuzzCorpus.Classifier(), ClassifierShare), .. FuzzCorpus.Found("onnx")],
            // The last exception is for a legal model whose rows have a different length than those of the column.
            error =>
                error is InvalidDataException or NotSupportedException
                || (
                    error is InvalidOperationException
                    && error.Message.Contains($"'{ModelNames.Pixels}' has ", StringComparison.Ordinal)
                ),
            (input, _) =>
            {
                var context = new MLContext(seed: 0);
                var path = Write(input, "score.onnx");
                var rows = context.Data.LoadFromEnumerable(new[] { new PixelRow() });
                using var scorer = context
                    .Transforms.ScoreOnnx(
                        path,
                        [ModelNames.Pixels],
                        [ModelNames.Probabilities],
                        session: new SessionSettings { Threads = 1 }
                    )
                    .Fit(rows);
                // Preview reads any column: a mutant may return a single number where the network returned a vector.
                GC.KeepAlive(scorer.Transform(rows).Preview());
            }
        );

    private static FuzzDoor Quantize() =>
        new(
            [FuzzCorpus.Classifier(), .. FuzzCorpus.Found("onnx")],
            error => error is QuantizationException,
            (input, random) =>
            {
                var modes = Enum.GetValues<QuantizationMode>();
                OnnxQuantizer.Quantize(
                    Write(input, "quantize.onnx"),
                    Batches(input),
                    Path.Combine(Scratch, "quantized.onnx"),
                    new QuantizationOptions
                    {
                        Mode = modes[random.Next(modes.Length)],
                        EqualizeRanges = random.Next(2) == 0,
                        MeasureSensitivity = random.Next(4) == 0,
                        Budget = new AccuracyBudget { Agreement = 0.5, Decibels = random.Next(2) == 0 ? 5 : 30 },
                    }
                );
            }
        );

    private static FuzzDoor Zip()
    {
        var onnx = Write(FuzzCorpus.Classifier(), "stock.onnx");
        var zip = Path.Combine(Scratch, "stock.zip");
        StockPipeline.Save(onnx, zip);
        return new(
            [File.ReadAllBytes(zip), Stored(zip)],
            error =>
                error is ArgumentException { InnerException: null } or InvalidDataException or NotSupportedException,
            (input, _) =>
            {
                var model = Loaded(Write(input, "batched.zip"));
                if (model is null)
                    return;
                using (model as IDisposable)
                    (model.Batched(session: new SessionSettings { Threads = 1 }) as IDisposable)?.Dispose();
            }
        );
    }

    private static FuzzDoor Weights() =>
        new(
            [Model().Weights],
            error => error is UserException,
            (input, _) => TrainedModel.Load(Write(input, "model.safetensors")).Dispose()
        );

    private static FuzzDoor Resume() =>
        new(
            [Model().Checkpoint],
            error => error is UserException,
            (input, _) =>
            {
                using var checkpoint = Checkpoint.Read(Write(input, "checkpoint.safetensors"));
                using var model = new TrainedModel(checkpoint.Settings);
                using var state = new TrainingState(model.Classifier, checkpoint.Settings.Recipe);
                checkpoint.RestoreInto(state);
            }
        );

    private static FuzzDoor Archive() =>
        new(
            [
                FuzzCorpus.Zip(CompressionLevel.NoCompression),
                FuzzCorpus.Zip(CompressionLevel.Fastest),
                FuzzCorpus.Tar(),
            ],
            error => error is UserException,
            (input, random) =>
            {
                // A tar is compressed after it was changed; otherwise gzip's checksum would reject every change.
                var isZip = input.AsSpan().StartsWith("PK"u8);
                var path = isZip ? Write(input, "data.zip") : Write(Gzip(input), "data.tar.gz");
                DataSource.Load(path, Width, seed: random.Next());
            }
        );

    private static FuzzDoor Recipe() =>
        new(
            [
                .. RunConfiguration.Names.Select(name =>
                    JsonSerializer.SerializeToUtf8Bytes(RunConfiguration.Named(name), Json.Options)
                ),
                .. FuzzCorpus.Found("recipes"),
            ],
            error => error is UserException,
            (input, _) => RunConfiguration.FromFile(Write(input, "recipe.json"))
        )
        {
            IsText = true,
        };

    private static FuzzDoor Card() =>
        new(
            [FuzzCorpus.CardText(), .. FuzzCorpus.Found("cards")],
            error => error is InvalidDataException,
            (input, _) =>
            {
                if (Map(input) is not { } metadata)
                    return;
                SelfCheck.Read(metadata, ModelCard.Read(metadata, "the model"), "the model");
            }
        )
        {
            IsText = true,
        };

    /// <summary>Parses the JSON of a model card; null if it is not an object of strings, which no ONNX file can
    /// contain.</summary>
    private static Dictionary<string, string>? Map(byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.ValueKind != JsonValueKind.Object
                ? null
                : document
                    .RootElement.EnumerateObject()
                    .GroupBy(property => property.Name, StringComparer.Ordinal)
                    .ToDictionary(
                        same => same.Key,
                        same =>
                            same.Last().Value is { ValueKind: JsonValueKind.String } text
                                ? text.GetString()!
                                : same.Last().Value.GetRawText(),
                        StringComparer.Ordinal
                    );
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Loads an ML.NET chain; null if ML.NET itself refuses the file, which is not tested here.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "ML.NET documents no exception for a broken file")]
    private static ITransformer? Loaded(string zip)
    {
        try
        {
            return new MLContext(seed: 0).Model.Load(zip, out _);
        }
        catch (Exception)
        {
            return null;
        }
    }

    /// <summary>Creates the weights and a checkpoint of a small network.</summary>
    private static (byte[] Weights, byte[] Checkpoint) Model()
    {
        var recipe = new Recipe { WeightAverage = 0.9 };
        var network = new NetworkOptions
        {
            Channels = 8,
            Height = 8,
            Width = 8,
            Classes = 3,
        };
        var settings = new ModelSettings(
            network,
            recipe,
            new ComputeOptions(Precision.Float32, 1, "cpu"),
            1,
            DataSource.Drawn,
            null,
            ["cat", "dog", "ship"],
            new ChannelStatistics([0.5, 0.5, 0.5], [0.2, 0.2, 0.2])
        );
        using var model = new TrainedModel(settings);
        using var state = new TrainingState(model.Classifier, recipe);
        string weights = Path.Combine(Scratch, "made.safetensors"),
            checkpoint = Path.Combine(Scratch, "made.checkpoint");
        model.Save(weights);
        Checkpoint.Write(checkpoint, settings, state);
        return (File.ReadAllBytes(weights), File.ReadAllBytes(checkpoint));
    }

    /// <summary>Inputs with the types and shapes that ONNX Runtime reports for a model; none if it does not load the
    /// model, or if the inputs would be large.</summary>
    private static QuantizationBatch[] Batches(byte[] onnx)
    {
        try
        {
            Onnx.Format.OnnxReader.Probe(onnx, "the model");
            using var options = new SessionOptions
            {
                LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
                IntraOpNumThreads = 1,
            };
            using var session = new InferenceSession(onnx, options);
            return [new QuantizationBatch([.. session.InputMetadata.Select(input => Value(input.Key, input.Value))])];
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            return [new QuantizationBatch([])];
        }
    }

    private static NamedOnnxValue Value(string name, NodeMetadata metadata)
    {
        var shape = metadata
            .Dimensions.Select(
                (size, axis) =>
                    size >= 0 ? size
                    : axis == 0 ? 2
                    : 8
            )
            .ToArray();
        var count = shape.Aggregate(1L, (product, size) => Math.Min(product * size, 1 << 20));
        if (count >= 1 << 20)
            throw new NotSupportedException("the input is too large for this test");
        var random = new Random(5);
        float[] values = [.. Enumerable.Range(0, (int)count).Select(_ => (float)random.NextDouble() - 0.5f)];
        return metadata.ElementDataType switch
        {
            TensorElementType.Float => NamedOnnxValue.CreateFromTensor(name, new DenseTensor<float>(values, shape)),
            TensorElementType.Int64 => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<long>(Array.ConvertAll(values, _ => 1L), shape)
            ),
            TensorElementType.UInt8 => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<byte>(Array.ConvertAll(values, value => (byte)(255 * (value + 0.5f))), shape)
            ),
            TensorElementType.Bool => NamedOnnxValue.CreateFromTensor(
                name,
                new DenseTensor<bool>(Array.ConvertAll(values, value => value > 0), shape)
            ),
            var other => throw new NotSupportedException($"inputs of type {other} are not supported by this test"),
        };
    }

    private static byte[] Stored(string zip)
    {
        using var memory = new MemoryStream();
        using (var source = ZipFile.OpenRead(zip))
        using (var target = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var entry in source.Entries)
            {
                using var from = entry.Open();
                using var to = target.CreateEntry(entry.FullName, CompressionLevel.NoCompression).Open();
                from.CopyTo(to);
            }
        }

        return memory.ToArray();
    }

    private static byte[] Gzip(byte[] bytes)
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(bytes);
        return memory.ToArray();
    }

    private static string Write(byte[] bytes, string name)
    {
        var path = Path.Combine(Scratch, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private sealed class PixelRow
    {
        [Microsoft.ML.Data.VectorType(3, 8, 8)]
        [Microsoft.ML.Data.ColumnName(ModelNames.Pixels)]
        public float[] Pixels { get; set; } = new float[192];
    }
}
