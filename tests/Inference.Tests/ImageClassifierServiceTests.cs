using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using SkiaSharp;
using TorchBridge.Inference.Hosting;

namespace TorchBridge.Inference.Tests;

public sealed class ImageClassifierServiceTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly string model;
    private readonly string picture;

    public ImageClassifierServiceTests()
    {
        (model, picture) = (folder["model.onnx"], folder["picture.png"]);
        File.WriteAllBytes(model, Checked());
        File.WriteAllBytes(picture, TestPictures.Encode(8, 8, SKEncodedImageFormat.Png));
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Services_get_one_classifier_and_its_health()
    {
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddImageClassifier(model)
            .BuildServiceProvider();
        var service = services.GetRequiredService<ImageClassifierService>();
        Assert.Same(service, services.GetRequiredService<ImageClassifierService>());
        using var plain = ImageClassifier.Load(model);
        Assert.Equal(plain.Classify(picture).Logits, service.Classify(picture).Logits);
        Assert.Equal(HealthStatus.Healthy, await Health(services));
    }

    [Fact]
    public async Task A_model_that_computes_something_else_here_is_unhealthy()
    {
        File.WriteAllBytes(model, Checked(wrong: true));
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddImageClassifier(model)
            .BuildServiceProvider();
        Assert.Equal(HealthStatus.Unhealthy, await Health(services));
    }

    [Fact]
    public void A_changed_file_is_loaded_and_a_running_request_keeps_its_model()
    {
        var clock = new Clock();
        using var service = new ImageClassifierService(model, clock: clock);
        var labels = service.Use(old =>
        {
            File.WriteAllBytes(model, TestModels.Classifier(size: 6));
            clock.Pass(ImageClassifierService.CheckInterval);
            Assert.Equal(6, service.Use(fresh => fresh.Width));
            return (old.Width, old.Classify(picture).Label); // the old one still works
        });
        Assert.Equal(8, labels.Width);
        Assert.Equal((1, null), (service.Reloads, service.ReloadError));
    }

    [Fact]
    public void A_broken_file_is_left_alone_and_told_of()
    {
        var clock = new Clock();
        using var service = new ImageClassifierService(model, clock: clock);
        File.WriteAllText(model, "half a model");
        Assert.Equal(8, service.Use(classifier => classifier.Width)); // not looked at yet
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal(8, service.Use(classifier => classifier.Width));
        Assert.Contains("cannot be used", service.ReloadError, StringComparison.Ordinal);
        File.WriteAllBytes(model, TestModels.Classifier(size: 6));
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal(6, service.Use(classifier => classifier.Width));
        Assert.Null(service.ReloadError);
    }

    [Fact]
    public void A_swapped_link_in_the_path_is_another_file()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("links need a privilege on Windows");
        // As Kubernetes mounts a ConfigMap: model.onnx -> ..data/model.onnx, ..data -> a folder, swapped whole.
        Directory.CreateDirectory(folder["one"]);
        Directory.CreateDirectory(folder["two"]);
        var time = new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        foreach (var (name, size) in new[] { ("one", 8), ("two", 6) })
        {
            File.WriteAllBytes(folder[name, "model.onnx"], TestModels.Classifier(size));
            File.SetLastWriteTimeUtc(folder[name, "model.onnx"], time);
        }

        Directory.CreateSymbolicLink(folder["..data"], folder["one"]);
        File.CreateSymbolicLink(folder["linked.onnx"], folder["..data", "model.onnx"]);
        var clock = new Clock();
        using var service = new ImageClassifierService(folder["linked.onnx"], clock: clock);
        Directory.CreateSymbolicLink(folder["..new"], folder["two"]);
        Directory.Delete(folder["..data"]);
        Directory.Move(folder["..new"], folder["..data"]);
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal((6, 1, null), (service.Use(classifier => classifier.Width), service.Reloads, service.ReloadError));
    }

    [Fact]
    public void Another_content_of_the_same_length_and_time_is_noticed()
    {
        var time = File.GetLastWriteTimeUtc(model);
        var clock = new Clock();
        using var service = new ImageClassifierService(model, clock: clock);
        var other = Checked(names: ["cow", "dog", "frog"]);
        Assert.Equal(new FileInfo(model).Length, other.Length);
        File.WriteAllBytes(model, other);
        File.SetLastWriteTimeUtc(model, time);
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal("cow", service.Use(classifier => classifier.ClassNames[0]));
        // Writing the same content again is not a change.
        File.WriteAllBytes(model, other);
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal(1, service.Reloads);
    }

    public static TheoryData<string, string?> BadCards =>
        new()
        {
            { ModelCard.ClassNamesKey, null },
            { ModelCard.ClassNamesKey, "null" },
            { ModelCard.ClassNamesKey, "[]" },
            { ModelCard.ClassNamesKey, "[null,\"a\",\"b\"]" },
            { ModelCard.ClassNamesKey, "[\"a\",\"b\",\"c\",\"d\"]" },
            { ModelCard.ClassNamesKey, "{\"a\":1}" },
            { ModelCard.WidthKey, "0" },
            { ModelCard.WidthKey, "-8" },
            { ModelCard.WidthKey, "9" },
            { ModelCard.WidthKey, "1000000" },
            { ModelCard.WidthKey, "99999999999" },
            { ModelCard.HeightKey, "eight" },
            { ModelCard.AntialiasKey, "perhaps" },
            { SelfCheck.Key, "null" },
            { SelfCheck.Key, "{}" },
            { SelfCheck.Key, "[]" },
            { SelfCheck.Key, "{\"Planes\":null,\"Logits\":[1,2,3],\"RelativeTolerance\":1}" },
            { SelfCheck.Key, "{\"Planes\":\"AAAA\",\"Logits\":[1,2,3],\"RelativeTolerance\":1}" },
            { SelfCheck.Key, "{\"Planes\":\"AAAA\",\"Logits\":null,\"RelativeTolerance\":-1}" },
        };

    [Theory]
    [MemberData(nameof(BadCards))]
    public void A_card_that_does_not_fit_its_graph_fails_no_request(string key, string? value)
    {
        var bad = TestModels.WithMetadata(Checked(), key, value);
        Assert.Contains(
            "bad.onnx",
            Assert.Throws<InvalidDataException>(() => ImageClassifier.Load(bad, "bad.onnx")).Message,
            StringComparison.Ordinal
        );
        var clock = new Clock();
        using var service = new ImageClassifierService(model, clock: clock);
        var isOver = false;
        var failed = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
        var threads = Enumerable
            .Range(0, 8)
            .Select(_ => new Thread(() =>
            {
                while (!Volatile.Read(ref isOver))
                {
                    if (Record.Exception(() => service.Classify(picture)) is { } error)
                        failed.Enqueue(error);
                }
            }))
            .ToArray();
        foreach (var thread in threads)
            thread.Start();
        File.WriteAllBytes(model, bad);
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Contains("cannot be used", service.ReloadError, StringComparison.Ordinal);
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.NotNull(service.ReloadError);
        File.WriteAllBytes(model, Checked(names: ["new", "dog", "frog"]));
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal((1, null), (service.Reloads, service.ReloadError));
        Volatile.Write(ref isOver, true);
        foreach (var thread in threads)
            thread.Join();
        Assert.Empty(failed);
        Assert.Equal("new", service.Use(classifier => classifier.ClassNames[0]));
    }

    [Fact]
    public void A_file_that_loads_and_cannot_run_or_computes_something_else_is_not_taken()
    {
        var clock = new Clock();
        using var service = new ImageClassifierService(model, clock: clock);
        File.WriteAllBytes(model, TestModels.CannotRun());
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Contains("cannot run", service.ReloadError, StringComparison.Ordinal);
        File.WriteAllBytes(model, Checked(wrong: true));
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Contains("computes different results on this machine", service.ReloadError, StringComparison.Ordinal);
        Assert.Equal((0, 8), (service.Reloads, service.Use(classifier => classifier.Width)));
        File.WriteAllBytes(model, Checked()); // as it was
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Null(service.ReloadError);
        Assert.Throws<InvalidDataException>(() =>
            new ImageClassifierService(TestModels.Write(folder["no.onnx"], TestModels.CannotRun()))
        );
    }

    [Fact]
    public void A_file_that_is_replaced_while_the_service_starts_is_noticed()
    {
        var clock = new Clock();
        var loads = 0;
        // Configure is called after the bytes were read and before the model is ready.
        var settings = new SessionSettings
        {
            Configure = _ =>
            {
                if (Interlocked.Increment(ref loads) == 1)
                    File.WriteAllBytes(model, TestModels.Classifier(size: 6));
            },
        };
        using var service = new ImageClassifierService(model, settings, clock);
        Assert.Equal(8, service.Use(classifier => classifier.Width));
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal((6, 1), (service.Use(classifier => classifier.Width), service.Reloads));
    }

    [Fact]
    public void Requests_are_answered_while_a_new_file_is_loaded()
    {
        var clock = new Clock();
        using var isLoading = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        var loads = 0;
        var settings = new SessionSettings
        {
            Configure = _ =>
            {
                if (Interlocked.Increment(ref loads) < 2)
                    return;
                isLoading.Set();
                goOn.Wait();
            },
        };
        using var service = new ImageClassifierService(model, settings, clock);
        File.WriteAllBytes(model, Checked(names: ["new", "dog", "frog"]));
        var timer = new Thread(() => clock.Pass(ImageClassifierService.CheckInterval));
        timer.Start();
        isLoading.Wait(TestContext.Current.CancellationToken);
        Assert.Equal("cat", service.Use(classifier => classifier.ClassNames[0]));
        Assert.NotEmpty(service.Classify(picture).Label);
        goOn.Set();
        timer.Join();
        Assert.Equal("new", service.Use(classifier => classifier.ClassNames[0]));
    }

    [Fact]
    public async Task Without_a_model_health_is_unhealthy_and_recovers()
    {
        await using var services = new ServiceCollection()
            .AddLogging()
            .AddImageClassifier(folder["later.onnx"])
            .BuildServiceProvider();
        Assert.Equal(HealthStatus.Unhealthy, await Health(services));
        var service = services.GetRequiredService<ImageClassifierService>();
        Assert.Contains(
            "later.onnx",
            Assert.Throws<ModelUnavailableException>(() => service.Classify(picture)).Message,
            StringComparison.Ordinal
        );
        File.WriteAllText(folder["later.onnx"], "half a model");
        Assert.False(service.Refresh());
        Assert.Equal(HealthStatus.Unhealthy, await Health(services));
        File.WriteAllBytes(folder["later.onnx"], Checked());
        Assert.True(service.Refresh());
        Assert.Equal((HealthStatus.Healthy, 0), (await Health(services), service.Reloads));
        Assert.Throws<FileNotFoundException>(() => new ImageClassifierService(folder["none.onnx"]));
    }

    [Fact]
    public async Task Two_models_stand_side_by_side_by_name()
    {
        File.WriteAllBytes(folder["small.onnx"], TestModels.Classifier(6));
        var collection = new ServiceCollection()
            .AddLogging()
            .AddImageClassifier(model)
            .AddImageClassifier("small", folder["small.onnx"]);
        Assert.Throws<ArgumentException>(() => collection.AddImageClassifier("small", model));
        Assert.Contains(
            "name",
            Assert.Throws<ArgumentException>(() => collection.AddImageClassifier(model)).Message,
            StringComparison.Ordinal
        );
        await using var services = collection.BuildServiceProvider();
        Assert.Equal(8, services.GetRequiredService<ImageClassifierService>().Use(classifier => classifier.Width));
        Assert.Equal(
            6,
            services.GetRequiredKeyedService<ImageClassifierService>("small").Use(classifier => classifier.Width)
        );
        var report = await services
            .GetRequiredService<HealthCheckService>()
            .CheckHealthAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["image_classifier", "image_classifier_small"], report.Entries.Keys.Order(StringComparer.Ordinal));
        // it carries no self-check
        Assert.Equal(HealthStatus.Degraded, report.Entries["image_classifier_small"].Status);
    }

    [Fact]
    public void Metadata_that_say_two_things_are_refused()
    {
        byte[] twice = [.. Checked(), .. TestModels.WithMetadata([], ModelCard.WidthKey, "9")];
        Assert.Contains(
            "two values for torchbridge.width",
            Assert.Throws<InvalidDataException>(() => ImageClassifier.Load(twice, "m")).Message,
            StringComparison.Ordinal
        );
        byte[] same = [.. Checked(), .. TestModels.WithMetadata([], ModelCard.WidthKey, "8")];
        ImageClassifier.Load(same, "m").Dispose();
    }

    private static async Task<HealthStatus> Health(IServiceProvider services) =>
        (
            await services
                .GetRequiredService<HealthCheckService>()
                .CheckHealthAsync(TestContext.Current.CancellationToken)
        ).Status;

    private static byte[] Checked(bool wrong = false, string[]? names = null)
    {
        var planes = new byte[192];
        using var classifier = ImageClassifier.Load(TestModels.Classifier(), "m");
        float[] logits = [.. classifier.ClassifyPlanes(planes, 1)[0].Logits];
        if (wrong)
            logits[0] += 1;
        var model = TestModels.Classifier(check: new SelfCheck(planes, logits, SelfCheck.Float32Tolerance));
        return TestModels.WithMetadata(
            model,
            ModelCard.ClassNamesKey,
            JsonSerializer.Serialize(names ?? TestModels.ClassNames)
        );
    }

    /// <summary>A clock that runs its timers when time is made to pass.</summary>
    private sealed class Clock : TimeProvider
    {
        private readonly List<Action> timers = [];
        private long now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            timers.Add(() => callback(state));
            return new Timer();
        }

        public void Pass(TimeSpan time)
        {
            now += time.Ticks;
            foreach (var timer in timers)
                timer();
        }

        private sealed class Timer : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose() { }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
