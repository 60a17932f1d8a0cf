// Its first statement touches torch: the module initializer in this assembly must have run before it.
using TorchSharp;

var one = torch.ones(1);
Console.WriteLine(one.item<float>() + 41);
