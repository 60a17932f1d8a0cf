using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>Endpoints for metadata, health and statistics of the server and its models.</summary>
internal sealed class MetadataEndpoints(ModelRegistry registry, ServerState state)
{
    /// <summary>GET /v2: name, version and extensions of the server.</summary>
    /// <param name="context">The request.</param>
    public static Task Server(HttpContext context) =>
        context.Response.WriteAsJsonAsync(
            new
            {
                name = ProtocolDescription.Name,
                version = ProtocolDescription.Version,
                extensions = ProtocolDescription.Extensions,
            }
        );

    /// <summary>GET /v2/health/live: 200 as long as the process answers at all.</summary>
    /// <param name="context">The request.</param>
    public static Task Live(HttpContext context) => context.Response.WriteAsJsonAsync(new { live = true });

    /// <summary>GET /v2/health/ready: 200, or 503 if a model is not ready or the server is about to stop.</summary>
    /// <param name="context">The request.</param>
    public Task Ready(HttpContext context)
    {
        if (!state.IsReady)
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return context.Response.WriteAsJsonAsync(new { ready = state.IsReady });
    }

    /// <summary>
    /// GET /v2/models/M[/versions/V]/ready: 200, 503 if the model is known but not loaded, or 404 if there is no such
    /// model.
    /// </summary>
    /// <param name="context">The request, whose path names model and version.</param>
    public Task ModelReady(HttpContext context)
    {
        var name = RouteOf(context, "model");
        var isReady = false;
        try
        {
            using var lease = registry.Acquire(name, RouteOf(context, "version"));
            isReady = !state.IsDraining;
        }
        catch (RequestRefusedException refusal) when (refusal.Kind == RefusalKind.Unavailable)
        {
            // The model is known but not loaded.
        }

        if (!isReady)
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return context.Response.WriteAsJsonAsync(new { name, ready = isReady });
    }

    /// <summary>GET /v2/models/M[/versions/V]: inputs, outputs, versions, and further properties.</summary>
    /// <param name="context">The request, whose path names model and version.</param>
    public Task Model(HttpContext context)
    {
        using var lease = registry.Acquire(RouteOf(context, "model"), RouteOf(context, "version"));
        var version = lease.Version;
        var name = version.Identity.Model;
        return context.Response.WriteAsJsonAsync(
            new
            {
                name,
                versions = registry.Find(name)?.Versions.Values.Select(item => item.Identity.VersionText).ToArray()
                    ?? [version.Identity.VersionText],
                platform = ProtocolDescription.Platform,
                inputs = version.Signature.Inputs.Select(Describe),
                outputs = version.Signature.Outputs.Select(Describe),
                properties = ProtocolDescription.Properties(version),
            }
        );
    }

    /// <summary>
    /// GET /v2/models/M[/versions/V]/stats: statistics since the version was loaded, in the form of the protocol's
    /// statistics extension.
    /// </summary>
    /// <param name="context">The request, whose path names model and version.</param>
    public Task Statistics(HttpContext context)
    {
        using var lease = registry.Acquire(RouteOf(context, "model"), RouteOf(context, "version"));
        var figures = lease.Version.Statistics.Read();
        return context.Response.WriteAsJsonAsync(
            new
            {
                model_stats = new[]
                {
                    new
                    {
                        name = lease.Version.Identity.Model,
                        version = lease.Version.Identity.VersionText,
                        inference_count = figures.Rows,
                        execution_count = figures.Runs,
                        inference_stats = new
                        {
                            fail = new { count = figures.Failures },
                            queue = new { ns = Nanoseconds(figures.Queued) },
                            compute_infer = new { count = figures.Runs, ns = Nanoseconds(figures.Computed) },
                        },
                        batch_stats = figures.RunsBySize.Select(pair => new
                        {
                            batch_size = pair.Key,
                            compute_infer = new { count = pair.Value },
                        }),
                    },
                },
            }
        );
    }

    /// <summary>A route value; empty if it is absent.</summary>
    /// <param name="context">The request.</param>
    /// <param name="name">Name of the value.</param>
    public static string RouteOf(HttpContext context, string name) => context.Request.RouteValues[name] as string ?? "";

    /// <summary>An input or output as REST describes it.</summary>
    /// <param name="spec">An input or an output.</param>
    private static object Describe(TensorSpec spec) =>
        new
        {
            name = spec.Name,
            datatype = spec.Type.NameOf(),
            shape = spec.Shape,
        };

    /// <summary>A time in nanoseconds, as in Triton's statistics.</summary>
    /// <param name="time">The time.</param>
    private static long Nanoseconds(TimeSpan time) => time.Ticks * TimeSpan.NanosecondsPerTick;
}
