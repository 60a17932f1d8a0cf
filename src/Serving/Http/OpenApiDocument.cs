namespace TorchBridge.Serving.Http;

/// <summary>GET /openapi: the OpenAPI document of the REST half.</summary>
internal static class OpenApiDocument
{
    /// <summary>The document: JSON, from the assembly.</summary>
    public static string Text { get; } = Read();

    /// <summary>Sends it.</summary>
    /// <param name="context">The request.</param>
    public static Task Send(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(Text);
    }

    /// <summary>The description that lies in the assembly.</summary>
    private static string Read()
    {
        using var stream = typeof(OpenApiDocument).Assembly.GetManifestResourceStream("openapi.json")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
