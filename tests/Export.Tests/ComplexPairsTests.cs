using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Complex numbers inside of <c>forward</c> become pairs of real numbers in the file.</summary>
public class ComplexPairsTests
{
    private static readonly Dictionary<string, Func<Tensor, Tensor>> Functions = new(StringComparer.Ordinal)
    {
        ["there and back"] = x => view_as_real(view_as_complex(x)),
        ["polar"] = x => view_as_real(polar(x.select(-1, 0).abs(), x.select(-1, 1))),
        ["complex"] = x => view_as_real(complex(x.select(-1, 0), x.select(-1, 1) * 2)),
        ["a product"] = x => view_as_real(view_as_complex(x) * polar(ones(4), arange(4, dtype: float32))),
        ["its own square"] = x => view_as_complex(x) is var z ? view_as_real(z * z) : x,
        ["a real factor"] = x => view_as_real(view_as_complex(x) * 2.5 * x.select(-1, 0)),
        ["a sum and a difference"] = x => view_as_complex(x) is var z ? view_as_real(z + (z * z) - z.conj()) : x,
        ["parts"] = x => view_as_complex(x) is var z ? z.real - z.imag : x,
        ["the absolute value"] = x => view_as_complex(x).abs(),
        ["views"] = x =>
        {
            var z = view_as_complex(x).unsqueeze(1).transpose(-1, -2).reshape(x.shape[0], -1);
            return view_as_real(cat([z, z.flip(-1)], dim: 1)[.., 1..3]);
        },
        ["a slice of a table that is made once"] = x =>
        {
            var table = polar(ones(9, 4), outer(arange(9, dtype: float32), arange(4, dtype: float32)));
            return view_as_real(view_as_complex(x) * table[..(int)x.shape[1]].unsqueeze(0));
        },
    };

    public static TheoryData<string> Names => [.. Functions.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Are_pairs(string name) =>
        Exported.Check(
            new Function(Functions[name]),
            [randn(2, 3, 4, 2)],
            new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["input"] = [0, 1] } },
            shapes: batch =>
                [
                    [batch, 2 + batch, 4, 2],
                ]
        );

    [Fact]
    public void A_rotary_embedding_with_its_table_in_a_buffer()
    {
        using var model = new Rotary();
        Exported.Check(
            model,
            [randn(2, 5, 2, 8)],
            new ExportOptions { FreeAxes = new Dictionary<string, int[]> { ["xq"] = [0, 1] } },
            shapes: batch =>
                [
                    [batch, 3 * batch, 2, 8],
                ]
        );
    }

    [Fact]
    public void An_output_of_complex_numbers_is_refused()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(x => view_as_complex(x)), randn(3, 2), folder["m.onnx"])
        );
        Assert.Contains("view_as_real", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_pairs_do_not_do_is_refused_with_its_place()
    {
        using var folder = new TempFolder();
        var error = Assert.Throws<ExportException>(() =>
            OnnxExporter.Export(new Function(x => view_as_complex(x).tanh().real), randn(3, 2), folder["m.onnx"])
        );
        Assert.Contains("complex numbers", error.Message, StringComparison.Ordinal);
        Assert.Contains("line", error.Place, StringComparison.Ordinal);
    }

    private sealed class Rotary : nn.Module<Tensor, Tensor>
    {
        public Rotary()
            : base(nameof(Rotary))
        {
            var freqs = 1.0f / pow(10000f, arange(0, 8, 2).to(float32) / 8);
            var table = outer(arange(0, 32).to(float32), freqs);
            register_buffer("freqs_cis", polar(ones_like(table), table));
            RegisterComponents();
        }

        public override Tensor forward(Tensor xq)
        {
            var freqs = get_buffer("freqs_cis")!.slice(0, 0, xq.shape[1], 1);
            var pairs = view_as_complex(xq.to(float32).reshape([.. xq.shape.SkipLast(1), -1, 2]));
            var broadcast = freqs.view([.. pairs.shape.Select((size, i) => i == 1 || i == pairs.dim() - 1 ? size : 1)]);
            return view_as_real(pairs * broadcast).flatten(3).type_as(xq);
        }
    }
}
