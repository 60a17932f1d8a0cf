using System.Globalization;
using TorchBridge.Scale.Contract;

namespace TorchBridge.Scale.Cluster;

/// <summary>Where a cluster stores the lease state of its jobs.</summary>
internal enum ClusterKind
{
    /// <summary>In the memory of this process, which is the only member.</summary>
    Embedded,

    /// <summary>In the memory of the coordinator, for workers on the same machine.</summary>
    Localhost,

    /// <summary>In a Redis server.</summary>
    Redis,

    /// <summary>In a PostgreSQL database.</summary>
    Postgres,
}

/// <summary>The value of <c>--cluster</c>.</summary>
/// <param name="Kind">Where the lease state is stored.</param>
/// <param name="Store">The connection string of the Redis or PostgreSQL database; empty without a store.</param>
/// <param name="GatewayPort">With <see cref="ClusterKind.Localhost"/>: the port on which the coordinator listens for
/// workers.</param>
internal sealed record ClusterAddress(ClusterKind Kind, string Store, int GatewayPort)
{
    /// <summary>The port on which a coordinator listens for workers by default.</summary>
    public const int DefaultGatewayPort = 30000;

    private const string Allowed =
        "allowed are localhost, localhost:PORT, redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] and "
        + "postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE";

    /// <summary>This process alone, without a network address.</summary>
    public static ClusterAddress Embedded { get; } = new(ClusterKind.Embedded, "", 0);

    /// <summary>Parses an address.</summary>
    /// <exception cref="ScaleException">The text is not an address of a cluster.</exception>
    public static ClusterAddress Parse(string text)
    {
        if (text == "localhost")
            return new ClusterAddress(ClusterKind.Localhost, "", DefaultGatewayPort);
        if (text.StartsWith("localhost:", StringComparison.Ordinal))
            return
                int.TryParse(text.AsSpan(10), NumberStyles.None, CultureInfo.InvariantCulture, out var port)
                && port is > 0 and < 65536
                ? new ClusterAddress(ClusterKind.Localhost, "", port)
                : throw Refused(text, "the port is not a number from 1 to 65535");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0)
            throw Refused(text, "this is not an address");
        if (uri.Query.Length > 0 || uri.Fragment.Length > 0)
            throw Refused(text, "the address must not have a query (?…) or a fragment (#…)");
        return uri.Scheme switch
        {
            "redis" => new ClusterAddress(ClusterKind.Redis, Redis(text, uri), DefaultGatewayPort),
            "postgres" or "postgresql" => new ClusterAddress(
                ClusterKind.Postgres,
                Postgres(text, uri),
                DefaultGatewayPort
            ),
            _ => throw Refused(text, $"the store {uri.Scheme} is not supported"),
        };
    }

    private static string Redis(string text, Uri uri)
    {
        var database = uri.AbsolutePath.Trim('/');
        if (database.Length > 0 && !int.TryParse(database, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw Refused(text, "the Redis database must be a number");
        var options = new StackExchange.Redis.ConfigurationOptions
        {
            EndPoints = { { uri.Host, uri.Port > 0 ? uri.Port : 6379 } },
            DefaultDatabase = database.Length > 0 ? int.Parse(database, CultureInfo.InvariantCulture) : null,
            // The client itself retries while the store is unreachable; the caller decides when to give up.
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
            throw Refused(text, "the address needs a user and a database");
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

    /// <summary>The address without its user and password, for messages.</summary>
    private static string Shown(string text) =>
        text.Contains("://", StringComparison.Ordinal) && text.LastIndexOf('@') is > 0 and var at
            ? $"{text[..(text.IndexOf("://", StringComparison.Ordinal) + 3)]}…{text[at..]}"
            : text;
}
