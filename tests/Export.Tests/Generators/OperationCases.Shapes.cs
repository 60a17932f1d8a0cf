using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Generators;

internal static partial class OperationCases
{
    private static OperationRow Move(string name, Func<Draw, Shape, Func<Tensor, Tensor>> make) =>
        new(name, 1, make) { Kinds = [ValueKind.Special], Batches = [2, 1, 5, 0] };

    private static IEnumerable<OperationRow> Shapes()
    {
        yield return Move("transpose", (draw, shape) =>
        {
            var (a, b) = (draw.Axis(shape.Rank), draw.Axis(shape.Rank));
            return x => x.transpose(a, b);
        }) with
        {
            Ranks = AnyRank,
        };
        yield return Move("swapaxes", (draw, shape) =>
        {
            var (a, b) = (draw.Axis(shape.Rank), draw.Axis(shape.Rank));
            return draw.Flag() ? x => torch.swapaxes(x, a, b) : x => x.swapdims(a, b);
        });
        yield return Move("T", (_, _) => x => x.T) with
        {
            Ranks = AnyRank,
        };
        yield return Move("mT", (_, _) => x => x.mT) with
        {
            Ranks = [2, 3, 4],
        };
        yield return Move("t", (_, _) => x => x.t()) with
        {
            Ranks = [0, 1, 2],
        };
        yield return Move("permute", (draw, shape) =>
        {
            var axes = draw.Axes(shape.Rank, shape.Rank);
            return x => x.permute(axes);
        }) with
        {
            Ranks = AnyRank,
        };
        yield return Move("movedim", (draw, shape) =>
        {
            var count = (int)draw.Number(0, shape.Rank);
            var (from, to) = (draw.Axes(shape.Rank, count), draw.Axes(shape.Rank, count));
            return draw.Flag() ? x => x.movedim(from, to) : x => torch.moveaxis(x, from, to);
        }) with
        {
            Ranks = [1, 2, 3, 4],
        };
        yield return Move("movedim: 0-d", (_, _) => x => x.sum().movedim([0L], [-1L])) with
        {
            Ranks = [1, 2],
        };
        yield return Move("squeeze: axis", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank + 1);
            return x => x.unsqueeze(axis).squeeze(axis);
        }) with
        {
            Ranks = AnyRank,
        };
        yield return Move("squeeze: nothing", (_, shape) =>
        {
            var axis = shape.Rank - 1;
            return x => x.squeeze(axis);
        });
        yield return Move("squeeze: 0-d", (_, _) => x => x.sum().squeeze(0).squeeze(-1)) with
        {
            Ranks = [1, 2],
        };
        yield return Move("squeeze: all", (_, _) => x => x.unsqueeze(1).unsqueeze(-1).squeeze()) with
        {
            Batches = [2, 5, 0],
        };
        yield return Move("unsqueeze", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank + 1);
            return x => x.unsqueeze(axis);
        }) with
        {
            Ranks = AnyRank,
        };
        yield return Move("flatten", (draw, shape) =>
        {
            var (a, b) = (draw.Axis(shape.Rank), draw.Axis(shape.Rank));
            return x =>
                x.flatten(
                    Math.Min(a < 0 ? a + shape.Rank : a, b < 0 ? b + shape.Rank : b),
                    Math.Max(a < 0 ? a + shape.Rank : a, b < 0 ? b + shape.Rank : b)
                );
        });
        yield return Move("flatten: 0-d", (_, _) => x => x.sum().flatten().ravel()) with
        {
            Ranks = [1],
        };
        yield return Move("reshape", (_, shape) =>
        {
            var rest = shape.Sizes[1..].Aggregate(1L, (a, b) => a * b);
            return x => x.reshape(-1, rest).view(x.size(0), rest, 1);
        });
        yield return Move("reshape: all", (_, _) => x => x.reshape(-1));
        yield return Move("unflatten", (_, _) => x => x.unflatten(1, [2, -1])) with
        {
            FirstShape = (draw, rank) => [2, 6, .. draw.Shape(rank)[2..]],
            Ranks = [2, 3],
        };
        yield return Move("expand", (draw, shape) =>
        {
            var n = draw.Number(1, 3);
            return x => x.unsqueeze(0).expand([n, .. Enumerable.Repeat(-1L, shape.Rank)]);
        });
        yield return Move("repeat", (draw, shape) =>
        {
            var repeats = Enumerable
                .Range(0, shape.Rank + (int)draw.Number(0, 1))
                .Select(_ => draw.Number(1, 3))
                .ToArray();
            return x => x.repeat(repeats);
        });
        yield return Move("tile", (draw, shape) =>
        {
            var repeats = Enumerable
                .Range(0, (int)draw.Number(1, shape.Rank + 1))
                .Select(_ => draw.Number(1, 2))
                .ToArray();
            return x => x.tile(repeats);
        });
        yield return Move("repeat_interleave", (draw, shape) =>
        {
            var (axis, n) = (draw.Axis(shape.Rank), draw.Number(1, 3));
            return x => x.repeat_interleave(n, axis);
        });
        yield return Move("repeat_interleave: all", (draw, _) =>
        {
            var n = draw.Number(1, 3);
            return x => x.repeat_interleave(n);
        });
        yield return Move("flip", (draw, shape) =>
        {
            var axes = draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank));
            return x => x.flip(axes);
        });
        yield return Move("flip: 0-d", (_, _) => x => x.sum().flip(0)) with
        {
            Ranks = [1],
        };
        yield return Move("fliplr, flipud", (_, _) => x => x.fliplr().flipud()) with
        {
            Ranks = [2, 3],
        };
        yield return Move("rot90", (draw, _) =>
        {
            var k = draw.Number(-2, 4);
            return draw.Flag() ? x => x.rot90(k) : x => x.rot90(k, (1, 0));
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("roll", (draw, shape) =>
        {
            var (axis, n) = (draw.Axis(shape.Rank), draw.Number(-9, 9));
            return x => x.roll(n, axis);
        });
        yield return Move("roll: all", (draw, _) =>
        {
            var n = draw.Number(-9, 9);
            return x => x.roll(n);
        }) with
        {
            Ranks = [1, 2, 3],
        };
        yield return Move("roll: axes", (draw, shape) =>
        {
            var axes = draw.Axes(shape.Rank, 2);
            var (a, b) = (draw.Number(-9, 9), draw.Number(-9, 9));
            return x => x.roll(new[] { a, b }, axes);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("pixel_shuffle", (_, _) => x => F.pixel_shuffle(x, 2)) with
        {
            Ranks = [3, 4, 5],
            FirstShape = (draw, rank) => [.. draw.Shape(rank)[..^3], 8, .. draw.Shape(3)[1..]],
            Batches = [2, 1, 5],
        };
        yield return Move("pixel_unshuffle", (_, _) => x => F.pixel_unshuffle(x, 2)) with
        {
            Ranks = [3, 4, 5],
            FirstShape = (draw, rank) => [.. draw.Shape(rank)[..^2], 4, 6],
            Batches = [2, 1, 5],
        };
        yield return Move("channel_shuffle", (_, _) => x => x.channel_shuffle(3)) with
        {
            Ranks = [3, 4],
            FirstShape = (draw, rank) => [2, 6, .. draw.Shape(rank)[2..]],
        };
        yield return Move("atleast", (draw, _) => draw.Number(1, 3) switch
            {
                1 => x => x.atleast_1d(),
                2 => x => x.atleast_2d(),
                _ => x => x.atleast_3d(),
            }) with
        {
            Ranks = AnyRank,
        };
        yield return Move("diagonal", (draw, shape) =>
        {
            var axes = draw.Axes(shape.Rank, 2);
            var offset = draw.Number(-2, 2);
            return x => x.diagonal(offset, axes[0], axes[1]);
        }) with
        {
            Ranks = [2, 3, 4],
        };
        yield return Move("diag", (draw, _) =>
        {
            var offset = draw.Number(-2, 2);
            return x => x.diag(offset);
        }) with
        {
            Ranks = [1, 2],
        };
        yield return Move("diag_embed", (draw, _) =>
        {
            var offset = draw.Number(-2, 2);
            return x => x.diag_embed(offset);
        }) with
        {
            Ranks = [1, 2, 3],
        };
        yield return Move("tril, triu", (draw, _) =>
        {
            var (a, upper) = (draw.Number(-3, 3), draw.Flag());
            return x => upper ? x.triu(a) : x.tril(a);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("unfold", (draw, shape) =>
        {
            var (axis, size, step) = (draw.Number(1, shape.Rank - 1), draw.Number(1, 3), draw.Number(1, 3));
            return x => x.unfold(axis, size, step);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("as it is", (_, _) => x => x.detach().contiguous().clone().alias().cpu());

        // joining and taking apart
        yield return new OperationRow("cat", 2, (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return (Func<Tensor, Tensor, Tensor>)((a, b) => cat([a, b, a], axis));
        }) { SecondShape = (_, sizes) => sizes, Kinds = [ValueKind.Special] };
        yield return new OperationRow("stack", 2, (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank + 1);
            return (Func<Tensor, Tensor, Tensor>)((a, b) => stack([a, b], axis));
        })
        {
            SecondShape = (_, sizes) => sizes,
            Kinds = [ValueKind.Special],
            Ranks = AnyRank,
        };
        yield return Move("cat: legacy empty", (_, _) => x => cat([x, zeros(0, x.dtype)], 1)) with
        {
            Ranks = [2],
        };
        foreach (
            var (name, join) in ((string, Func<Tensor[], Tensor>)[])
                [
                    ("hstack", t => hstack(t)),
                    ("vstack", t => vstack(t)),
                    ("dstack", t => dstack(t)),
                    ("column_stack", t => column_stack(t)),
                    ("block_diag", t => block_diag(t)),
                ]
        )
            yield return Move(name, (_, _) => x => join([x, x, x * x])) with
            {
                Ranks = name == "block_diag" ? [1, 2] : AnyRank,
            };
        yield return Many("split", (draw, shape) =>
        {
            var (axis, n) = ((int)draw.Number(1, shape.Rank - 1), draw.Number(1, 4));
            return x => x.split(n, axis);
        }) with
        {
            Ranks = [2, 3],
            Kinds = [ValueKind.Special],
        };
        yield return Many("split: sizes", (_, _) => x => x.split([1, 0, 5], 1)) with
        {
            FirstShape = (draw, rank) => [2, 6, .. draw.Shape(rank)[2..]],
            Ranks = [2, 3],
            Kinds = [ValueKind.Special],
        };
        yield return Many("chunk", (draw, shape) =>
        {
            var (axis, n) = (draw.Number(1, shape.Rank - 1), draw.Number(1, 4));
            return x => x.chunk(n, axis);
        }) with
        {
            Ranks = [2, 3],
            Kinds = [ValueKind.Special],
        };
        yield return Many("tensor_split", (draw, shape) =>
        {
            var (axis, n) = (draw.Number(1, shape.Rank - 1), draw.Number(1, 4));
            return draw.Flag() ? x => x.tensor_split(n, axis) : x => x.tensor_split([1, 2], axis);
        }) with
        {
            Ranks = [2, 3],
            Kinds = [ValueKind.Special],
        };
        yield return Many("hsplit, vsplit", (_, _) => x => [.. x.hsplit(2), .. x[0].vsplit([1, 2])]) with
        {
            Ranks = [3, 4],
            FirstShape = (draw, rank) => [2, 6, .. draw.Shape(rank)[2..]],
            Kinds = [ValueKind.Special],
        };
        yield return Many("dsplit", (_, _) => x => x.dsplit([1, 2])) with
        {
            Ranks = [3],
            Kinds = [ValueKind.Special],
        };
        yield return Many("unbind", (draw, shape) =>
        {
            var axis = draw.Number(1, shape.Rank - 1);
            return x => x.unbind(axis);
        }) with
        {
            Ranks = [2, 3],
            Kinds = [ValueKind.Special],
        };
        yield return Move("narrow", (draw, shape) =>
        {
            var axis = draw.Number(1, shape.Rank - 1) - (draw.Flag() ? shape.Rank : 0);
            return x => x.narrow(axis, 1, 2);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("slice", (draw, shape) =>
        {
            var (axis, a, b, s) = (
                draw.Number(0, shape.Rank - 1),
                draw.Number(-4, 3),
                draw.Pick(-1, 2, 3, 100L),
                draw.Number(1, 2)
            );
            return x => x.slice(axis, a, b, s);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("select", (draw, shape) =>
        {
            var (axis, i) = (draw.Number(1, shape.Rank - 1), draw.Number(-2, 2));
            return x => x.select(axis, i);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Many("meshgrid", (draw, _) =>
        {
            var indexing = draw.Pick("ij", "xy");
            return x => meshgrid([x, arange(3, dtype: x.dtype), arange(4, dtype: x.dtype)], indexing);
        }) with
        {
            Ranks = [1],
            Kinds = [ValueKind.Special],
        };
        yield return Many("broadcast_tensors", (_, _) =>
            x => [.. broadcast_tensors(x, x.sum([0], keepdim: true, type: x.dtype))]
        ) with
        {
            Ranks = [2, 3],
            Kinds = [ValueKind.Special],
        };

        // indexing
        var all = TensorIndex.Colon;
        yield return Move("index: single", (draw, shape) =>
        {
            var i = draw.Number(-2, 2);
            return shape.Rank > 2 ? x => x[.., i, TensorIndex.Ellipsis] : x => x[TensorIndex.Ellipsis, i];
        }) with
        {
            Ranks = [2, 3, 4],
        };
        yield return Move("index: slices", (draw, _) =>
        {
            var (a, b, s) = (draw.Number(-4, 2), draw.Pick(-1, 2, 3, 100L), draw.Number(1, 3));
            return x => x[TensorIndex.Ellipsis, TensorIndex.Slice(a, b, s)];
        }) with
        {
            Ranks = [2, 3, 4],
        };
        yield return Move("index: new axes", (_, _) =>
            x => x[TensorIndex.None, TensorIndex.Ellipsis, TensorIndex.None, 0, TensorIndex.None]
        ) with
        {
            Ranks = [2, 3],
        };
        yield return Move("index: bools", (draw, _) =>
        {
            var flag = draw.Flag();
            return x => x[TensorIndex.Bool(flag)];
        }) with
        {
            Ranks = [2, 3],
        };
        OperationRow Indexed(
            string name,
            Func<Tensor, Tensor, Tensor> function,
            Func<Draw, long[], long[]> shapeOf,
            int[] ranks
        ) =>
            new(name, 2, (_, _) => function)
            {
                SecondShape = shapeOf,
                SecondType = (draw, _) => draw.Pick(ScalarType.Int64, ScalarType.Int64, ScalarType.Int32),
                Ranks = ranks,
                Kinds = [ValueKind.Special],
                PrepareSecond = (y, _) => ((y.to(ScalarType.Int64) % 3).fmod(3)).to(y.dtype),
                Batches = [2, 5],
            };
        yield return Indexed("index: tensor", (x, i) => x[i], (_, _) => [4], [1, 2, 3]) with
        {
            PrepareSecond = (y, _) => (y.to(ScalarType.Int64) % 2).fmod(2).to(y.dtype),
        };
        yield return Indexed(
            "index: tensor of two axes",
            (x, i) => x[all, TensorIndex.Tensor(i)],
            (draw, _) => [3, 4],
            [2, 3]
        );
        yield return Indexed(
            "index: TensorIndex",
            (x, i) => x[all, TensorIndex.Tensor(i), TensorIndex.Ellipsis],
            (draw, _) => [3, 4],
            [2, 3]
        );
        yield return Indexed(
            "index: two tensors",
            (x, i) => x[all, TensorIndex.Tensor(i), TensorIndex.Tensor(i.flip(0))],
            (_, _) => [4],
            [3, 4]
        );
        yield return Indexed(
            "index: two tensors apart",
            (x, i) => x[TensorIndex.Tensor(i % 2), all, TensorIndex.Tensor(i)],
            (_, _) => [4],
            [3, 4]
        );
        yield return Indexed(
            "index: tensor and number",
            (x, i) => x[all, TensorIndex.Tensor(i), 1],
            (_, _) => [4],
            [3, 4]
        );
        yield return Indexed(
            "index: number, slice and tensor",
            (x, i) => x[0, TensorIndex.Slice(1, 3), TensorIndex.Tensor(i)],
            (_, _) => [4],
            [3, 4]
        );
        yield return Indexed(
            "index: tensors that broadcast",
            (x, i) => x[all, TensorIndex.Tensor(i.unsqueeze(1)), TensorIndex.Tensor(i[..2])],
            (_, _) => [4],
            [3, 4]
        );
        yield return Indexed("index: plain tensors", (x, i) => x[i % 2, i], (_, _) => [4], [2, 3, 4]);
        yield return Indexed("index_select", (x, i) => x.index_select(1, i.abs()), (_, _) => [4], [2, 3]);
        yield return Indexed("index_select: 0-d", (x, i) => x.sum().index_select(0, i[..1] * 0), (_, _) => [4], [2, 3]);
        yield return Indexed("take", (x, i) => x.take(i.to(ScalarType.Int64)), (_, _) => [3, 4], [1, 2, 3]);
        yield return Indexed(
            "take_along_dim: flat",
            (x, i) => x.take_along_dim(i.to(ScalarType.Int64).abs().flatten()),
            (_, _) => [3, 4],
            [1, 2, 3]
        );
        yield return Indexed(
            "take_along_dim: broadcasting",
            (x, i) => x.take_along_dim(i.to(ScalarType.Int64).abs(), 2),
            (_, _) => [1, 1, 4],
            [3]
        );
        yield return Indexed(
            "gather",
            (x, i) => x.gather(1, i.to(ScalarType.Int64).abs()),
            (_, sizes) => sizes,
            [2, 3]
        );
        yield return Indexed(
            "gather: smaller",
            (x, i) => x.gather(-1, i.to(ScalarType.Int64).abs()),
            (_, sizes) => [.. sizes.Select((size, axis) => axis == 0 ? size : 2)],
            [2, 3]
        );
        yield return Indexed(
            "scatter",
            (x, i) => x.scatter(1, i.to(ScalarType.Int64).abs() * 0 + 1, x),
            (_, sizes) =>
                [
                    .. sizes.Select(
                        (size, axis) =>
                            axis == 1 ? 1
                            : axis == 0 ? size
                            : 2
                    ),
                ],
            [2, 3]
        );
        yield return Indexed(
            "scatter_add",
            (x, i) => x.scatter_add(1, i.to(ScalarType.Int64).abs(), x),
            (_, sizes) => sizes,
            [2, 3]
        ) with
        {
            Kinds = [ValueKind.Ordinary],
        };
        yield return Indexed("index_fill", (x, i) => x.index_fill(1, i.to(ScalarType.Int64), 3), (_, _) => [4], [2, 3]);
        yield return Indexed(
            "index_fill: batch",
            (x, i) => x.index_fill(0, i.to(ScalarType.Int64) * 0, 3),
            (_, _) => [4],
            [1, 2, 3]
        );
        yield return Indexed(
            "index_fill: 0-d",
            (x, i) => x.sum().index_fill(0, i.to(ScalarType.Int64)[..1] * 0, 3),
            (_, _) => [4],
            [1, 2]
        );
        yield return Indexed(
            "index_add",
            (x, i) => x.index_add(1, i.to(ScalarType.Int64).abs(), x[.., ..3], 2),
            (_, _) => [3],
            [2, 3]
        ) with
        {
            Kinds = [ValueKind.Ordinary],
        };
        yield return Indexed(
            "index_copy",
            (x, i) => x.index_copy(1, (i.to(ScalarType.Int64).abs() * 0) + arange(3), x[.., ..3] * 1),
            (_, _) => [3],
            [2, 3]
        );
        yield return Indexed("one_hot", (x, i) => F.one_hot(i.to(ScalarType.Int64).abs(), 5), (_, _) => [2, 4], [1]);
        yield return Indexed(
            "index_put: tensor",
            (x, i) =>
            {
                var y = x.clone();
                y[i % 2] = x[0] * 1;
                return y;
            },
            (_, _) => [4],
            [1, 2, 3]
        );
        yield return Indexed(
            "index_put: accumulate",
            (x, i) =>
                x.clone().index_put_(x[.., 0][..1] * 1, [i.to(ScalarType.Int64) % 2, i.to(ScalarType.Int64)], true),
            (_, _) => [4],
            [2]
        ) with
        {
            Kinds = [ValueKind.Ordinary],
            Types = [ScalarType.Float32, ScalarType.Int64, ScalarType.Float64],
        };
        yield return Indexed(
            "index_put: no accumulate",
            (x, i) => x.clone().index_put_(x[0, 0] * 1, [i.to(ScalarType.Int64) % 2, i.to(ScalarType.Int64)], false),
            (_, _) => [4],
            [2, 3]
        );
        yield return Move("index_put: number", (_, _) => x =>
            {
                var y = x.clone();
                y[TensorIndex.Ellipsis, 1] = x[TensorIndex.Ellipsis, 0] * 1;
                return y;
            }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("index_put_: value first", (_, _) =>
            x => x.clone().index_put_(ones(1, x.dtype), TensorIndex.Ellipsis, TensorIndex.Single(1))
        ) with
        {
            Ranks = [2, 3],
        };
        yield return Move("index_put_: scalar", (_, _) =>
            x => x.clone().index_put_(2.5f, TensorIndex.Ellipsis, TensorIndex.Single(1))
        ) with
        {
            Ranks = [2, 3],
        };
        yield return Move("index_put: slices", (_, _) => x =>
            {
                var y = x.clone();
                y[TensorIndex.Ellipsis, TensorIndex.Slice(0, null, 2)] = ones(1, x.dtype) * 3;
                return y;
            }) with
        {
            Ranks = [2, 3],
        };
        yield return Move("index_put: mask", (_, _) => x =>
            {
                var y = x.clone();
                y[y > 0] = tensor(7).to(x.dtype);
                return y;
            });
        yield return Move("index_put: mask of rows", (_, _) => x =>
            {
                var y = x.clone();
                y[x.sum(1) > 0] = ones(x.size(1), x.dtype) * 3;
                return y;
            }) with
        {
            Ranks = [2],
            Types = [ScalarType.Float32, ScalarType.Int64],
        };
        yield return Move("index_put: TensorIndex mask", (_, _) => x =>
            {
                var y = x.clone();
                y[TensorIndex.Tensor(y > 0)] = tensor(7).to(x.dtype);
                return y;
            });
        yield return Move("select_scatter", (_, _) => x => x.select_scatter(x.select(1, 0) * 1, 1, -1)) with
        {
            Ranks = [2, 3],
        };
        yield return Move("slice_scatter", (_, _) => x => x.slice_scatter(x[.., ..2] * 1, 1, 0, 4, 2)) with
        {
            Ranks = [2, 3],
            FirstShape = (draw, rank) => [2, 6, .. draw.Shape(rank)[2..]],
        };
        yield return Move("diagonal_scatter", (_, _) =>
            x => x.diagonal_scatter(zeros([x.size(0), 2], x.dtype), 0, 1, 2)
        ) with
        {
            Ranks = [3],
            FirstShape = (_, _) => [2, 2, 4],
        };

        // made in forward
        yield return Move("zeros, ones, full", (_, _) =>
            x =>
                x * zeros([x.size(0), 1], x.dtype)
                + ones([1, x.size(1)], x.dtype)
                + full([x.size(0), x.size(1)], 2, x.dtype)
        ) with
        {
            Ranks = [2],
            Kinds = [ValueKind.Ordinary],
        };
        yield return Move("like", (_, _) => x => zeros_like(x) + ones_like(x) + full_like(x, 3));
        yield return Move("like: dtype", (draw, _) =>
        {
            var type = draw.Pick(AllTypes);
            return x => ones_like(x, type);
        });
        yield return Move("new", (_, _) => x => x.new_zeros(3) + x.new_ones(3) + x.new_full(3, 3)) with
        {
            FirstShape = (draw, rank) => [2, 3],
        };
        yield return Move("fill_, zero_", (_, _) => x => x.clone().fill_(3) + x.clone().zero_());
        yield return Move("arange", (draw, _) =>
        {
            var (a, s, type) = (
                draw.Number(-3, 3),
                draw.Number(1, 3),
                draw.Pick<ScalarType?>(null, ScalarType.Float32, ScalarType.Int32, ScalarType.Float16)
            );
            return x => arange(a, a + 7, s, dtype: type) + arange(x.size(0)).sum();
        }) with
        {
            Ranks = [1],
        };
        yield return Move("arange: fractions", (_, _) => x => arange(0.5, 3.2, 0.7) + x.sum() * 0) with
        {
            Ranks = [1],
            Kinds = [ValueKind.Ordinary],
        };
        yield return Move("linspace", (draw, _) =>
        {
            var (a, b, n) = (draw.Real(-3, 3), draw.Real(-3, 3), draw.Number(1, 9));
            return x => linspace(a, b, n) + zeros(x.size(0), 1);
        }) with
        {
            Ranks = [1],
        };
        yield return Move("logspace", (draw, _) =>
        {
            var (a, b, n) = (draw.Real(-1, 1), draw.Real(-1, 1), draw.Number(1, 9));
            return x => logspace(a, b, n) + zeros(x.size(0), 1);
        }) with
        {
            Ranks = [1],
        };
        yield return Move("linspace, a free size", (_, _) => x => linspace(0, 1, x.size(0))) with
        {
            Ranks = [1],
        };
        yield return Move("eye", (draw, _) =>
        {
            var type = draw.Pick(AllTypes);
            return x => eye(x.size(0), 3, type);
        }) with
        {
            Ranks = [1],
            Batches = [2, 1, 5],
        };
        yield return Move("tril_indices", (draw, _) =>
        {
            var offset = draw.Number(-2, 2);
            return x => tril_indices(4, 3, offset) + zeros([x.size(0), 1, 1], ScalarType.Int64);
        }) with
        {
            Ranks = [1],
        };
        yield return Move("triu_indices", (draw, _) =>
        {
            var offset = draw.Number(-2, 2);
            return x => triu_indices(4, 5, offset) + zeros([x.size(0), 1, 1], ScalarType.Int64);
        }) with
        {
            Ranks = [1],
        };
        yield return Move("copy_", (_, _) => x =>
            {
                var y = zeros([x.size(0), 3, 4]);
                y.copy_(x);
                return y;
            }) with
        {
            FirstShape = (_, _) => [2, 1, 4],
        };

        // padding
        foreach (
            var mode in (PaddingModes[])
                [PaddingModes.Constant, PaddingModes.Reflect, PaddingModes.Replicate, PaddingModes.Circular]
        )
        {
            yield return Move($"pad {mode}", (draw, _) =>
            {
                // libtorch's circular padding reads memory that nothing wrote where one side cuts and the other grows.
                var least = mode == PaddingModes.Circular ? 0 : -1;
                var a = draw.Number(least, 2);
                var b = draw.Number(least, 2);
                var value = mode == PaddingModes.Constant ? draw.Pick(0.0, 2, -1) : 0;
                return x => F.pad(x, [a, b], mode, value);
            }) with
            {
                Ranks = [3],
                Batches = [2, 1, 5],
            };
            yield return Move($"pad {mode}: two axes", (draw, _) =>
            {
                long a = draw.Number(0, 2),
                    b = draw.Number(0, 2),
                    e = draw.Number(0, 2);
                return x => F.pad(x, [a, b, b, e], mode);
            }) with
            {
                Ranks = [4],
                Batches = [2, 1, 5],
            };
        }

        yield return Move("pad: a number", (draw, _) =>
        {
            var a = draw.Number(0, 2);
            return x => F.pad(x, a);
        }) with
        {
            Ranks = [1, 2, 3],
        };
    }
}
