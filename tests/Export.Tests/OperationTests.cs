using TorchBridge.Export.Capture;
using TorchBridge.Export.Lowering;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>Every operation of the table; several spellings are one operation.</summary>
public class OperationTests
{
    private static readonly Dictionary<string, Action> All = new(StringComparer.Ordinal);

    static OperationTests()
    {
        void Unary(string name, Func<Tensor, Tensor> function, Func<Tensor>? example = null, int opset = 17) =>
            All.Add(name, () =>
                Exported.Check(function, example?.Invoke() ?? randn(2, 3, 4), new ExportOptions { Opset = opset })
            );
        void Positive(string name, Func<Tensor, Tensor> function) => Unary(name, function, () => rand(2, 3, 4) + 0.2f);
        void Binary(
            string name,
            Func<Tensor, Tensor, Tensor> function,
            Func<Tensor>? a = null,
            Func<Tensor>? b = null,
            int opset = 17
        ) =>
            All.Add(name, () =>
                Exported.Check(
                    new Function2(function),
                    [a?.Invoke() ?? randn(2, 3, 4), b?.Invoke() ?? randn(2, 3, 4)],
                    new ExportOptions { Opset = opset }
                )
            );
        void Many(string name, Func<Tensor, Tensor[]> function, Func<Tensor>? example = null) =>
            All.Add(name, () => Exported.Check(new FunctionMany(function), [example?.Invoke() ?? randn(2, 3, 4)]));
        static Tensor Ints() => randint(-9, 10, [2, 3, 4], ScalarType.Int64);
        static Tensor Bools() => randint(0, 2, [2, 3, 4], ScalarType.Int64).to(ScalarType.Bool);
        static Tensor Pictures() => randn(2, 4, 6, 8);

        // arithmetic
        Binary("add", (a, b) => a + b);
        Unary("add: number, alpha, in place", x => torch.add(x, 2.5f, 2).add_(1) + 3);
        Binary("add: broadcast", (a, b) => a.add(b, 0.5f), b: () => randn(2, 1, 4));
        Unary("add: integers", x => (x + 3) * 2 - 1, Ints);
        Unary("add: integer and float", x => x + 0.5f, Ints);
        Binary("sub", (a, b) => a - b.sub(1.5f));
        Unary("sub: from a number", x => 2 - x);
        Binary("mul", (a, b) => a * b.mul(0.25f));
        Binary("mul: booleans", (a, b) => a * b, Bools, Bools);
        Binary("div", (a, b) => a / (b.abs() + 1));
        Unary("div: of a number", x => 1.5f / (x.abs() + 1));
        Binary("div: floor", (a, b) => a.div(b.abs() + 0.5f, RoundingMode.floor));
        Binary("div: trunc", (a, b) => a.div(b.abs() + 0.5f, RoundingMode.trunc));
        Unary("floor_divide", x => x.floor_divide(0.7f));
        Unary("floor_divide: integers", x => x.floor_divide(4), Ints);
        Unary("remainder", x => x.remainder(0.7f));
        Unary("remainder: integers", x => x % 4, Ints);
        Unary("fmod", x => x.fmod(0.7f));
        Positive("pow", x => x.pow(2.5f) + torch.pow(x, 2));
        Unary("square", x => x.square());
        Binary("maximum", (a, b) => torch.maximum(a, b));
        Binary("minimum", (a, b) => torch.minimum(a, b));
        Binary("fmax", (a, b) => torch.fmax(a, b));
        Binary("fmin", (a, b) => torch.fmin(a, b));
        Binary("atan2", (a, b) => torch.atan2(a, b));
        Binary("hypot", (a, b) => torch.hypot(a, b));
        Binary("xlogy", (a, b) => a.xlogy(b.abs() + 0.5f));
        Binary("lerp", (a, b) => torch.lerp(a, b, b.sigmoid()));
        Binary("addcmul", (a, b) => a.addcmul(b, b + 1, 0.5f));
        Binary("addcdiv", (a, b) => a.addcdiv(b, b.abs() + 1, 0.5f));

        // one tensor
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("abs", x => x.abs()),
                    ("atan", x => x.atan()),
                    ("asinh", x => x.asinh()),
                    ("ceil", x => x.ceil()),
                    ("cos", x => x.cos()),
                    ("cosh", x => x.cosh()),
                    ("erf", x => x.erf()),
                    ("erfc", x => x.erfc()),
                    ("exp", x => x.exp()),
                    ("exp2", x => x.exp2()),
                    ("expm1", x => x.expm1()),
                    ("floor", x => x.floor()),
                    ("frac", x => x.frac()),
                    ("neg", x => -x),
                    ("round", x => x.round()),
                    ("round: decimals", x => x.round(2)),
                    ("sign", x => x.sign()),
                    ("sin", x => x.sin()),
                    ("sinh", x => x.sinh()),
                    ("tan", x => (x * 0.5f).tan()),
                    ("trunc", x => x.trunc()),
                    ("deg2rad", x => x.deg2rad()),
                    ("rad2deg", x => x.rad2deg()),
                ]
        )
            Unary(name, function);
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("log", x => x.log()),
                    ("log10", x => x.log10()),
                    ("log1p", x => x.log1p()),
                    ("log2", x => x.log2()),
                    ("reciprocal", x => x.reciprocal()),
                    ("rsqrt", x => x.rsqrt()),
                    ("sqrt", x => x.sqrt()),
                    ("acosh", x => (x + 1).acosh()),
                ]
        )
            Positive(name, function);
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [("acos", x => x.acos()), ("asin", x => x.asin()), ("atanh", x => x.atanh())]
        )
            Unary(name, function, () => (rand(2, 3, 4) * 1.6f) - 0.8f);
        Unary("clamp", x => x.clamp(-0.5f, 0.8f));
        Unary("clamp: one side", x => x.clamp(min: -0.5f));
        Unary("clamp: integers", x => x.clamp(-3, 4), Ints);
        Unary("clamp_min", x => x.clamp_min(-0.3f));
        Unary("clamp_max", x => x.clamp_max(0.3f));
        Unary("nan_to_num", x => (x / x.relu()).nan_to_num(0.5, 9, -9));
        Unary("isnan", x => (x / x.relu()).isnan());
        Unary("isinf", x => (x / x.relu()).isinf());
        Unary("isfinite", x => (x / x.relu()).isfinite());
        Unary("to", x =>
            x.to(ScalarType.Int32).to(ScalarType.Float32) + x.to(ScalarType.Int64).to_type(ScalarType.Float32)
        );
        Unary("type_as", x => x.to(ScalarType.Int64).type_as(x));
        Unary("detach, contiguous, clone, alias", x => x.detach().contiguous().clone().alias() * 2);

        // activations as functions
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor>)[])
                [
                    ("relu", x => F.relu(x)),
                    ("relu6", x => F.relu6(x)),
                    ("sigmoid", x => torch.sigmoid(x)),
                    ("tanh", x => torch.tanh(x)),
                    ("leaky_relu", x => F.leaky_relu(x, 0.2)),
                    ("rrelu", x => F.rrelu(x, 0.2, 0.2)),
                    ("elu", x => F.elu(x, 0.7)),
                    ("celu", x => F.celu(x, 0.7)),
                    ("selu", x => F.selu(x)),
                    ("gelu", x => F.gelu(x)),
                    ("silu", x => F.silu(x)),
                    ("mish", x => F.mish(x)),
                    ("hardswish", x => F.hardswish(x)),
                    ("hardsigmoid", x => F.hardsigmoid(x)),
                    ("hardtanh", x => F.hardtanh(x.clone(), -0.5, 0.8, inplace: true)),
                    ("hardshrink", x => F.hardshrink(x, 0.3)),
                    ("softshrink", x => F.softshrink(x, 0.3)),
                    ("softsign", x => F.softsign(x)),
                    ("tanhshrink", x => F.tanhshrink(x)),
                    ("logsigmoid", x => F.logsigmoid(x)),
                    ("softplus", x => F.softplus(x, 2, 3)),
                    ("threshold", x => F.threshold(x, 0.1, -3)),
                    ("softmax", x => F.softmax(x, 1) + x.softmax(-1)),
                    ("log_softmax", x => F.log_softmax(x, 1)),
                    ("softmin", x => F.softmin(x, 1)),
                    ("glu", x => F.glu(x, -1)),
                    ("softmax2d", x => F.softmax2d(x)),
                ]
        )
            Unary(name, function);
        Binary("prelu", (x, w) => x.prelu(w.mean([0, 2])));

        // comparison and choice
        foreach (
            var (name, function) in ((string, Func<Tensor, Tensor, Tensor>)[])
                [
                    ("gt", (a, b) => a > b),
                    ("ge", (a, b) => a >= b),
                    ("lt", (a, b) => a.lt(b)),
                    ("le", (a, b) => a.le(b)),
                    ("eq", (a, b) => a.eq(b)),
                    ("ne", (a, b) => a.ne(b)),
                    ("isclose", (a, b) => a.isclose(b, 0.5, 0.1)),
                ]
        )
            Binary(name, function);
        Unary("gt: a number, of integers", x => x > 2.5, Ints);
        Unary("eq: a number", x => x.eq(3), Ints);
        Binary("logical_and", (a, b) => a.logical_and(b), Bools, Bools);
        Binary("logical_or", (a, b) => a.logical_or(b), Bools, Bools);
        Binary("logical_xor", (a, b) => a.logical_xor(b), Bools, Bools);
        Unary("logical_not", x => x.logical_not(), Bools);
        Binary("bitwise_and", (a, b) => a & b, Bools, Bools);
        Binary("bitwise_or", (a, b) => a | b, Bools, Bools);
        Binary("bitwise_xor", (a, b) => a ^ b, Bools, Bools);
        Unary("bitwise_not", x => x.bitwise_not(), Bools);
        Binary("bitwise_and: integers, opset 18", (a, b) => a & b, Ints, Ints, opset: 18);
        Binary("where", (a, b) => torch.where(a > 0, a, b));
        Unary("where: method", x => x.where(x > 0, x * 2));
        Unary("masked_fill", x => x.masked_fill(x > 0.5, -1.5f));

        // reductions
        Unary("sum", x => x.sum(1) + x.sum([1], keepdim: true).squeeze(1));
        Unary("sum: all", x => x.sum().unsqueeze(0) * ones(x.size(0)));
        Unary("sum: of integers", x => x.sum(1), Ints);
        Unary("mean", x => x.mean([1, 2], keepdim: true));
        Unary("mean: over the batch", x => x.mean([0]).unsqueeze(0) + x);
        Unary("prod", x => x.prod(1));
        Unary("amax", x => x.amax([1, 2]));
        Unary("amin", x => x.amin([-1], keepdim: true));
        Many("max", x => [x.max(1).values, x.max(1).indexes, x.max().unsqueeze(0) + x]);
        Many("min", x => [x.min(1, true).values, x.min(1, true).indexes]);
        Unary("argmax", x => x.argmax(1) + x.argmax(-1, true).sum([1, 2]).unsqueeze(1));
        Unary("argmin", x => x.argmin(2));
        Unary("all", x => x.all(1), Bools);
        Unary("any", x => x.any(1, true), Bools);
        Unary("count_nonzero", x => x.count_nonzero([1, 2]), Ints);
        Unary("logsumexp", x => x.logsumexp(1, true));
        Unary("var", x => x.var(1, unbiased: false) + x.var([1], unbiased: true));
        Unary("std", x => x.std([1, 2], unbiased: true));
        Unary("var: over the batch", x => x.var([0], unbiased: false).unsqueeze(0) * x);
        Unary("norm", x => x.norm(1) + x.norm(1, false, 3));
        Unary("linalg.norm", x => linalg.vector_norm(x, 3, [1]));

        // matrices
        Binary("matmul", (a, b) => a.matmul(b.transpose(1, 2)));
        Binary("mm", (a, b) => a.mm(b.t()), () => randn(2, 4), () => randn(2, 4));
        Binary("bmm", (a, b) => a.bmm(b.transpose(-1, -2)));
        Binary("mv", (a, b) => a.mv(b[0]), () => randn(2, 4), () => randn(2, 4));
        Binary("dot", (a, b) => a[0].dot(b[0]).unsqueeze(0) + a, () => randn(2, 4), () => randn(2, 4));
        Binary("inner", (a, b) => torch.inner(a, b), () => randn(2, 4), () => randn(2, 4));
        Binary("outer", (a, b) => a.outer(b), () => randn(2), () => randn(2));
        Binary("addmm", (a, b) => torch.addmm(a.sum(1), a, b.t(), 0.5f, 2f), () => randn(2, 4), () => randn(2, 4));
        Binary("addmv", (a, b) => a.sum(1).addmv(a, b[0], 0.5f, 2f), () => randn(2, 4), () => randn(2, 4));
        Binary("einsum", (a, b) => torch.einsum("bij,bkj->bik", a, b));
        Binary("linear", (a, b) => F.linear(a, b.mean([0]), b.mean([0, 2])));
        All.Add("bilinear", () =>
            Exported.Check(
                new Function3((a, b, w) => F.bilinear(a, b, w.reshape(2, 3, 4), null)),
                [randn(2, 3), randn(2, 4), randn(24)]
            )
        );

        // shapes
        Unary("view", x => x.view(x.size(0), -1) + 1);
        Unary("view: sizes that are products", x => x.view(x.size(0) * x.size(1), x.size(2)) * 2);
        Unary("view: heads times batch", x => x.view(x.shape[0] * 2, -1));
        Unary("reshape", x => x.reshape(-1, 4, 3));
        Binary("view_as", (a, b) => a.reshape(a.shape[0], 12).view_as(b));
        Unary("ravel", x => x.ravel());
        Unary("unflatten", x => x.unflatten(2, [2, 2]));
        Unary("flatten", x => x.flatten(1) + x.flatten(0, 1).sum());
        Unary("squeeze", x => x.unsqueeze(1).squeeze(1) + x.unsqueeze(-1).squeeze(-1));
        Unary("unsqueeze", x => x.unsqueeze(-2));
        Unary("permute", x => x.permute(2, 0, 1));
        Unary("transpose", x => x.transpose(1, -1) + x.swapaxes(1, 2));
        Unary("t", x => x[0].t() + x.mT.sum([0]));
        Unary("movedim", x => x.movedim([0], [2]));
        Unary("expand", x => x.unsqueeze(1).expand(x.size(0), 5, 3, 4));
        Unary("expand: -1", x => x.unsqueeze(1).expand(-1, 5, -1, -1));
        Unary("broadcast_to", x => x.sum([0], keepdim: true).broadcast_to(x.shape));
        Binary("expand_as", (a, b) => a.sum([1], keepdim: true).expand_as(b));
        Unary("repeat", x => x.repeat(2, 1, 3));
        Unary("repeat: more axes", x => x.repeat(x.size(0), 2, 1, 3));
        Unary("tile", x => torch.tile(x, [1, 2, 1]));
        Unary("repeat_interleave", x => x.repeat_interleave(3, dim: 1));
        Unary("flip", x => x.flip(1, 2));
        Unary("fliplr", x => x.fliplr());
        Unary("flipud", x => x.flipud());
        Unary("roll", x => x.roll([1, -1], [1, 2]));
        Unary("pixel_shuffle", x => F.pixel_shuffle(x, 2), Pictures);
        Unary("pixel_unshuffle", x => F.pixel_unshuffle(x, 2), Pictures);

        // joining
        Binary("cat", (a, b) => torch.cat([a, b, a], 1));
        Binary("stack", (a, b) => torch.stack([a, b], 1));
        Binary("hstack", (a, b) => torch.hstack([a, b]));
        Binary("vstack", (a, b) => torch.vstack([a[0], b[0]]));
        Many("chunk", x => [.. x.chunk(3, 1)]);
        Many("chunk: uneven", x => [.. x.chunk(2, 1)]);
        Many("split", x => [.. x.split(2, 2)]);
        Many("split: sizes", x => [.. x.split([1, 3], 2)]);
        Many("tensor_split", x => [.. x.tensor_split(2, 1)]);
        Many("unbind", x => [.. x.unbind(1)]);
        Unary("narrow", x => x.narrow(1, 1, 2) + x.narrow(2, 0, x.size(2)).sum());
        Unary("narrow: the batch without its first", x => x.narrow(0, 0, x.size(0) - 0) * 2);
        Unary("slice", x => x.slice(2, 0, 4, 2));
        Unary("select", x => x.select(1, -1));
        Unary("linalg.diagonal", x => linalg.diagonal(x, 0, 1, 2) + 0);
        Unary("angle", x => x.angle());
        Unary("bfloat16", x => (x.round() * 2).bfloat16().to(ScalarType.Float32));
        Unary("log_sigmoid", x => x.log_sigmoid());
        Unary("lp_pool1d", x => nn.functional.lp_pool1d(x, 2, 2), () => rand(2, 3, 8));
        Unary(
            "adaptive_max_pool1d_with_indices",
            x =>
            {
                var (values, places) = nn.functional.adaptive_max_pool1d_with_indices(x, 3);
                return values + places;
            },
            () => randn(2, 3, 8)
        );
        Unary(
            "max_unpool1d",
            x =>
            {
                var (values, places) = nn.functional.max_pool1d_with_indices(x, 2);
                return nn.functional.max_unpool1d(values, places, 2);
            },
            () => randn(2, 3, 8)
        );
        Unary(
            "max_unpool2d",
            x =>
            {
                var (values, places) = nn.functional.max_pool2d_with_indices(x, [2, 2]);
                return nn.functional.max_unpool2d(values, places, [2, 2]);
            },
            () => randn(2, 3, 8, 6)
        );
        Unary(
            "max_unpool3d",
            x =>
            {
                var (values, places) = nn.functional.max_pool3d_with_indices(x, [2, 2, 2]);
                return nn.functional.max_unpool3d(values, places, [2, 2, 2]);
            },
            () => randn([2, 3, 4, 6, 4])
        );
        Unary("upsample_nearest1d", x => nn.functional.upsample_nearest1d(x, 9, null), () => randn(2, 3, 4));
        Unary("upsample_nearest2d", x => nn.functional.upsample_nearest2d(x, [9, 7], null), () => randn(2, 3, 4, 5));
        Unary(
            "upsample_nearest3d",
            x => nn.functional.upsample_nearest3d(x, [5, 6, 7], null),
            () => randn([2, 3, 3, 4, 5])
        );
        Binary(
            "grid_sample",
            (x, grid) => nn.functional.grid_sample(x, grid, align_corners: false),
            () => randn(2, 3, 5, 6),
            () => (rand(2, 4, 3, 2) * 2) - 1
        );
        Binary("linalg.cross", (x, y) => linalg.cross(x, y, 1));
        Binary("linalg.multi_dot", (x, y) => linalg.multi_dot([x, y, x]), () => randn(4, 4), () => randn(4, 4));

        // indexing
        Unary("index: number", x => x[.., 1]);
        Unary("index: slices", x => x[.., 1..3, TensorIndex.Slice(0, null, 2)]);
        Unary("index: from the end", x => x[.., ^1] + x[TensorIndex.Ellipsis, 0].sum());
        Unary("index: none", x => x[TensorIndex.Ellipsis, TensorIndex.None] * 2);
        Unary("index: half of the sizes", x => x[.., .., TensorIndex.Slice(x.size(2) / 2, null)]);
        Binary(
            "index: tensor",
            (x, i) => x[TensorIndex.Colon, TensorIndex.Tensor(i)],
            b: () => randint(0, 3, [2], ScalarType.Int64)
        );
        Unary("index_put", x =>
        {
            var y = x.clone();
            y[.., 1] = 0.5f * y[.., 0];
            return y;
        });
        Unary("index_put: number in slices", x =>
        {
            var y = x * 1;
            y[.., 1..3, TensorIndex.Slice(0, null, 2)] = tensor(2f);
            return y;
        });
        Binary("gather", (x, i) => x.gather(2, i), b: () => randint(0, 4, [2, 3, 2], ScalarType.Int64));
        Binary("take_along_dim", (x, i) => x.take_along_dim(i, 2), b: () => randint(0, 4, [2, 3, 2], ScalarType.Int64));
        Binary("index_select", (x, i) => x.index_select(1, i), b: () => randint(0, 3, [2], ScalarType.Int64));
        Binary("take", (x, i) => x.take(i), b: () => randint(0, 12, [2, 2], ScalarType.Int64));
        Binary("scatter", (x, i) => x.scatter(2, i, x * 3), b: () => zeros([2, 3, 1], ScalarType.Int64) + 2);
        Binary(
            "scatter_add",
            (x, i) => x.scatter_add(2, i, x * 3),
            b: () => randint(0, 4, [2, 3, 4], ScalarType.Int64)
        );
        Binary("index_fill", (x, i) => x.index_fill(1, i, 7), b: () => randint(0, 3, [2], ScalarType.Int64));
        Unary("one_hot", x => F.one_hot(x, 5), () => randint(0, 5, [2, 3], ScalarType.Int64));

        // order, sums, triangles
        Many("topk", x => [x.topk(2, 1).values, x.topk(2, -1, largest: false).indexes]);
        Many("sort", x => [x.sort(1).Values, x.sort(-1, descending: true).Indices]);
        Unary("argsort", x => x.argsort(1));
        Unary("cumsum", x => x.cumsum(1));
        Unary("triu", x => x.triu(1));
        Unary("tril", x => x.tril(-1));

        // factories
        Unary("zeros", x => zeros([x.size(0), 3, 4]) + x + zeros_like(x));
        Unary("ones", x => x * ones([x.size(0), 1, 1]) * ones_like(x));
        Unary("full", x => x * full([x.size(0), 1, 1], 2.5f) + full_like(x, 3));
        Unary("zero", x => (x * 1).zero_() + x);
        Unary("fill", x => (x * 1).fill_(2) + x);
        Unary("arange", x => x + arange(x.size(0)).unsqueeze(1).unsqueeze(2) + arange(0, 4, 1));
        Unary("eye", x => x[0].sum([0]).sum() * eye(x.size(0)));
        Unary("copy", x =>
        {
            var y = zeros([x.size(0), 3, 4]);
            y.copy_(x);
            return y * 2;
        });
        Unary("as_tensor", x => x + (Tensor)2.5f);

        // the other spellings and kinds
        Unary("T, mT", x => x[0].T + x.mT.sum([0]));
        Unary("adjoint", x => x.adjoint());
        Unary("atleast_1d, atleast_2d, atleast_3d", x => x.atleast_1d() + x.atleast_2d() + x.atleast_3d());
        Unary("bool, byte, int, long, float, half, double", x =>
            x.@bool().@byte().@int().@long().@float() + (x.half().@double() * 0).@float()
        );
        Unary("to_type, type, cpu", x => x.to_type(ScalarType.Int64).type(ScalarType.Float32).cpu());
        Unary("channel_shuffle", x => x.channel_shuffle(2), Pictures);
        Unary("adaptive_max_pool1d", x => F.adaptive_max_pool1d(x, 3));
        Unary("adaptive_max_pool2d", x => F.adaptive_max_pool2d(x, [4, 3]), Pictures);
        Many("max_pool1d_with_indices", x =>
        {
            var (v, i) = F.max_pool1d_with_indices(x, 2);
            return [v, i];
        });
        Many(
            "max_pool3d_with_indices",
            x =>
            {
                var (v, i) = F.max_pool3d_with_indices(x.unsqueeze(1), [2, 2, 2]);
                return [v, i];
            },
            Pictures
        );
        Unary("alpha_dropout, feature_alpha_dropout, dropout1d", x =>
            F.alpha_dropout(x, 0.5, training: false)
            + F.feature_alpha_dropout(x, 0.5, training: false)
            + F.dropout1d(x, 0.5, training: false)
        );
        Unary(
            "dropout2d, dropout3d",
            x => F.dropout2d(x, 0.5, training: false) + F.dropout3d(x.unsqueeze(1), 0.5, training: false).squeeze(1),
            Pictures
        );
        Unary("empty, empty_like, new_empty", x =>
            x + empty([x.size(0), 3, 4]).fill_(2) + empty_like(x).zero_() + x.new_empty(3, 4).fill_(0.5)
        );
        Unary("new_zeros, new_ones, new_full", x => x + x.new_zeros(3, 4) + x.new_ones(3, 4) + x.new_full(3, 4, 2.5f));
        Unary("zeros_like, ones_like, full_like", x => (x * ones_like(x)) + zeros_like(x) + full_like(x, 3));
        Unary("linalg.vector_norm", x => linalg.vector_norm(x, 3, [1]));

        // layers as functions
        Binary("conv1d", (x, w) => F.conv1d(x, w.reshape(4, 3, 2), stride: 2), () => randn(2, 3, 9), () => randn(24));
        Binary(
            "conv2d",
            (x, w) => F.conv2d(x, w.reshape(4, 2, 2, 2), padding: [1, 1], groups: 2),
            Pictures,
            () => randn(32)
        );
        Binary(
            "conv3d",
            (x, w) => F.conv3d(x, w.reshape(3, 2, 2, 2, 2)),
            () => randn([2, 2, 4, 5, 6]),
            () => randn(48)
        );
        Binary(
            "conv_transpose1d",
            (x, w) => F.conv_transpose1d(x, w.reshape(3, 4, 2), stride: 2),
            () => randn(2, 3, 9),
            () => randn(24)
        );
        Binary(
            "conv_transpose2d",
            (x, w) => F.conv_transpose2d(x, w.reshape(4, 2, 2, 2), strides: [2, 2]),
            Pictures,
            () => randn(32)
        );
        Binary(
            "conv_transpose3d",
            (x, w) => F.conv_transpose3d(x, w.reshape(2, 3, 2, 2, 2)),
            () => randn([2, 2, 4, 5, 6]),
            () => randn(48)
        );
        Unary("max_pool1d", x => F.max_pool1d(x, 2));
        Unary("max_pool2d", x => F.max_pool2d(x, [2, 2]), Pictures);
        Unary("max_pool3d", x => F.max_pool3d(x.unsqueeze(1), [2, 2, 2]), Pictures);
        Many(
            "max_pool2d_with_indices",
            x =>
            {
                var (v, i) = F.max_pool2d_with_indices(x, [2, 2]);
                return [v, i];
            },
            Pictures
        );
        Unary("avg_pool1d", x => F.avg_pool1d(x, 2));
        Unary("avg_pool2d", x => F.avg_pool2d(x, [2, 2]), Pictures);
        Unary("avg_pool3d", x => F.avg_pool3d(x.unsqueeze(1), [2, 2, 2]), Pictures);
        Unary("adaptive_avg_pool1d", x => F.adaptive_avg_pool1d(x, 3));
        Unary("adaptive_avg_pool2d", x => F.adaptive_avg_pool2d(x, [4, 3]), Pictures);
        Unary("adaptive_avg_pool3d", x => F.adaptive_avg_pool3d(x.unsqueeze(1), [2, 2, 2]), Pictures);
        Unary("pad", x => F.pad(x, [1, 2, 0, 1], PaddingModes.Constant, 0.5) + F.pad(x, [1, 2, 0, 1]), Pictures);
        Unary("pad: reflect", x => F.pad(x, [1, 2, 0, 1], PaddingModes.Reflect), Pictures);
        Unary(
            "interpolate",
            x =>
                F.interpolate(x, scale_factor: [2, 2])
                + F.interpolate(x, size: [12, 16], mode: InterpolationMode.Bilinear, align_corners: false),
            Pictures
        );
        Unary("upsample_bilinear", x => F.upsample_bilinear(x, size: [7, 9]), Pictures);
        Unary("layer_norm", x => F.layer_norm(x, [3, 4]));
        Unary("group_norm", x => F.group_norm(x, 2), Pictures);
        Unary("instance_norm", x => F.instance_norm(x), Pictures);
        Unary("local_response_norm", x => F.local_response_norm(x, 3), Pictures);
        Binary(
            "batch_norm",
            (x, s) => F.batch_norm(x, s.mean([0]), s.abs().mean([0]) + 0.1f, training: false),
            Pictures,
            () => randn(2, 4)
        );
        Unary("dropout", x => F.dropout(x, 0.5, training: false) + F.alpha_dropout(x, 0.5, training: false));
        Unary("normalize", x => F.normalize(x, dim: 1));
        Binary("cosine_similarity", (a, b) => F.cosine_similarity(a, b, 1));
        Binary("pairwise_distance", (a, b) => F.pairwise_distance(a, b, 2), () => randn(2, 4), () => randn(2, 4));
        Binary("scaled_dot_product_attention", (a, b) => F.scaled_dot_product_attention(a, b, b));
        Binary("scaled_dot_product_attention: causal", (a, b) =>
            F.scaled_dot_product_attention(a, b, b, is_casual: true)
        );
        Binary("scaled_dot_product_attention: masked", (a, b) =>
            F.scaled_dot_product_attention(a, b, b, ones(3, 3).tril().to(ScalarType.Bool))
        );
    }

    public static TheoryData<string> Names => [.. All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Exports_and_agrees(string name)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(12);
        All[name]();
    }

    [Fact]
    public void Every_operation_of_the_table_is_a_method_of_TorchSharp()
    {
        var methods = typeof(torch)
            .Assembly.GetTypes()
            .Where(type => type.IsVisible)
            .SelectMany(type => type.GetMethods())
            .Select(OperationName.Of)
            .ToHashSet(StringComparer.Ordinal);
        var unknown = string.Join(", ", OperatorTable.Default.Operations.Select(row => row.Name).Except(methods));
        Assert.True(unknown.Length == 0, unknown);
    }

    [Fact]
    public void The_table_has_at_least_130_operations_and_their_names_are_unique()
    {
        var names = OperatorTable.Default.Operations.Select(row => row.Name).ToArray();
        Assert.InRange(names.Length, 130, 500);
        Assert.Equal(names.Length, names.Distinct(StringComparer.Ordinal).Count());
        var tested = All
            .Keys.Concat(Generators.OperationGenerator.Operations)
            .Concat(Capture.RandomDraws.Names) // RandomDrawsTests
            .Select(name => name.Split(':')[0])
            .SelectMany(name => name.Split(", "))
            .ToHashSet(StringComparer.Ordinal);
        var untested = string.Join(", ", names.Where(name => !tested.Contains(name)));
        Assert.True(untested.Length == 0, untested);
    }
}
