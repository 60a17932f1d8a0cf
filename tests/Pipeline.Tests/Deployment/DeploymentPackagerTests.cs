using System.Diagnostics;
using System.Text.Json.Nodes;
using k8s;
using k8s.Models;
using TorchBridge.Onnx.Graph;
using TorchBridge.Training.Deployment;

namespace TorchBridge.Pipeline.Tests.Deployment;

/// <summary><c>package</c>: Triton, KServe, Docker and Kubernetes accept what it writes, and our own server serves
/// it.</summary>
public class DeploymentPackagerTests(TinyModel model) : IClassFixture<TinyModel>
{
    private const string Config = """
        name: "modern-cnn"
        backend: "onnxruntime"
        max_batch_size: 32
        input [ { name: "pixels" data_type: TYPE_FP32 dims: [ 3, 32, 32 ] } ]
        output [ { name: "logits" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" } ]
        output [ { name: "probabilities" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" } ]
        version_policy { latest { num_versions: 1 } }
        instance_group [ { count: 1 kind: KIND_CPU } ]
        dynamic_batching { default_queue_policy { max_queue_size: 128 } }
        model_warmup [ { name: "zeros" batch_size: 1
          inputs { key: "pixels" value { data_type: TYPE_FP32 dims: [ 3, 32, 32 ] zero_data: true } } } ]

        """;

    private static string Schema => Path.Combine(Shared.Repository, "tests", "Pipeline.Tests", "Deployment");

    [Fact]
    public void Triton_gets_a_repository()
    {
        using var folder = new TempFolder();
        var result = Package(folder, "triton");
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("needs ONNX Runtime 1.", result.Output, StringComparison.Ordinal);
        Assert.Equal(
            ["models/modern-cnn/1/model.onnx", "models/modern-cnn/config.pbtxt", "models/modern-cnn/labels.txt"],
            FilesOf(folder)
        );
        Assert.Equal(Config, File.ReadAllText(folder["to", "models", "modern-cnn", "config.pbtxt"]));
        Assert.Equal(10, File.ReadAllLines(folder["to", "models", "modern-cnn", "labels.txt"]).Length);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(model.Out, "modern-cnn.onnx")),
            File.ReadAllBytes(folder["to", "models", "modern-cnn", "1", "model.onnx"])
        );
    }

    [Fact]
    public void What_is_there_is_not_written_over_and_what_is_wrong_is_said()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["to"]);
        Assert.Contains("exists already", Refused(Package(folder, "triton")), StringComparison.Ordinal);
        Directory.Delete(folder["to"]);
        Assert.Contains(
            "no-model",
            Refused(
                TinyModel.Program("package", "--target", "triton", "--out", folder["no-model"], "--to", folder["to"])
            ),
            StringComparison.Ordinal
        );
        foreach (var name in (string[])["Modern", "-a", "a_b", "../a", "a\n"])
            Assert.Contains("--name", Refused(Package(folder, "triton", "--name", name)), StringComparison.Ordinal);
        Assert.Contains("--image", Refused(Package(folder, "docker", "--image", "a b")), StringComparison.Ordinal);
        Assert.Equal(2, Package(folder, "heroku").ExitCode);
        var empty = Package(folder, "triton", "--name", "");
        Assert.Equal(2, empty.ExitCode);
        Assert.Contains("--name", empty.Error, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void KServe_gets_an_InferenceService_of_the_repositorys_name()
    {
        using var folder = new TempFolder();
        Assert.Equal(0, Package(folder, "kserve", "--storage", "s3://bucket/models", "--name", "cats").ExitCode);
        Assert.True(File.Exists(folder["to", "models", "cats", "1", "model.onnx"]));
        var service = KubernetesYaml.Deserialize<Dictionary<string, object>>(
            File.ReadAllText(folder["to", "inferenceservice.yaml"])
        );
        Assert.Equal(("serving.kserve.io/v1beta1", "InferenceService"), (service["apiVersion"], service["kind"]));
        Assert.Equal("cats", At(service, "metadata", "name"));
        // Without v2, KServe finds no runtime; the name of the format selects Triton.
        Assert.Equal("v2", At(service, "spec", "predictor", "model", "protocolVersion"));
        Assert.Equal("onnx", At(service, "spec", "predictor", "model", "modelFormat", "name"));
        Assert.Equal("s3://bucket/models", At(service, "spec", "predictor", "model", "storageUri"));
    }

    [Theory]
    [InlineData("modern-cnn", "modern-cnn:latest")]
    [InlineData("null", "registry.example.org:5000/team/cats:1")] // a name that YAML would not read as a string
    public void Kubernetes_gets_a_Deployment_that_its_own_client_reads(string name, string image)
    {
        using var folder = new TempFolder();
        Assert.Equal(0, Package(folder, "kubernetes", "--image", image, "--name", name).ExitCode);
        var documents = File.ReadAllText(folder["to", "deployment.yaml"]).Split("---\n");
        // Strict: a field that Kubernetes does not have is an error.
        var deployment = KubernetesYaml.Deserialize<V1Deployment>(documents[0], strict: true);
        var service = KubernetesYaml.Deserialize<V1Service>(documents[1], strict: true);
        var pod = deployment.Spec.Template.Spec;
        var container = Assert.Single(pod.Containers);
        Assert.Equal((name, image), (deployment.Metadata.Name, container.Image));
        Assert.Equal(deployment.Spec.Selector.MatchLabels, deployment.Spec.Template.Metadata.Labels);
        Assert.Equal(deployment.Spec.Selector.MatchLabels, service.Spec.Selector);
        Assert.Equal(
            (true, true, false),
            (
                pod.SecurityContext.RunAsNonRoot,
                container.SecurityContext.ReadOnlyRootFilesystem,
                container.SecurityContext.AllowPrivilegeEscalation
            )
        );
        Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        Assert.False(pod.AutomountServiceAccountToken);
        Assert.Equal(
            ("/v2/health/live", "/v2/health/ready"),
            (container.LivenessProbe.HttpGet.Path, container.ReadinessProbe.HttpGet.Path)
        );
        Assert.Equal(
            container.Ports.Select(port => port.Name).Where(port => port != "metrics"),
            service.Spec.Ports.Select(port => port.TargetPort.Value)
        );
    }

    [Fact]
    public async Task Docker_gets_the_server_as_no_root_with_arguments_that_it_takes()
    {
        using var folder = new TempFolder();
        Assert.Equal(0, Package(folder, "docker").ExitCode);
        // A backslash at the end of a line continues it.
        var lines = File.ReadAllText(folder["to", "Dockerfile"])
            .ReplaceLineEndings("\n")
            .Replace("\\\n", "", StringComparison.Ordinal)
            .Split('\n');
        Assert.Contains("USER $APP_UID", lines);
        Assert.Contains(lines, line =>
            line.StartsWith("FROM mcr.microsoft.com/dotnet/aspnet:10.0-", StringComparison.Ordinal)
            && line.EndsWith("-chiseled", StringComparison.Ordinal)
        );
        // With the arguments of the image, except for the folder of the models and the addresses, the server must
        // start and answer.
        const string key = "ENTRYPOINT ";
        var command = lines.Single(line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..];
        var entry = JsonNode.Parse(command)!.AsArray().Select(item => (string)item!).ToList();
        entry[1] = Path.Combine(Run.OutputOf("src", "Serving"), entry[1]);
        entry[entry.IndexOf("--models") + 1] = folder["to", "models"];
        for (var i = 0; i < entry.Count; i++)
            if (entry[i].StartsWith("http://*:", StringComparison.Ordinal))
                entry[i] = "http://127.0.0.1:0";
        using var server = Process.Start(
            new ProcessStartInfo(entry[0], entry[1..]) { RedirectStandardOutput = true, WorkingDirectory = folder.Path }
        )!;
        try
        {
            var said = "";
            while (
                !said.Contains("is ready", StringComparison.Ordinal)
                && await server.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line
            )
                said += $"{line}\n";
            Assert.Contains("modern-cnn version 1 is ready, in batches of up to 32", said, StringComparison.Ordinal);
            var address = said[(said.IndexOf("REST ", StringComparison.Ordinal) + 5)..].Split("/v2")[0];
            using var http = new HttpClient { BaseAddress = new Uri(address) };
            using var picture = new ByteArrayContent(TestPictures.Encode(40, 30, SkiaSharp.SKEncodedImageFormat.Png));
            using var answer = await http.PostAsync(
                new Uri("classify", UriKind.Relative),
                picture,
                TestContext.Current.CancellationToken
            );
            var labels = File.ReadAllLines(folder["to", "models", "modern-cnn", "labels.txt"]);
            Assert.Contains(
                (string)
                    JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))![
                        "label"
                    ]!,
                labels
            );
        }
        finally
        {
            server.Kill();
            await server.WaitForExitAsync(CancellationToken.None);
        }
    }

    [Fact]
    public void Protoc_takes_every_configuration()
    {
        Assert.SkipUnless(Run.IsInstalled("protoc"), "protoc is not installed");
        using var folder = new TempFolder();
        foreach (var (name, graph) in Graphs())
        {
            File.WriteAllText(folder["config.pbtxt"], ConfigPbtxt.Of(name, graph));
            var (exitCode, error) = Protoc(folder["config.pbtxt"]);
            Assert.True(exitCode == 0, $"{name}: {error}\n{File.ReadAllText(folder["config.pbtxt"])}");
        }

        File.WriteAllText(
            folder["config.pbtxt"],
            Config.Replace("max_batch_size", "most_rows", StringComparison.Ordinal)
        );
        Assert.NotEqual(0, Protoc(folder["config.pbtxt"]).ExitCode);
        File.WriteAllText(folder["config.pbtxt"], Config.Replace("KIND_CPU", "KIND_OF", StringComparison.Ordinal));
        Assert.NotEqual(0, Protoc(folder["config.pbtxt"]).ExitCode);
    }

    [Fact]
    public void A_fixed_batch_is_no_batch_and_a_number_a_row_has_an_axis()
    {
        var configs = Graphs().ToDictionary(item => item.Name, item => ConfigPbtxt.Of(item.Name, item.Graph));
        Assert.Contains(
            "max_batch_size: 0\ninput [ { name: \"x\" data_type: TYPE_INT64 dims: [ 1, 3 ] } ]",
            configs["fixed"],
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("dynamic_batching", configs["fixed"], StringComparison.Ordinal);
        Assert.Contains("dims: [ 1 ] reshape { shape: [ ] }", configs["number"], StringComparison.Ordinal);
        Assert.Contains("dims: [ 3, -1, -1 ]", configs["free"], StringComparison.Ordinal);
        Assert.Contains("name: \"a\\\"b\\\\\"", configs["quoted"], StringComparison.Ordinal);
    }

    private static IEnumerable<(string Name, OnnxGraph Graph)> Graphs()
    {
        yield return ("fixed", Graph(new("x", ElementType.Int64, [1L, 3L]), new("y", ElementType.Float16, [1L, 3L])));
        yield return ("number", Graph(new("x", ElementType.Float32, ["N", 3L]), new("y", ElementType.Bool, ["N"])));
        yield return (
            "free",
            Graph(new("x", ElementType.Float32, ["N", 3L, "H", "W"]), new("y", ElementType.Text, ["N", 2L]))
        );
        yield return (
            "quoted",
            Graph(new("a\"b\\", ElementType.UInt8, ["N", 1L]), new("y", ElementType.BFloat16, ["N", 1L]))
        );
    }

    private static OnnxGraph Graph(ValueInfo input, ValueInfo output) =>
        new()
        {
            Opset = 17,
            Inputs = { input },
            Outputs = { output },
        };

    private static (int ExitCode, string Error) Protoc(string config)
    {
        string[] arguments = ["--encode=inference.ModelConfig", $"--proto_path={Schema}", "model_config.proto"];
        var start = new ProcessStartInfo("protoc", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        process.StandardInput.Write(File.ReadAllText(config));
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        _ = output.Result;
        return (process.ExitCode, error);
    }

    private RunResult Package(TempFolder folder, string target, params string[] more) =>
        TinyModel.Program(["package", "--target", target, "--out", model.Out, "--to", folder["to"], .. more]);

    private static string Refused(RunResult result)
    {
        Assert.Equal(1, result.ExitCode);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        return result.Error;
    }

    private static string[] FilesOf(TempFolder folder) =>
        [
            .. Directory
                .EnumerateFiles(folder["to"], "*", SearchOption.AllDirectories)
                .Select(file => Path.GetRelativePath(folder["to"], file).Replace('\\', '/'))
                .Order(StringComparer.Ordinal),
        ];

    private static object At(object node, params string[] path) => path.Aggregate(node, (here, key) => here switch
            {
                Dictionary<string, object> map => map[key],
                Dictionary<object, object> map => map[key],
                _ => throw new KeyNotFoundException(key),
            });
}
