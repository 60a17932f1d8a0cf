// The model server inside an application of your own: its routes are added to yours, and its options are read from
// your appsettings.json.
// Usage: ModelServer [--Server:Models models] [--urls http://127.0.0.1:5000]
//        curl --data-binary @cat.jpg http://127.0.0.1:5000/classify
using TorchBridge.Serving;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddModelServer(options => options.MaxBatchSize = 16);
var app = builder.Build();
app.MapGet("/", () => "My application. Its models: /try and /v2.");
app.MapOpenInference();
app.MapModelPage("/try");
await app.RunAsync();
