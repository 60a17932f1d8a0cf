using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// At shutdown, Kestrel closes every connection without a request in progress. A connection on which the client has
/// just sent a request looks the same, and that client would see a failure. Connections are therefore closed a little
/// later than the listeners, and still answer requests until then.
/// </summary>
internal static class LingeringClose
{
    /// <summary>How much longer than the listeners an idle connection stays open.</summary>
    public static readonly TimeSpan Time = TimeSpan.FromMilliseconds(250);

    /// <summary>Adds the delay to the connections of an endpoint.</summary>
    /// <param name="listen">The endpoint.</param>
    public static void UseLingeringClose(this ListenOptions listen) =>
        listen.Use(next =>
            async connection =>
            {
                if (connection.Features.Get<IConnectionLifetimeNotificationFeature>() is not { } original)
                {
                    await next(connection).ConfigureAwait(false);
                    return;
                }

                using var later = new LateNotification(original);
                connection.Features.Set<IConnectionLifetimeNotificationFeature>(later);
                await next(connection).ConfigureAwait(false);
            }
        );

    /// <summary>Passes Kestrel's request to close a connection on with a delay.</summary>
    private sealed class LateNotification : IConnectionLifetimeNotificationFeature, IDisposable
    {
        private readonly IConnectionLifetimeNotificationFeature original;
        private readonly CancellationTokenSource later = new();
        private readonly CancellationTokenRegistration registration;

        /// <summary>Wraps Kestrel's own notification.</summary>
        /// <param name="original">Kestrel's notification.</param>
        public LateNotification(IConnectionLifetimeNotificationFeature original)
        {
            this.original = original;
            ConnectionClosedRequested = later.Token;
            registration = original.ConnectionClosedRequested.Register(() => later.CancelAfter(Time));
        }

        /// <summary>
        /// The token that the connection's requests observe; it is cancelled a while after Kestrel's own.
        /// </summary>
        public CancellationToken ConnectionClosedRequested { get; set; }

        /// <inheritdoc/>
        public void RequestClose() => original.RequestClose();

        /// <summary>Stops observing Kestrel's notification.</summary>
        public void Dispose()
        {
            registration.Dispose();
            later.Dispose();
        }
    }
}
