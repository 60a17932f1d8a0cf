// A network with an operation that the exporter does not support (heaviside), and the few lines that add support for
// it.
using TorchBridge.Export;
using TorchSharp;
using static TorchSharp.torch;

using var model = new Gate();
var options = new ExportOptions();

// heaviside(x, values) is 0 below zero, 1 above, and `values` at zero. The exporter verifies the result against the
// module, as with its own lowerings.
options.Lowerings.Add(typeof(Tensor), "heaviside", c =>
{
    var (x, values) = (c.Tensor(0), c.Tensor(1));
    GraphValue Compare(string op) => c.Node(op, ScalarType.Bool, x.Rank, [x, c.Scalar(0, x.Type)]);
    var step = c.Cast(Compare("Greater"), x.Type);
    c.Result(c.Node("Where", x.Type, c.ResultRank(), [Compare("Equal"), values, step]));
});

var path = Path.Combine(Path.GetTempPath(), $"gate-{Environment.ProcessId}.onnx");
Console.WriteLine(OnnxExporter.Export(model, randn(2, 4), path, options));
File.Delete(path);

internal sealed class Gate : nn.Module<Tensor, Tensor>
{
    private readonly TorchSharp.Modules.Linear linear = nn.Linear(4, 4);

    public Gate()
        : base(nameof(Gate)) => RegisterComponents();

    public override Tensor forward(Tensor x)
    {
        var y = linear.forward(x);
        return y * y.heaviside(ones_like(y));
    }
}
