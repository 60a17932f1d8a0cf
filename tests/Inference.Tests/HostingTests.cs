using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using SkiaSharp;
using TorchBridge.Inference.Hosting;

namespace TorchBridge.Inference.Tests;

public sealed class HostingTests : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly string model;
    private readonly string picture;

    public HostingTests()
    {
        (model, picture) = (folder["model.onnx"], folder["picture.png"]);
        File.WriteAllBytes(model, Checked());
        File.WriteAllBytes(picture, TestPictures.Encode(8, 8, SKEncodedImageFormat.Png));
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Services_get_one_classifier_and_its_health()
    {
        await using var services = new ServiceCollection().AddLogging().AddImageClassifier(model).BuildServiceProvider();
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
        await using var services = new ServiceCollection().AddLogging().AddImageClassifier(model).BuildServiceProvider();
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
        Assert.Contains("cannot be loaded", service.ReloadError, StringComparison.Ordinal);
        File.WriteAllBytes(model, TestModels.Classifier(size: 6));
        clock.Pass(ImageClassifierService.CheckInterval);
        Assert.Equal(6, service.Use(classifier => classifier.Width));
        Assert.Null(service.ReloadError);
    }

    private static async Task<HealthStatus> Health(IServiceProvider services) =>
        (await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken)).Status;

    private static byte[] Checked(bool wrong = false)
    {
        var planes = new byte[192];
        using var classifier = ImageClassifier.Load(TestModels.Classifier(), "m");
        float[] logits = [.. classifier.ClassifyPlanes(planes, 1)[0].Logits];
        if (wrong) logits[0] += 1;
        return TestModels.Classifier(check: new SelfCheck(planes, logits, SelfCheck.Float32Tolerance));
    }

    private sealed class Clock : TimeProvider
    {
        private long now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => now;

        public void Pass(TimeSpan time) => now += time.Ticks;
    }
}
