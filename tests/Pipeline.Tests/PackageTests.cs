using System.IO.Compression;
using System.Xml.Linq;
using SkiaSharp;
using TorchBridge.Export;
using TorchBridge.Inference;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using static TorchSharp.torch;

namespace TorchBridge.Pipeline.Tests;

/// <summary>
/// The packages as other people use them: packed, restored from a feed, and run by new projects outside of the
/// repository. This is one test, because packing and restoring are slow. The packages on which they depend come from
/// the package folder of this user, or from the registry.
/// </summary>
public class PackageTests
{
    private const string Version = "0.1.0-test";
    private const string GpuPackage = "Microsoft.ML.OnnxRuntime.Gpu.Linux",
        GpuVersion = "1.31.0";

    private static readonly string[] Packages = ["Onnx", "Inference", "Export", "Quantization", "Scale", "Training"];

    [Fact]
    public void New_projects_in_three_languages_restore_build_and_run()
    {
        using var folder = new TempFolder();
        Pack(folder);
        foreach (var package in Packages)
            Check(
                folder["feed", $"TorchBridge.{package}.{Version}.nupkg"],
                folder["feed", $"TorchBridge.{package}.{Version}.snupkg"]
            );

        var model = Model(folder);
        File.WriteAllBytes(folder["a.png"], TestPictures.Encode(40, 32, SKEncodedImageFormat.Png));
        WriteProjects(folder);
        Succeed(Run.Command("dotnet", ["build", "all.proj", "-restore", "-nodeReuse:false", "-v:quiet"], folder.Path));

        Assert.StartsWith("class ", Output(folder, "Console", model, folder["a.png"]), StringComparison.Ordinal);
        // it runs, and has no self-check
        Assert.EndsWith("Degraded", Output(folder, "Web", model), StringComparison.Ordinal);
        Assert.Contains("exported", Output(folder, "FSharp", folder["relu.onnx"]), StringComparison.Ordinal);

        Assert.Contains("loaded", Output(folder, "VisualBasic"), StringComparison.Ordinal);

        // The model is tuned from the network in the package, and classifies in a program without libtorch.
        Directory.CreateDirectory(folder["photos"]);
        for (var i = 0; i < 24; i++)
            File.WriteAllBytes(
                folder["photos", $"{(i % 2 == 0 ? "a" : "b")}{i}.png"],
                TestPictures.Encode(40, 32, SKEncodedImageFormat.Png, seed: i)
            );
        Assert.EndsWith(
            "tuned",
            Output(folder, "Tune", folder["photos"], folder["tuned.onnx"]),
            StringComparison.Ordinal
        );
        Assert.Matches("^[ab]$", Output(folder, "Console", folder["tuned.onnx"], folder["a.png"]));

        var skia = Run.Program(folder["Skia3", "bin", "Debug", "net10.0", "Skia3.dll"], [model, folder["a.png"]]);
        Assert.Contains("SkiaSharp 3.119", skia.Output, StringComparison.Ordinal);
        Assert.Contains("SkiaSharp 2.88.9", skia.Output, StringComparison.Ordinal);

        if (HasGpuPackage)
            RunOnTheGpusPackage(folder, model);

        var missing = Run.Command(
            "dotnet",
            ["build", folder["NoTorch", "NoTorch.csproj"], "-nodeReuse:false", "-v:quiet"],
            folder.Path
        );
        Assert.NotEqual(0, missing.ExitCode);
        Assert.Contains("TORCHBRIDGE001", missing.Output, StringComparison.Ordinal);
        Assert.Contains("PackageReference to TorchSharp-cpu", missing.Output, StringComparison.Ordinal);
    }

    /// <summary>The package folder of this user.</summary>
    private static string Cache =>
        Environment.GetEnvironmentVariable("NUGET_PACKAGES")
        ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

    /// <summary>ONNX Runtime's package for CUDA has half a gigabyte, so it is tested only if the user already has
    /// it.</summary>
    private static bool HasGpuPackage =>
        OperatingSystem.IsLinux() && Directory.Exists(Path.Combine(Cache, GpuPackage.ToLowerInvariant(), GpuVersion));

    /// <summary>The program's only runtime is the one for CUDA. It classifies without a GPU, and a GPU that is not
    /// there is reported with a clear error.</summary>
    private static void RunOnTheGpusPackage(TempFolder folder, string model)
    {
        var output = folder["Gpu", "bin", "Debug", "net10.0"];
        var runtime = Assert.Single(Directory.GetFiles(output, "libonnxruntime.so*", SearchOption.AllDirectories));
        Assert.NotEmpty(Directory.GetFiles(output, "libonnxruntime_providers_cuda.so", SearchOption.AllDirectories));
        var native = Path.Combine(Cache, GpuPackage.ToLowerInvariant(), GpuVersion, "runtimes", "linux-x64", "native");
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(native, Path.GetFileName(runtime))).Length,
            File.ReadAllBytes(runtime).Length
        );
        var lines = Output(folder, "Gpu", model, folder["a.png"]).Split('\n');
        Assert.StartsWith("class ", lines[0], StringComparison.Ordinal);
        // a class, if this machine has a GPU
        Assert.Matches(
            "^(class |SessionSettings.Configure requests a feature that this build .* does not have)",
            lines[1]
        );
    }

    private static void Pack(TempFolder folder)
    {
        foreach (var package in Packages)
        {
            // Only PackageVersion is set: another Version would rebuild the assemblies that the running tests use.
            var project = Path.Combine(Shared.Repository, "src", package, $"{package}.csproj");
            var configuration = Run.OutputOf("x")
                .Contains(
                    $"{Path.DirectorySeparatorChar}Release{Path.DirectorySeparatorChar}",
                    StringComparison.Ordinal
                )
                ? "Release"
                : "Debug";
            Succeed(
                Run.Command(
                    "dotnet",
                    [
                        "pack",
                        project,
                        "-c",
                        configuration,
                        "--no-build",
                        "-o",
                        folder["feed"],
                        $"-p:PackageVersion={Version}",
                        "-nodeReuse:false",
                        "-v:quiet",
                    ],
                    folder.Path
                )
            );
        }
    }

    /// <summary>What people see of a package before they install it.</summary>
    private static void Check(string package, string symbols)
    {
        using var zip = ZipFile.OpenRead(package);
        var names = zip.Entries.Select(entry => entry.FullName).ToArray();
        Assert.Contains("README.md", names);
        Assert.Contains("icon.png", names);
        using var stream = zip
            .Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal))
            .Open();
        var metadata = XDocument.Load(stream).Root!.Elements().Single();
        string Value(string name) => metadata.Elements().Single(element => element.Name.LocalName == name).Value;
        Assert.Equal("README.md", Value("readme"));
        Assert.Equal("icon.png", Value("icon"));
        Assert.NotEmpty(Value("tags"));
        Assert.StartsWith("https://", Value("projectUrl"), StringComparison.Ordinal);
        Assert.StartsWith(
            "https://",
            metadata.Elements().Single(element => element.Name.LocalName == "repository").Attribute("url")!.Value,
            StringComparison.Ordinal
        );
        foreach (
            var dependency in metadata
                .Descendants()
                .Where(element =>
                    element.Name.LocalName == "dependency"
                    && element.Attribute("id")!.Value.StartsWith("Microsoft.Extensions.", StringComparison.Ordinal)
                )
        )
        {
            // net10.0 applications have this version; Orleans, and packages that depend on it, need a later one.
            if (Value("id") is not ("TorchBridge.Scale" or "TorchBridge.Training"))
                Assert.Equal("10.0.0", dependency.Attribute("version")!.Value);
        }

        using var pdb = ZipFile.OpenRead(symbols);
        Assert.Contains(pdb.Entries, entry => entry.FullName.EndsWith(".pdb", StringComparison.Ordinal));
    }

    private static string Model(TempFolder folder)
    {
        var path = folder["model.onnx"];
        string[] classes = [.. Enumerable.Range(0, 10).Select(i => $"class {i}")];
        using var scope = NewDisposeScope();
        using var network = new ModernCnn(new NetworkOptions { Channels = 8 });
        using var classifier = new PixelClassifier(network, new ChannelStatistics([0.5, 0.5, 0.5], [0.25, 0.25, 0.25]));
        OnnxExporter.Export(
            classifier,
            rand(1, 3, 32, 32) * 255,
            path,
            new ExportOptions
            {
                OutputNames = ["logits", "probabilities"],
                Metadata = new Dictionary<string, string>(new ModelCard(classes, 32, 32).ToMetadata()),
            }
        );
        return path;
    }

    private static void WriteProjects(TempFolder folder)
    {
        File.WriteAllText(
            folder["nuget.config"],
            $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{folder["packages"]}" /></config>
              <fallbackPackageFolders><clear />{(
                Directory.Exists(Cache) ? $"""<add key="user" value="{Cache}" />""" : ""
            )}</fallbackPackageFolders>
              <packageSources><add key="feed" value="{folder["feed"]}" /></packageSources>
            </configuration>
            """
        );
        File.WriteAllText(
            folder["all.proj"],
            $"""
            <Project DefaultTargets="Build">
              <ItemGroup>
                <Each Include="Console/Console.csproj;Web/Web.csproj;Skia3/Skia3.csproj" />
                <Each Include="FSharp/FSharp.fsproj;VisualBasic/VisualBasic.vbproj;Tune/Tune.csproj" />
                {(HasGpuPackage ? """<Each Include="Gpu/Gpu.csproj" />""" : "")}
              </ItemGroup>
              <Target Name="Restore"><MSBuild Projects="@(Each)" Targets="Restore" /></Target>
              <Target Name="Build"><MSBuild Projects="@(Each)" Targets="Build" BuildInParallel="true" /></Target>
            </Project>
            """
        );
        const string classify = """
            using TorchBridge.Inference;
            try
            {
                using var classifier = ImageClassifier.Load(args[0]);
                System.Console.WriteLine(classifier.Classify(args[1]).Label);
            }
            catch (System.NotSupportedException error)
            {
                System.Console.WriteLine(error.Message);
            }
            """;
        Write(
            folder,
            "Console",
            "csproj",
            "Microsoft.NET.Sdk",
            [("TorchBridge.Inference", Version), ("Microsoft.Extensions.DependencyInjection.Abstractions", "10.0.0")],
            "Program.cs",
            classify
        );
        Write(
            folder,
            "Skia3",
            "csproj",
            "Microsoft.NET.Sdk",
            [("TorchBridge.Inference", Version), ("SkiaSharp", "3.119.0")],
            "Program.cs",
            classify
        );
        if (HasGpuPackage)
            WriteGpuProject(folder);
        Write(
            folder,
            "Web",
            "csproj",
            "Microsoft.NET.Sdk.Web",
            [("TorchBridge.Inference", Version)],
            "Program.cs",
            """
            using Microsoft.Extensions.Diagnostics.HealthChecks;
            using TorchBridge.Inference.Hosting;
            var builder = WebApplication.CreateBuilder();
            builder.Services.AddImageClassifier(args[0]);
            var app = builder.Build();
            app.MapHealthChecks("/health");
            Console.WriteLine((await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Status);
            """
        );
        Write(
            folder,
            "FSharp",
            "fsproj",
            "Microsoft.NET.Sdk",
            [("TorchBridge.Export", Version), ("TorchSharp-cpu", "0.107.0")],
            "Program.fs",
            """
            open TorchSharp
            open TorchBridge.Export
            [<EntryPoint>]
            let main args =
                use model = torch.nn.ReLU()
                OnnxExporter.Export(model, torch.rand([| 1L; 3L |]), args.[0]) |> ignore
                printfn "exported"
                0
            """
        );
        Write(
            folder,
            "VisualBasic",
            "vbproj",
            "Microsoft.NET.Sdk",
            [("TorchBridge.Export", Version), ("TorchSharp-cpu", "0.107.0")],
            "Program.vb",
            """
            Module Program
                Sub Main()
                    System.Console.WriteLine("loaded, threads: " & TorchSharp.torch.get_num_threads().ToString())
                End Sub
            End Module
            """
        );
        Write(
            folder,
            "Tune",
            "csproj",
            "Microsoft.NET.Sdk",
            [("TorchBridge.Training", Version)],
            "Program.cs",
            """
            using Microsoft.ML;
            using TorchBridge.Training.Estimators;
            var context = new MLContext(seed: 1);
            var photos = context.Data.LoadFromEnumerable(
                Directory.GetFiles(args[0]).Select(path => new Photo { ImagePath = path, Label = Path.GetFileName(path)[..1] }));
            var options = new TuneImagesOptions { Size = 64, Epochs = 1, ValidationShare = 0.25 };
            using var model = context.MulticlassClassification.Trainers.TuneImages(options).Fit(photos);
            model.SaveOnnx(args[1]);
            Console.WriteLine("tuned");

            internal sealed class Photo
            {
                public string ImagePath { get; set; } = "";
                public string Label { get; set; } = "";
            }
            """
        );
        Write(
            folder,
            "NoTorch",
            "csproj",
            "Microsoft.NET.Sdk",
            [("TorchBridge.Export", Version)],
            "Program.cs",
            "System.Console.WriteLine(TorchSharp.torch.rand(1));"
        );
    }

    private static void WriteGpuProject(TempFolder folder) =>
        Write(
            folder,
            "Gpu",
            "csproj",
            "Microsoft.NET.Sdk",
            [
                ("TorchBridge.Inference", Version),
                // the other attributes of the reference follow its version
                ("Microsoft.ML.OnnxRuntime", """1.31.1" ExcludeAssets="all"""),
                (GpuPackage, GpuVersion),
            ],
            "Program.cs",
            """
            using TorchBridge.Inference;
            var cuda = new SessionSettings { Configure = options => options.AppendExecutionProvider_CUDA(0) };
            foreach (var settings in new[] { new SessionSettings(), cuda })
            {
                try
                {
                    using var classifier = ImageClassifier.Load(args[0], settings);
                    Console.WriteLine(classifier.Classify(args[1]).Label);
                }
                catch (InvalidOperationException error)
                {
                    Console.WriteLine(error.Message.ReplaceLineEndings(" "));
                }
            }
            """
        );

    private static void Write(
        TempFolder folder,
        string name,
        string extension,
        string sdk,
        (string Id, string Version)[] packages,
        string source,
        string text
    )
    {
        Directory.CreateDirectory(folder[name]);
        var references = string.Concat(
            packages.Select(package => $"""<PackageReference Include="{package.Id}" Version="{package.Version}" />""")
        );
        File.WriteAllText(
            folder[name, $"{name}.{extension}"],
            $"""
            <Project Sdk="{sdk}">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <SatelliteResourceLanguages>en</SatelliteResourceLanguages>
                <RuntimeIdentifier>$(NETCoreSdkPortableRuntimeIdentifier)</RuntimeIdentifier>
                <AppendRuntimeIdentifierToOutputPath>false</AppendRuntimeIdentifierToOutputPath>
                <SelfContained>false</SelfContained>
                <CreateSymbolicLinksForCopyLocalIfPossible>true</CreateSymbolicLinksForCopyLocalIfPossible>
              </PropertyGroup>
              <ItemGroup>{references}{(extension == "fsproj" ? $"""<Compile Include="{source}" />""" : "")}</ItemGroup>
            </Project>
            """
        );
        File.WriteAllText(folder[name, source], text);
    }

    private static string Output(TempFolder folder, string project, params string[] arguments)
    {
        var result = Run.Program(folder[project, "bin", "Debug", "net10.0", $"{project}.dll"], arguments);
        Succeed(result);
        return result.Output.Trim();
    }

    private static void Succeed(RunResult result) =>
        Assert.True(result.ExitCode == 0, $"{result.Output}\n{result.Error}");
}
