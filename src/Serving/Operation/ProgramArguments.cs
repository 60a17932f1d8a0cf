using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using System.Text;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// The program's command line: every option of <see cref="ModelServerOptions"/> in kebab case, and the addresses.
/// </summary>
internal static class ProgramArguments
{
    /// <summary>Configuration key of the addresses of REST and the page.</summary>
    public const string Urls = "urls";

    /// <summary>Configuration key of the gRPC address.</summary>
    public const string GrpcUrl = "grpc-url";

    /// <summary>Configuration key of the metrics address.</summary>
    public const string MetricsUrl = "metrics-url";

    /// <summary>Columns of the help: a terminal's usual width, and what precedes each description.</summary>
    private const int Width = 80,
        Indent = 36;

    private static readonly (string Name, string Help)[] Listening =
    [
        (Urls, "Addresses of REST and the page, separated by ';'. Default: http://127.0.0.1:8080."),
        (GrpcUrl, "Address of gRPC (HTTP/2 without TLS), or `none`. Default: http://127.0.0.1:9000."),
        (MetricsUrl, "Address of GET /metrics for Prometheus, or `none`. Default: none."),
        ("environment", "Name of the environment; it selects the file appsettings.NAME.json. Default: Production."),
    ];

    /// <summary>The text that <c>--help</c> prints, in lines of at most 80 columns, grouped by what options are about.
    /// </summary>
    public static string Help
    {
        get
        {
            var text = new StringBuilder(
                """
                Serves ONNX models over the Open Inference Protocol (REST and gRPC), in batches,
                with a web page.

                Example:
                  dotnet run --project src/Serving -c Release -- --models models

                """.ReplaceLineEndings("\n")
            ).Append("\nAddresses and environment\n");
            foreach (var (name, help) in Listening)
                AppendOption(text, name, help);
            var defaults = new ModelServerOptions();
            foreach (var group in Options.GroupBy(option => Attribute<CategoryAttribute>(option.Property).Category))
            {
                text.Append(CultureInfo.InvariantCulture, $"\n{group.Key}\n");
                foreach (var (name, property) in group)
                {
                    var value = property.GetValue(defaults) ?? "none";
                    AppendOption(
                        text,
                        name,
                        string.Create(
                            CultureInfo.InvariantCulture,
                            $"{Attribute<DescriptionAttribute>(property).Description} Default: {value}."
                        )
                    );
                }
            }

            return text.Append(
                    """

                    Options can also be set in appsettings.json ("Server": { "MaxBatchSize": 16 })
                    or in the environment (Server__MaxBatchSize=16).
                    """.ReplaceLineEndings("\n")
                )
                .ToString();
        }
    }

    /// <summary>The server's options with their names on the command line.</summary>
    private static IEnumerable<(string Name, PropertyInfo Property)> Options =>
        typeof(ModelServerOptions)
            .GetProperties()
            .Where(property => property.GetCustomAttribute<DescriptionAttribute>() is not null)
            .Select(property => (KebabCase(property.Name), property));

    /// <summary>Converts arguments to configuration keys and values; null if help is asked for.</summary>
    /// <param name="args">The arguments: <c>--name value</c> or <c>--name=value</c>.</param>
    /// <exception cref="UsageException">An argument is unknown, is given twice, or has no value.</exception>
    public static Dictionary<string, string?>? Read(string[] args)
    {
        var keys = Listening.ToDictionary(item => item.Name, item => item.Name, StringComparer.Ordinal);
        foreach (var (name, property) in Options)
            keys[name] = $"{ModelServerOptions.Section}:{property.Name}";
        var settings = new Dictionary<string, string?>(StringComparer.Ordinal);
        for (var index = 0; index < args.Length; index++)
        {
            if (args[index] is "--help" or "-h" or "-?")
                return null;
            var (name, value) = args[index].IndexOf('=', StringComparison.Ordinal) is > 0 and var equals
                ? (args[index][..equals], args[index][(equals + 1)..])
                : (args[index], null);
            if (!name.StartsWith("--", StringComparison.Ordinal) || !keys.TryGetValue(name[2..], out var key))
                throw new UsageException($"{name} is not an option; `--help` lists all options.");
            if (value is null && ++index == args.Length)
                throw new UsageException($"{name} needs a value.");
            if (!settings.TryAdd(key, value ?? args[index]))
                throw new UsageException($"{name} is given twice.");
        }

        return settings;
    }

    /// <summary>Appends an option: its name, and beside it the description in lines of its own column.</summary>
    private static void AppendOption(StringBuilder text, string name, string description)
    {
        var line = new StringBuilder($"  --{name}".PadRight(Indent - 1));
        foreach (var word in description.Split(' '))
        {
            if (line.Length + 1 + word.Length > Width)
            {
                text.Append(line).Append('\n');
                line.Clear().Append(' ', Indent - 1);
            }

            line.Append(' ').Append(word);
        }

        text.Append(line).Append('\n');
    }

    private static TAttribute Attribute<TAttribute>(PropertyInfo property)
        where TAttribute : Attribute => property.GetCustomAttribute<TAttribute>()!;

    /// <summary>Converts a name to kebab case: MaxBatchSize to <c>max-batch-size</c>.</summary>
    /// <param name="name">The name of a property.</param>
    private static string KebabCase(string name) =>
        string.Concat(
            name.Select(
                (letter, i) =>
                    char.IsUpper(letter) && i > 0
                        ? $"-{char.ToLowerInvariant(letter)}"
                        : $"{char.ToLowerInvariant(letter)}"
            )
        );
}
