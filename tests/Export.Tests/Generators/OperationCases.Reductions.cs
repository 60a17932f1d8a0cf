using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Generators;

internal static partial class OperationCases
{
    private static OperationRow Reduce(string name, Func<Draw, Shape, Func<Tensor, Tensor>> make) =>
        new(name, 1, make) { Ranks = AnyRank, Batches = [2, 1, 7, 40, 0] };

    private static OperationRow Many(string name, Func<Draw, Shape, Func<Tensor, Tensor[]>> make) =>
        new(name, 1, make) { Ranks = AnyRank, Batches = [2, 1, 7, 0] };

    private static IEnumerable<OperationRow> Reductions()
    {
        ScalarType? Maybe(Draw draw, Shape shape) =>
            is_floating_point(shape.Type) && draw.OneIn(4) ? ScalarType.Float64 : null;
        yield return Reduce("sum: all", (draw, shape) =>
        {
            var type = Maybe(draw, shape);
            return x => x.sum(type: type);
        });
        yield return Reduce("sum", (draw, shape) =>
        {
            var (axis, keep, type) = (draw.Axis(shape.Rank), draw.Flag(), Maybe(draw, shape));
            return x => x.sum(axis, keep, type);
        });
        yield return Reduce("sum: axes", (draw, shape) =>
        {
            var (axes, keep) = (draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)), draw.Flag());
            return x => x.sum(axes, keep);
        }) with
        {
            Terms = 1,
        };
        yield return Reduce("mean: all", (_, _) => x => x.mean());
        yield return Reduce("mean", (draw, shape) =>
        {
            var (axes, keep, type) = (
                draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)),
                draw.Flag(),
                draw.OneIn(3) ? ScalarType.Float64 : (ScalarType?)null
            );
            return x => x.mean(axes, keep, type);
        });
        yield return Reduce("prod: all", (_, _) => x => x.prod()) with
        {
            Types =
            [
                ScalarType.Float32,
                ScalarType.Float64,
                ScalarType.Int64,
                ScalarType.Int32,
                ScalarType.Int8,
                ScalarType.Bool,
            ],
        };
        yield return Reduce("prod", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x => x.prod(axis, keep);
        }) with
        {
            Batches = [2, 1, 7, 0],
        };
        yield return Reduce("amax", (draw, shape) =>
        {
            var (axes, keep) = (draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)), draw.Flag());
            return x => x.amax(axes, keep);
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("amin", (draw, shape) =>
        {
            var (axes, keep) = (draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)), draw.Flag());
            return x => x.amin(axes, keep);
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("max: all", (_, _) => x => x.max()) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("min: all", (_, _) => x => x.min()) with
        {
            Kinds = WithLarge,
        };
        yield return Many("max", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x =>
            {
                var (v, i) = x.max(axis, keep);
                return [v, i];
            };
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Many("min", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x =>
            {
                var (v, i) = torch.min(x, axis, keep);
                return [v, i];
            };
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Many("aminmax", (draw, shape) =>
        {
            var (axis, keep) = (draw.Flag() ? draw.Axis(shape.Rank) : (long?)null, draw.Flag());
            return x =>
            {
                var (v, i) = x.aminmax(axis, keep);
                return [v, i];
            };
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("argmax: all", (_, _) => x => x.argmax()) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("argmin: all", (_, _) => x => x.argmin()) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("argmax", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x => x.argmax(axis, keep);
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("argmin", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x => torch.argmin(x, axis, keep);
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("all: all", (_, _) => x => x.all());
        yield return Reduce("any: all", (_, _) => x => x.any());
        yield return Reduce("all", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x => x.all(axis, keep);
        });
        yield return Reduce("any", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x => x.any(axis, keep);
        });
        yield return Reduce("count_nonzero", (draw, shape) =>
        {
            var axes = draw.Flag() ? draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)) : null;
            return x => x.count_nonzero(axes);
        });
        yield return Reduce("logsumexp", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x => x.logsumexp(axis, keep);
        }) with
        {
            Kinds = WithLarge,
            Types = NotRounded,
        };
        yield return Reduce("logsumexp: low precision", (draw, shape) =>
        {
            var (axis, keep) = (draw.Axis(shape.Rank), draw.Flag());
            return x => x.logsumexp(axis, keep);
        }) with
        {
            Types = [ScalarType.Float16, ScalarType.BFloat16],
            Floor = 3e-2,
            Kinds = [ValueKind.Ordinary],
        };
        yield return Reduce("var: all", (draw, _) =>
        {
            var unbiased = draw.Flag();
            return x => x.var(unbiased);
        }) with
        {
            Types = Floats,
        };
        yield return Reduce("std: all", (draw, _) =>
        {
            var unbiased = draw.Flag();
            return x => torch.std(x, unbiased);
        }) with
        {
            Types = Floats,
        };
        yield return Reduce("var", (draw, shape) =>
        {
            var (axes, unbiased, keep) = (
                draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)),
                draw.Flag(),
                draw.Flag()
            );
            return x => x.var(axes, unbiased, keep);
        }) with
        {
            Kinds = WithLarge,
            Types = Floats,
        };
        yield return Reduce("std", (draw, shape) =>
        {
            var (axis, unbiased, keep) = (draw.Axis(shape.Rank), draw.Flag(), draw.Flag());
            return x => x.std(axis, unbiased, keep);
        }) with
        {
            Kinds = WithLarge,
            Types = Floats,
        };
        yield return Many("std_mean", (draw, shape) =>
        {
            var (axes, unbiased, keep) = (
                draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)),
                draw.Flag(),
                draw.Flag()
            );
            return x =>
            {
                var (s, m) = torch.std_mean(x, axes, unbiased, keep);
                return [s, m];
            };
        }) with
        {
            Types = Floats,
            Kinds = [ValueKind.Ordinary, ValueKind.Ties],
        };
        yield return Many("var_mean", (draw, shape) =>
        {
            var (axes, unbiased, keep) = (
                draw.Axes(shape.Rank, (int)draw.Number(0, shape.Rank)),
                draw.Flag(),
                draw.Flag()
            );
            return x =>
            {
                var (s, m) = x.var_mean(axes, unbiased, keep);
                return [s, m];
            };
        }) with
        {
            Types = Floats,
            Kinds = [ValueKind.Ordinary, ValueKind.Ties],
        };
        yield return Many("std_mean: all", (draw, _) =>
        {
            var unbiased = draw.Flag();
            return x =>
            {
                var (s, m) = torch.std_mean(x, unbiased);
                return [s, m];
            };
        }) with
        {
            Types = Floats,
            Kinds = [ValueKind.Ordinary, ValueKind.Ties],
        };
        float[] orders = [2, 1, 3, 0, 0.5f, float.PositiveInfinity, float.NegativeInfinity, -1, -2];
        yield return Reduce("norm: all", (draw, _) =>
        {
            var p = draw.Pick(orders);
            return x => x.norm(p);
        });
        yield return Reduce("norm", (draw, shape) =>
        {
            var (axis, keep, p) = ((int)draw.Axis(shape.Rank), draw.Flag(), draw.Pick(orders));
            return x => x.norm(axis, keep, p);
        });
        yield return Reduce("linalg.vector_norm", (draw, shape) =>
        {
            var (axes, keep, p) = (
                draw.Flag() ? null : draw.Axes(shape.Rank, (int)draw.Number(1, Math.Max(1, shape.Rank))),
                draw.Flag(),
                draw.Pick(orders)
            );
            return x => linalg.vector_norm(x, p, axes, keep);
        });
        yield return Reduce("linalg.norm: matrices", (draw, shape) =>
        {
            var (axes, keep, p) = (
                draw.Axes(shape.Rank, 2),
                draw.Flag(),
                draw.Pick(1.0, -1, double.PositiveInfinity, double.NegativeInfinity)
            );
            return x => linalg.norm(x, p, axes, keep);
        }) with
        {
            Ranks = [2, 3, 4],
            Batches = [2, 1, 7],
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
        };
        yield return Reduce("linalg.norm: vectors", (draw, shape) =>
        {
            var (axis, keep, p) = (
                draw.Axis(shape.Rank),
                draw.Flag(),
                draw.Pick<double>(1, 2, 0, 3, double.PositiveInfinity)
            );
            return x => linalg.norm(x, p, [axis], keep);
        }) with
        {
            Ranks = [1, 2, 3],
        };
        yield return Reduce("linalg.norm: fro", (draw, shape) =>
        {
            var (axes, keep) = (draw.Axes(shape.Rank, 2), draw.Flag());
            return x => linalg.norm(x, "fro", axes, keep);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Reduce("linalg.norm: default", (draw, shape) =>
        {
            var axes = draw.Flag() ? null : draw.Axes(shape.Rank, (int)draw.Number(1, Math.Min(2, shape.Rank)));
            return x => linalg.norm(x, axes);
        }) with
        {
            Ranks = [1, 2, 3],
        };
        yield return Reduce("linalg.matrix_norm", (draw, shape) =>
        {
            var (p, keep) = (draw.Pick(1.0, double.PositiveInfinity, -1), draw.Flag());
            return x => linalg.matrix_norm(x, p, keepdim: keep);
        }) with
        {
            Ranks = [2, 3],
        };
        yield return Reduce("nansum", (_, _) => x => x.nansum());
        yield return Reduce("median: all", (_, _) => x => x.median()) with
        {
            Batches = [2, 1, 7, 40],
        };
        yield return Reduce("trace", (_, _) => x => x.trace()) with
        {
            Ranks = [2],
        };

        // running
        yield return Reduce("cumsum", (draw, shape) =>
        {
            var (axis, type) = (draw.Axis(shape.Rank), Maybe(draw, shape));
            return x => x.cumsum(axis, type);
        });
        yield return Reduce("cumprod", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return x => x.cumprod(axis);
        }) with
        {
            Batches = [2, 1, 7, 0],
        };
        yield return Reduce("logcumsumexp", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return x => x.logcumsumexp(axis);
        });
        yield return Many("cummax", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return x =>
            {
                var (v, i) = x.cummax(axis);
                return [v, i];
            };
        });
        yield return Many("cummin", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return x =>
            {
                var (v, i) = x.cummin(axis);
                return [v, i];
            };
        });
        yield return Reduce("diff", (draw, shape) =>
        {
            var (axis, n) = (draw.Axis(shape.Rank), draw.Number(0, 2));
            return x => x.diff(n, axis);
        }) with
        {
            Ranks = [1, 2, 3],
        };
        yield return new OperationRow("diff: prepend, append", 2, (draw, shape) =>
        {
            var axis = shape.Rank - 1;
            return (Func<Tensor, Tensor, Tensor>)((x, y) => torch.diff(x, 1, axis, y, y));
        })
        {
            Ranks = [2, 3],
            SecondShape = (_, sizes) => sizes,
            SecondType = (_, type) => type,
        };

        // order: the values; indices only where nothing is equal
        yield return Many("sort: values", (draw, shape) =>
        {
            var (axis, down) = (draw.Axis(shape.Rank), draw.Flag());
            return x => [x.sort(axis, down).Values];
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Many("sort: stable", (draw, shape) =>
        {
            var (axis, down) = (draw.Axis(shape.Rank), draw.Flag());
            return x =>
            {
                var (v, i) = x.sort(axis, down, stable: true);
                return [v, i];
            };
        }) with
        {
            Kinds = WithLarge,
            Batches = [2, 1, 40, 0],
        };
        yield return Many("sort: indices", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return x => [x.sort(axis).Indices];
        }) with
        {
            Kinds = [ValueKind.Ordinary],
            Types = [ScalarType.Float32, ScalarType.Float64],
        };
        yield return Reduce("argsort", (draw, shape) =>
        {
            var (axis, down) = (draw.Axis(shape.Rank), draw.Flag());
            return x => x.argsort(axis, down);
        }) with
        {
            Kinds = [ValueKind.Ordinary],
            Types = [ScalarType.Float32, ScalarType.Float64],
        };
        yield return Reduce("msort", (_, _) => x => torch.msort(x)) with
        {
            Ranks = [1, 2, 3],
        };
        yield return Many("topk: values", (draw, shape) =>
        {
            var (axis, largest, k) = (
                (int)draw.Axis(shape.Rank),
                draw.Flag(),
                (int)draw.Number(1, shape.Rank < 2 ? 1 : 2)
            );
            return x => [x.topk(k, axis, largest).values];
        }) with
        {
            Kinds = WithLarge,
            Batches = [2, 7, 0],
        };
        yield return Many("topk", (draw, shape) =>
        {
            var (axis, k) = (shape.Rank - 1, (int)draw.Number(1, 3));
            return x =>
            {
                var (v, i) = x.topk(k, axis);
                return [v, i];
            };
        }) with
        {
            Kinds = [ValueKind.Ordinary],
            Types = [ScalarType.Float32],
            Ranks = [2, 3],
        };
        yield return Many("kthvalue", (draw, shape) =>
        {
            var (axis, keep, k) = (draw.Number(1, shape.Rank - 1), draw.Flag(), draw.Number(1, 3));
            return x => [x.kthvalue(k, axis, keep).Item1];
        }) with
        {
            Ranks = [2, 3],
        };

        // softmax
        yield return Reduce("softmax", (draw, shape) =>
        {
            var (axis, type) = (draw.Axis(shape.Rank), draw.OneIn(3) ? ScalarType.Float64 : (ScalarType?)null);
            return x => x.softmax(axis, type);
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("softmax: function", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return x => F.softmax(x, axis);
        }) with
        {
            Kinds = WithLarge,
        };
        yield return Reduce("log_softmax", (draw, shape) =>
        {
            var (axis, type) = (draw.Axis(shape.Rank), draw.OneIn(3) ? ScalarType.Float64 : (ScalarType?)null);
            return x => x.log_softmax(axis, type);
        }) with
        {
            Kinds = WithLarge,
            Floor = 1e-6,
        };
        yield return Reduce("softmin", (draw, shape) =>
        {
            var axis = draw.Axis(shape.Rank);
            return x => F.softmin(x, axis);
        });
        yield return Reduce("normalize", (draw, shape) =>
        {
            var (p, axis) = (draw.Pick(2.0, 1, 3, double.PositiveInfinity), draw.Axis(shape.Rank));
            return x => F.normalize(x, p, axis);
        });
    }
}
