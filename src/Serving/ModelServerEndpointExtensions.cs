using TorchBridge.Serving.Grpc;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Page;

namespace TorchBridge.Serving;

/// <summary>
/// Maps the model server's endpoints in an ASP.NET Core application.
/// <see cref="ModelServerServiceExtensions.AddModelServer"/> must have been called before.
/// </summary>
public static class ModelServerEndpointExtensions
{
    /// <summary>
    /// Maps the Open Inference Protocol: REST under <c>/v2</c>, the gRPC service
    /// <c>inference.GRPCInferenceService</c> (on endpoints that speak HTTP/2), <c>POST /classify</c> and the OpenAPI
    /// document at <c>/openapi</c>.
    /// </summary>
    /// <param name="endpoints">The application to which the endpoints are added.</param>
    /// <returns>The same application, so that calls can be chained.</returns>
    /// <exception cref="InvalidOperationException">AddModelServer was not called.</exception>
    public static IEndpointRouteBuilder MapOpenInference(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var services = endpoints.ServiceProvider;
        var guard = services.GetRequiredService<GuardedHandler>();
        var metadata = services.GetRequiredService<MetadataEndpoints>();
        var infer = services.GetRequiredService<InferEndpoint>();
        var classify = services.GetRequiredService<ClassifyEndpoint>();

        endpoints.Only(HttpMethods.Get, "/v2", guard.Guard(MetadataEndpoints.Server));
        endpoints.Only(HttpMethods.Get, "/v2/health/live", guard.Guard(MetadataEndpoints.Live, isOpen: true));
        endpoints.Only(HttpMethods.Get, "/v2/health/ready", guard.Guard(metadata.Ready, isOpen: true));
        foreach (var model in (string[])["/v2/models/{model}", "/v2/models/{model}/versions/{version}"])
        {
            endpoints.Only(HttpMethods.Get, model, guard.Guard(metadata.Model));
            endpoints.Only(HttpMethods.Get, $"{model}/ready", guard.Guard(metadata.ModelReady));
            endpoints.Only(HttpMethods.Get, $"{model}/stats", guard.Guard(metadata.Statistics));
            endpoints.Only(HttpMethods.Post, $"{model}/infer", guard.Guard(infer.Handle));
        }

        endpoints.Only(HttpMethods.Post, "/classify", guard.Guard(classify.Handle));
        endpoints.Only(HttpMethods.Get, "/openapi", guard.Guard(OpenApiDocument.Send));
        endpoints
            .Map(
                "/v2/{**rest}",
                guard.Guard(context =>
                    ErrorReply.WriteAsync(context, StatusCodes.Status404NotFound, "the protocol has no such address")
                )
            )
            .WithOrder(2);
        endpoints.MapGrpcService<InferenceService>().WithMetadata(new MessageLimitOnly());
        return endpoints;
    }

    /// <summary>Maps the web page on which a model can be tried out.</summary>
    /// <param name="endpoints">The application to which the endpoints are added.</param>
    /// <param name="pattern">Path of the page; by default the root.</param>
    /// <returns>The same application, so that calls can be chained.</returns>
    /// <exception cref="InvalidOperationException">AddModelServer was not called.</exception>
    public static IEndpointRouteBuilder MapModelPage(this IEndpointRouteBuilder endpoints, string pattern = "/")
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentException.ThrowIfNullOrEmpty(pattern);
        var page = endpoints.ServiceProvider.GetRequiredService<PageEndpoint>();
        var guard = endpoints.ServiceProvider.GetRequiredService<GuardedHandler>();
        endpoints.MapMethods(pattern, [HttpMethods.Get, HttpMethods.Head], guard.Guard(page.Get));
        endpoints.MapPost(pattern, guard.Guard(page.Post));
        endpoints.Only(HttpMethods.Get, "/examples/{model}/{index:int}", guard.Guard(page.Example));
        return endpoints;
    }

    /// <summary>
    /// Maps one HTTP method on a path. Other methods get status 405, with an error in the protocol's form.
    /// </summary>
    /// <param name="endpoints">The application to which both routes are added.</param>
    /// <param name="method">The HTTP method; GET includes HEAD.</param>
    /// <param name="pattern">The path, as an ASP.NET Core route pattern.</param>
    /// <param name="handler">Handles the requests.</param>
    private static void Only(
        this IEndpointRouteBuilder endpoints,
        string method,
        string pattern,
        RequestDelegate handler
    )
    {
        string[] methods = method == HttpMethods.Get ? [HttpMethods.Get, HttpMethods.Head] : [method];
        endpoints.MapMethods(pattern, methods, handler);
        endpoints
            .Map(pattern, context =>
            {
                context.Response.Headers.Allow = string.Join(", ", methods);
                return ErrorReply.WriteAsync(
                    context,
                    StatusCodes.Status405MethodNotAllowed,
                    $"this address takes {method} only"
                );
            })
            .WithOrder(1);
    }
}
