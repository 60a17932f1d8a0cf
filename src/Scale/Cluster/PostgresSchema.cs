using Npgsql;

namespace TorchBridge.Scale.Cluster;

/// <summary>The tables that Orleans' ADO.NET providers expect, which no package brings.</summary>
internal static class PostgresSchema
{
    /// <summary>Name of the schema that they are in.</summary>
    public const string Name = "torchbridge";

    private const long Lock = 0x746f726368; // any number that all of us agree on

    /// <summary>Makes what is missing. Two that begin at once wait for each other.</summary>
    /// <exception cref="NpgsqlException">The server does not answer, or refuses.</exception>
    public static async Task Ensure(string connectionString, CancellationToken stop)
    {
        using var stream = typeof(PostgresSchema).Assembly.GetManifestResourceStream("TorchBridge.Scale.postgres.sql")!;
        using var reader = new StreamReader(stream);
        var script = await reader.ReadToEndAsync(stop).ConfigureAwait(false);
        var connection = new NpgsqlConnection(connectionString);
        await using (connection.ConfigureAwait(false))
        {
            await connection.OpenAsync(stop).ConfigureAwait(false);
            var transaction = await connection.BeginTransactionAsync(stop).ConfigureAwait(false);
            await using (transaction.ConfigureAwait(false))
            {
                // Its statements hold the names of parameters inside of texts: nothing of it is ours to fill in.
                foreach (
                    var text in (string[])[FormattableString.Invariant($"SELECT pg_advisory_xact_lock({Lock})"), script]
                )
                {
#pragma warning disable CA2100 // both are constants of this program
                    var command = new NpgsqlCommand(text, connection, transaction);
#pragma warning restore CA2100
                    await using (command.ConfigureAwait(false))
                        await command.ExecuteNonQueryAsync(stop).ConfigureAwait(false);
                }

                await transaction.CommitAsync(stop).ConfigureAwait(false);
            }
        }
    }
}
