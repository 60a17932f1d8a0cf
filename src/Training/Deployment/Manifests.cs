namespace TorchBridge.Training.Deployment;

/// <summary>The files that say how a repository is served. What a user must decide is an option, not a gap in a
/// file.</summary>
internal static class Manifests
{
    /// <summary>The protocol's ports: KServe's.</summary>
    private const int RestPort = 8080,
        GrpcPort = 9000,
        MetricsPort = 9090;

    /// <summary>Told to stop, the server takes requests for five seconds more, until nobody is sent to it, and then
    /// 25 to finish.</summary>
    private const int DrainSeconds = 5,
        GraceSeconds = 35;

    /// <summary>A KServe InferenceService: protocol v2 makes KServe choose Triton, which wants a repository and no
    /// bare file.</summary>
    /// <param name="name">Name of the service and the model: KServe's addresses need both alike.</param>
    /// <param name="storage">Where the repository was put.</param>
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

    /// <summary>The image of our server with the repository in it. It is built from this project's root: see its
    /// first lines.</summary>
    /// <param name="folder">Where the package is, as the command line will name it.</param>
    /// <param name="image">The image's name.</param>
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

    /// <summary>What of this project the image is not built from.</summary>
    public const string DockerIgnore = "**/bin\n**/obj\n**/node_modules\n**/TestResults\n.git\nmodels\ndeploy\n";

    /// <summary>A Deployment of the image, and the Service before it.</summary>
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

    /// <summary>A YAML string: JSON's are of them.</summary>
    /// <param name="text">Any text; every string of JSON is one of YAML.</param>
    private static string Quoted(string text) => System.Text.Json.JsonSerializer.Serialize(text);
}
