namespace TorchBridge.Serving.Http;

/// <summary>GET /openapi: the OpenAPI document of the REST interface.</summary>
internal static class OpenApiDocument
{
    /// <summary>The document as JSON, read from the assembly's resources.</summary>
    public static string Text { get; } = Read();

    /// <summary>Sends the document.</summary>
    /// <param name="context">The request.</param>
    public static Task Send(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(Text);
    }

    /// <summary>Reads the document from the assembly's resources.</summary>
    private static string Read()
    {
        using var stream = typeof(OpenApiDocument).Assembly.GetManifestResourceStream("openapi.json")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
