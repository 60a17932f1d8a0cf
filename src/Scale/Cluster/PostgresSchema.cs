using Npgsql;

namespace TorchBridge.Scale.Cluster;

/// <summary>Creates the tables that Orleans' ADO.NET providers expect; no package contains a script for
/// them.</summary>
internal static class PostgresSchema
{
    /// <summary>Name of the schema that contains the tables.</summary>
    public const string Name = "torchbridge";

    private const long Lock = 0x746f726368; // an arbitrary number that all coordinators share

    /// <summary>Creates the tables that are missing. Two callers at the same time wait for each other.</summary>
    /// <exception cref="NpgsqlException">The server cannot be reached, or refuses a statement.</exception>
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
                // The parameter names in the script are inside of quoted statements that Orleans uses later; none is set
                // here.
                foreach (
                    var text in (string[])[FormattableString.Invariant($"SELECT pg_advisory_xact_lock({Lock})"), script]
                )
                {
#pragma warning disable CA2100 // both texts are constants of this program
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
