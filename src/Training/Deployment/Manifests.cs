namespace TorchBridge.Training.Deployment;

/// <summary>The files that describe how a repository is served. Everything that a user must decide is an option, not
/// a gap to fill in.</summary>
internal static class Manifests
{
    /// <summary>The ports of KServe's protocol.</summary>
    private const int RestPort = 8080,
        GrpcPort = 9000,
        MetricsPort = 9090;

    /// <summary>When it is told to stop, the server accepts requests for five more seconds, until no more are routed
    /// to it, and then has 25 seconds to finish.</summary>
    private const int DrainSeconds = 5,
        GraceSeconds = 35;

    /// <summary>A KServe InferenceService: with protocol v2 KServe selects Triton, which needs a repository instead
    /// of a single file.</summary>
    /// <param name="name">Name of the service and the model: KServe requires both to be equal.</param>
    /// <param name="storage">Storage URI of the repository.</param>
    public static string InferenceService(string name, string storage) =>
        $"""
            apiVersion: serving.kserve.io/v1beta1
            kind: InferenceService
            metadata:
              name: {Quoted(name)}
            spec:
              predictor:
                model:
                  modelFormat:
                    name: onnx
                  protocolVersion: v2
                  storageUri: {Quoted(storage)}
                  resources:
                    requests:
                      cpu: "1"
                      memory: 1Gi
                    limits:
                      memory: 2Gi

            """;

    /// <summary>A Dockerfile for TorchBridge's server with the repository in it. It is built from this project's
    /// root, as its first lines explain.</summary>
    /// <param name="folder">Path of the package for the command line.</param>
    /// <param name="image">Name of the image.</param>
    public static string Dockerfile(string folder, string image) =>
        $"""
            # The model server with its models. From TorchBridge's root:
            #   docker build --build-context "models={folder}/models" --file "{folder}/Dockerfile" --tag {image} .
            #   docker run --read-only --cap-drop ALL --publish 127.0.0.1:{RestPort}:{RestPort} {image}
            FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
            WORKDIR /source
            COPY . .
            RUN dotnet publish src/Serving -c Release -o /server

            # Chiselled: no shell and no package manager; the user is not root.
            FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled
            WORKDIR /server
            COPY --from=build /server .
            COPY --from=models . /models
            # No diagnostic socket: it would be written to /tmp.
            ENV DOTNET_EnableDiagnostics=0
            USER $APP_UID
            EXPOSE {RestPort} {GrpcPort} {MetricsPort}
            ENTRYPOINT ["dotnet", "TorchBridge.Serving.dll", "--models", "/models", "--reload-milliseconds", "0", \
              "--drain-milliseconds", "{DrainSeconds}000", "--urls", "http://*:{RestPort}", \
              "--grpc-url", "http://*:{GrpcPort}", "--metrics-url", "http://*:{MetricsPort}"]

            """;

    /// <summary>Files of this project that the image does not need.</summary>
    public const string DockerIgnore = "**/bin\n**/obj\n**/node_modules\n**/TestResults\n.git\nmodels\ndeploy\n";

    /// <summary>A Deployment of the image, and its Service.</summary>
    /// <param name="name">Name of both.</param>
    /// <param name="image">The image.</param>
    public static string Deployment(string name, string image) =>
        $$"""
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              name: {{Quoted(name)}}
              labels:
                app.kubernetes.io/name: {{Quoted(name)}}
            spec:
              replicas: 1
              selector:
                matchLabels:
                  app.kubernetes.io/name: {{Quoted(name)}}
              template:
                metadata:
                  labels:
                    app.kubernetes.io/name: {{Quoted(name)}}
                  annotations:
                    prometheus.io/scrape: "true"
                    prometheus.io/port: "{{MetricsPort}}"
                spec:
                  automountServiceAccountToken: false
                  terminationGracePeriodSeconds: {{GraceSeconds}}
                  securityContext:
                    runAsNonRoot: true
                    seccompProfile:
                      type: RuntimeDefault
                  containers:
                    - name: server
                      image: {{Quoted(image)}}
                      ports:
                        - name: http
                          containerPort: {{RestPort}}
                        - name: grpc
                          containerPort: {{GrpcPort}}
                        - name: metrics
                          containerPort: {{MetricsPort}}
                      startupProbe:
                        httpGet:
                          path: /v2/health/ready
                          port: http
                        periodSeconds: 2
                        failureThreshold: 60
                      livenessProbe:
                        httpGet:
                          path: /v2/health/live
                          port: http
                      readinessProbe:
                        httpGet:
                          path: /v2/health/ready
                          port: http
                        periodSeconds: 2
                        failureThreshold: 1
                      resources:
                        requests:
                          cpu: "1"
                          memory: 512Mi
                        limits:
                          memory: 2Gi
                      securityContext:
                        allowPrivilegeEscalation: false
                        readOnlyRootFilesystem: true
                        capabilities:
                          drop:
                            - ALL
            ---
            apiVersion: v1
            kind: Service
            metadata:
              name: {{Quoted(name)}}
            spec:
              selector:
                app.kubernetes.io/name: {{Quoted(name)}}
              ports:
                - name: http
                  port: 80
                  targetPort: http
                - name: grpc
                  port: {{GrpcPort}}
                  targetPort: grpc
                  appProtocol: kubernetes.io/h2c

            """;

    /// <summary>A YAML string, written as a JSON string.</summary>
    /// <param name="text">Any text; every JSON string is a valid YAML string.</param>
    private static string Quoted(string text) => System.Text.Json.JsonSerializer.Serialize(text);
}
