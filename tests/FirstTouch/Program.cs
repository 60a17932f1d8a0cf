// The first statement of this program uses torch, so the module initializer in this assembly must run before it.
using TorchSharp;

var one = torch.ones(1);
Console.WriteLine(one.item<float>() + 41);
