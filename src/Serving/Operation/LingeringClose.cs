using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// At the end the web server closes every connection that has no request at hand. One whose request has just been
/// sent looks the same, and its client would see a failure: so connections are told to close a little later than the
/// listeners, and answer what comes until then.
/// </summary>
internal static class LingeringClose
{
    /// <summary>How long a connection that waits for its next request outlives the listeners.</summary>
    public static readonly TimeSpan Time = TimeSpan.FromMilliseconds(250);

    /// <summary>Adds it to an endpoint's connections.</summary>
    /// <param name="listen">The endpoint.</param>
    public static void UseLingeringClose(this ListenOptions listen) =>
        listen.Use(next =>
            async connection =>
            {
                if (connection.Features.Get<IConnectionLifetimeNotificationFeature>() is not { } told)
                {
                    await next(connection).ConfigureAwait(false);
                    return;
                }

                using var later = new LateNotification(told);
                connection.Features.Set<IConnectionLifetimeNotificationFeature>(later);
                await next(connection).ConfigureAwait(false);
            }
        );

    /// <summary>Passes the order to close on a little later than it comes.</summary>
    private sealed class LateNotification : IConnectionLifetimeNotificationFeature, IDisposable
    {
        private readonly IConnectionLifetimeNotificationFeature told;
        private readonly CancellationTokenSource later = new();
        private readonly CancellationTokenRegistration registration;

        /// <summary>Stands in front of Kestrel's own notification.</summary>
        /// <param name="told">What Kestrel tells of.</param>
        public LateNotification(IConnectionLifetimeNotificationFeature told)
        {
            this.told = told;
            ConnectionClosedRequested = later.Token;
            registration = told.ConnectionClosedRequested.Register(() => later.CancelAfter(Time));
        }

        /// <summary>
        /// What the connection's requests listen to: cancelled a while after Kestrel asked for it.
        /// </summary>
        public CancellationToken ConnectionClosedRequested { get; set; }

        /// <summary>Passes the wish on.</summary>
        public void RequestClose() => told.RequestClose();

        /// <summary>Stops listening to Kestrel's notification.</summary>
        public void Dispose()
        {
            registration.Dispose();
            later.Dispose();
        }
    }
}
