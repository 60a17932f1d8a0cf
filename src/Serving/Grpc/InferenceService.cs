using System.Diagnostics;
using Grpc.Core;
using TorchBridge.Serving.Grpc.Wire;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Grpc;

/// <summary>The gRPC service of the protocol, with the same models, queues, limits and errors as REST.</summary>
internal sealed class InferenceService(
    ModelRegistry registry,
    InferenceEngine engine,
    ServerState state,
    ApiKey key,
    RequestGate gate,
    ProtocolLimits limits,
    ServingMetrics metrics,
    ILogger<InferenceService> log
) : GRPCInferenceService.GRPCInferenceServiceBase
{
    /// <inheritdoc/>
    public override Task<ServerLiveResponse> ServerLive(ServerLiveRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerLiveResponse { Live = true });

    /// <inheritdoc/>
    public override Task<ServerReadyResponse> ServerReady(ServerReadyRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerReadyResponse { Ready = state.IsReady });

    /// <inheritdoc/>
    public override Task<ModelReadyResponse> ModelReady(ModelReadyRequest request, ServerCallContext context) =>
        Guarded(context, () =>
        {
            try
            {
                using var lease = registry.Acquire(request.Name, request.Version);
                return Task.FromResult(new ModelReadyResponse { Ready = !state.IsDraining });
            }
            catch (RequestRefusedException refusal) when (refusal.Kind == RefusalKind.Unavailable)
            {
                return Task.FromResult(new ModelReadyResponse { Ready = false });
            }
        });

    /// <inheritdoc/>
    public override Task<ServerMetadataResponse> ServerMetadata(
        ServerMetadataRequest request,
        ServerCallContext context
    ) => Guarded(context, () =>
        {
            var response = new ServerMetadataResponse
            {
                Name = ProtocolDescription.Name,
                Version = ProtocolDescription.Version,
            };
            response.Extensions.AddRange(ProtocolDescription.Extensions);
            return Task.FromResult(response);
        });

    /// <inheritdoc/>
    public override Task<ModelMetadataResponse> ModelMetadata(
        ModelMetadataRequest request,
        ServerCallContext context
    ) => Guarded(context, () =>
        {
            using var lease = registry.Acquire(request.Name, request.Version);
            var response = new ModelMetadataResponse
            {
                Name = lease.Version.Identity.Model,
                Platform = ProtocolDescription.Platform,
            };
            response.Versions.AddRange(
                registry.Find(response.Name)?.Versions.Values.Select(version => version.Identity.VersionText) ?? []
            );
            response.Inputs.AddRange(lease.Version.Signature.Inputs.Select(Describe));
            response.Outputs.AddRange(lease.Version.Signature.Outputs.Select(Describe));
            foreach (var (name, value) in ProtocolDescription.Properties(lease.Version))
                response.Properties.Add(name, value);
            return Task.FromResult(response);
        });

    /// <inheritdoc/>
    public override Task<ModelInferResponse> ModelInfer(ModelInferRequest request, ServerCallContext context) =>
        Guarded(context, async () =>
        {
            var started = Stopwatch.GetTimestamp();
            ModelVersion? model = null;
            var outcome = "failed";
            var bytes = request.CalculateSize();
            gate.Take(bytes);
            try
            {
                using var lease = registry.Acquire(request.ModelName, request.ModelVersion);
                model = lease.Version;
                var result = await engine
                    .RunAsync(model, GrpcRequestReader.Read(request, limits), context.CancellationToken)
                    .ConfigureAwait(false);
                outcome = "ok";
                return GrpcReplyWriter.Write(result.Reply);
            }
            catch (RequestRefusedException refusal)
            {
                outcome = refusal.Kind.ToString().ToLowerInvariant();
                throw;
            }
            finally
            {
                gate.Give(bytes);
                metrics.AddRequest(model, outcome, Stopwatch.GetElapsedTime(started));
            }
        });

    /// <summary>An input or output as gRPC describes it.</summary>
    /// <param name="spec">An input or an output.</param>
    private static ModelMetadataResponse.Types.TensorMetadata Describe(TensorSpec spec)
    {
        var metadata = new ModelMetadataResponse.Types.TensorMetadata
        {
            Name = spec.Name,
            Datatype = spec.Type.NameOf(),
        };
        metadata.Shape.AddRange(spec.Shape);
        return metadata;
    }

    /// <summary>
    /// Wraps every call: checks the key, limits the number of requests, and converts exceptions to gRPC statuses.
    /// </summary>
    /// <param name="context">The call's context; its headers hold the key.</param>
    /// <param name="work">Executes the call.</param>
    /// <exception cref="RpcException">The call failed; the status code says why.</exception>
    private async Task<T> Guarded<T>(ServerCallContext context, Func<Task<T>> work)
    {
        if (!key.Allows(context.RequestHeaders.GetValue("authorization"), context.RequestHeaders.GetValue("x-api-key")))
            throw new RpcException(new Status(StatusCode.Unauthenticated, ApiKey.Missing));
        var hasEntered = false;
        try
        {
            gate.Enter();
            hasEntered = true;
            return await work().ConfigureAwait(false);
        }
        catch (RequestRefusedException refusal)
        {
            throw new RpcException(new Status(StatusOf(refusal.Kind), refusal.Message));
        }
        catch (OperationCanceledException)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "the client has cancelled the call"));
        }
        catch (Exception error) when (error is not RpcException)
        {
            var id = context.GetHttpContext().TraceIdentifier;
            ServingLog.RequestFailed(log, id, error);
            throw new RpcException(
                new Status(StatusCode.Internal, $"the server failed; its log has details under request {id}")
            );
        }
        finally
        {
            if (hasEntered)
                gate.Leave();
        }
    }

    /// <summary>The gRPC status of a refusal.</summary>
    /// <param name="kind">The reason of the refusal.</param>
    private static StatusCode StatusOf(RefusalKind kind) =>
        kind switch
        {
            RefusalKind.Invalid => StatusCode.InvalidArgument,
            RefusalKind.NotFound => StatusCode.NotFound,
            RefusalKind.TooLarge => StatusCode.ResourceExhausted,
            RefusalKind.Unsupported => StatusCode.Unimplemented,
            RefusalKind.Unavailable => StatusCode.Unavailable,
            RefusalKind.Expired or RefusalKind.TooSlow => StatusCode.DeadlineExceeded,
            _ => StatusCode.Internal,
        };
}
