using System.Globalization;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Cluster;

/// <summary>Where the books of a cluster are kept.</summary>
internal enum ClusterKind
{
    /// <summary>In this process, for itself.</summary>
    Embedded,

    /// <summary>In the memory of one process of this machine.</summary>
    Localhost,

    /// <summary>In a Redis server.</summary>
    Redis,

    /// <summary>In a PostgreSQL database.</summary>
    Postgres,
}

/// <summary>What <c>--cluster</c> names.</summary>
/// <param name="Kind">Where the books are.</param>
/// <param name="Store">The server and its database, in the form of its client's connection string; empty where there is
/// none.</param>
/// <param name="GatewayPort">With <see cref="ClusterKind.Localhost"/>: where the coordinator listens.</param>
internal sealed record ClusterAddress(ClusterKind Kind, string Store, int GatewayPort)
{
    /// <summary>Where a coordinator listens for workers if nothing else is said.</summary>
    public const int DefaultGatewayPort = 30000;

    private const string Allowed =
        "allowed is localhost, localhost:PORT, redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or "
        + "postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE";

    /// <summary>The process itself.</summary>
    public static ClusterAddress Embedded { get; } = new(ClusterKind.Embedded, "", 0);

    /// <summary>Reads an address.</summary>
    /// <exception cref="ScaleException">It is none.</exception>
    public static ClusterAddress Parse(string text)
    {
        if (text == "localhost")
            return new ClusterAddress(ClusterKind.Localhost, "", DefaultGatewayPort);
        if (text.StartsWith("localhost:", StringComparison.Ordinal))
            return
                int.TryParse(text.AsSpan(10), NumberStyles.None, CultureInfo.InvariantCulture, out var port)
                && port is > 0 and < 65536
                ? new ClusterAddress(ClusterKind.Localhost, "", port)
                : throw Refused(text, "the port is none");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0)
            throw Refused(text, "it is no address");
        if (uri.Query.Length > 0 || uri.Fragment.Length > 0)
            throw Refused(text, "it has a query");
        return uri.Scheme switch
        {
            "redis" => new ClusterAddress(ClusterKind.Redis, Redis(text, uri), DefaultGatewayPort),
            "postgres" or "postgresql" => new ClusterAddress(
                ClusterKind.Postgres,
                Postgres(text, uri),
                DefaultGatewayPort
            ),
            _ => throw Refused(text, $"{uri.Scheme} is no store that is known"),
        };
    }

    private static string Redis(string text, Uri uri)
    {
        var database = uri.AbsolutePath.Trim('/');
        if (database.Length > 0 && !int.TryParse(database, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw Refused(text, "the database of Redis is a number");
        var options = new StackExchange.Redis.ConfigurationOptions
        {
            EndPoints = { { uri.Host, uri.Port > 0 ? uri.Port : 6379 } },
            DefaultDatabase = database.Length > 0 ? int.Parse(database, CultureInfo.InvariantCulture) : null,
            // A store that is away comes back, or the caller says so: the client keeps trying by itself.
            AbortOnConnectFail = false,
        };
        var (user, password) = Credentials(uri);
        (options.User, options.Password) = (user.Length > 0 ? user : null, password);
        return options.ToString(includePassword: true);
    }

    private static string Postgres(string text, Uri uri)
    {
        var (user, password) = Credentials(uri);
        var database = Uri.UnescapeDataString(uri.AbsolutePath.Trim('/'));
        if (user.Length == 0 || database.Length == 0)
            throw Refused(text, "user and database are needed");
        return new Npgsql.NpgsqlConnectionStringBuilder
        {
            Host = uri.Host,
            Port = uri.Port > 0 ? uri.Port : 5432,
            Username = user,
            Password = password,
            Database = database,
            SearchPath = PostgresSchema.Name,
        }.ConnectionString;
    }

    private static (string User, string? Password) Credentials(Uri uri)
    {
        var parts = uri.UserInfo.Split(':', 2);
        return (Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : null);
    }

    private static ScaleException Refused(string text, string why) =>
        new($"--cluster {Shown(text)}: {why}; {Allowed}.");

    /// <summary>The address without what is in front of its host: a password stays out of messages.</summary>
    private static string Shown(string text) =>
        text.Contains("://", StringComparison.Ordinal) && text.LastIndexOf('@') is > 0 and var at
            ? $"{text[..(text.IndexOf("://", StringComparison.Ordinal) + 3)]}…{text[at..]}"
            : text;
}
