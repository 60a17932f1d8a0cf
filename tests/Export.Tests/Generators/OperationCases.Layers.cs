using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests.Generators;

internal static partial class OperationCases
{
    private static readonly ValueKind[] Plain = [ValueKind.Ordinary, ValueKind.Ties];

    private static OperationRow Pictures(string name, Func<Draw, Shape, Func<Tensor, Tensor>> make) =>
        new(name, 1, make)
        {
            Ranks = [4],
            FirstShape = (draw, _) => [2, 3, draw.Number(5, 9), draw.Number(5, 9)],
            Types = Floats,
            Batches = [2, 1, 5],
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
        };

    // ONNX Runtime's MaxPool starts at the lowest number, so that a window of nothing but -infinity gives that.
    // docs/operators.md says so.
    private static Tensor NoWindowOfMinusInfinity(Tensor x) => x.masked_fill(x.eq(float.NegativeInfinity), -1000);

    private static OperationRow Loss(string name, Func<Draw, Reduction, Func<Tensor, Tensor, Tensor>> make) =>
        new(name, 2, (draw, _) => make(draw, draw.Pick(Reduction.Mean, Reduction.Sum, Reduction.None)))
        {
            Ranks = [2, 3],
            SecondShape = (_, sizes) => sizes,
            SecondType = (_, type) => type,
            Types = Floats,
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
            Slack = 3,
        };

    private static IEnumerable<OperationRow> Matrices()
    {
        OperationRow Product(
            string name,
            Func<Tensor, Tensor, Tensor> function,
            int[] ranks,
            Func<Draw, long[], long[]> second
        ) =>
            new(name, 2, (_, _) => function)
            {
                Ranks = ranks,
                SecondShape = second,
                SecondType = (_, type) => type,
                Kinds = [ValueKind.Ordinary, ValueKind.Ties],
                Slack = 3,
                Types = AllTypes[..^1],
            };
        yield return Product("matmul", (a, b) => a.matmul(b), [2, 3, 4], (_, sizes) => [sizes[^1], 3]);
        yield return Product("matmul: vector", (a, b) => a.matmul(b), [1, 2, 3], (_, sizes) => [sizes[^1]]) with
        {
            Batches = [2],
        };
        yield return Product("mm", (a, b) => a.mm(b), [2], (_, sizes) => [sizes[^1], 3]);
        yield return Product("bmm", (a, b) => a.bmm(b), [3], (_, sizes) => [sizes[0], sizes[^1], 3]);
        yield return Product("mv", (a, b) => a.mv(b), [2], (_, sizes) => [sizes[^1]]);
        yield return Product("dot", (a, b) => a.dot(b), [1], (_, sizes) => sizes);
        yield return Product("vdot", (a, b) => a.vdot(b), [1], (_, sizes) => sizes);
        yield return Product("inner", (a, b) => torch.inner(a, b), [1, 2, 3], (_, sizes) => [3, sizes[^1]]) with
        {
            Batches = [2],
        };
        yield return Product("outer", (a, b) => a.outer(b), [1], (_, sizes) => [4]);
        yield return Product("ger", (a, b) => a.ger(b), [1], (_, sizes) => [4]);
        yield return Product("kron", (a, b) => a.kron(b), [1, 2, 3], (_, sizes) => [3, 4]);
        yield return Product(
            "tensordot",
            (a, b) => torch.tensordot(a, b, [a.dim() - 1], [0L]),
            [2, 3],
            (_, sizes) => [sizes[^1], 4]
        );
        yield return Product("einsum", (a, b) => einsum("bi,ij->bj", a, b), [2], (_, sizes) => [sizes[^1], 4]);
        yield return Product(
            "einsum: ellipsis",
            (a, b) => einsum("...i, ij -> ...j", a, b),
            [2, 3],
            (_, sizes) => [sizes[^1], 4]
        );
        yield return Product(
            "addmm",
            (a, b) => addmm(a.sum([1], keepdim: true), a, b, 0.5f, 2),
            [2],
            (_, sizes) => [sizes[^1], 4]
        );
        yield return Product("addmm: integers", (a, b) => addmm(b[0], a, b, 2, 3), [2], (_, sizes) => [sizes[^1], 4]);
        yield return Product(
            "addmm: beta 0",
            (a, b) => addmm(b[0] / 0, a, b, 0, 1),
            [2],
            (_, sizes) => [sizes[^1], 4]
        ) with
        {
            Types = Floats,
        };
        yield return Product(
            "addmv",
            (a, b) => a.sum(1, type: a.dtype).addmv(a, b, 2, 3),
            [2],
            (_, sizes) => [sizes[^1]]
        );
        yield return Product("addr", (a, b) => zeros(a.size(0), 4, a.dtype).addr(a, b, 2, 3), [1], (_, _) => [4]);
        yield return Product(
            "baddbmm",
            (a, b) => baddbmm(a, b, b[.., ..1], 2, 3),
            [3],
            (_, sizes) => [sizes[0], sizes[^1], 3]
        );
        yield return Product(
            "addbmm",
            (a, b) => b[0][..1].addbmm(a, b, 2, 3),
            [3],
            (_, sizes) => [sizes[0], sizes[^1], 3]
        ) with
        {
            Batches = [2, 1, 5],
        };
        yield return Product("multi_dot", (a, b) => linalg.multi_dot([a, b, b.t()]), [2], (_, sizes) => [sizes[^1], 4]);
        yield return Product("chain_matmul", (a, b) => chain_matmul(a, b, b.t()), [2], (_, sizes) => [sizes[^1], 4]);
        yield return Product("linalg.vecdot", (a, b) => linalg.vecdot(a, b), [2, 3], (_, sizes) => sizes);
        yield return Product("cdist", (a, b) => cdist(a, b), [2, 3], (_, sizes) => [.. sizes[..^2], 3, sizes[^1]]) with
        {
            Slack = 30,
        };
        yield return new OperationRow("cdist: p", 2, (draw, _) =>
        {
            var p = draw.Pick(0, 1, 1.5, 2, 3, double.PositiveInfinity);
            var mode = draw.Pick(
                compute_mode.use_mm_for_euclid_dist_if_necessary,
                compute_mode.donot_use_mm_for_euclid_dist
            );
            return (Func<Tensor, Tensor, Tensor>)((a, b) => cdist(a, b, p, mode));
        })
        {
            Ranks = [3],
            SecondShape = (_, sizes) => [sizes[0], 3, sizes[^1]],
            SecondType = (_, type) => type,
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
            Slack = 30,
        };
        yield return Product("linear", (a, b) => F.linear(a, b, b[.., 0]), [1, 2, 3, 4], (_, sizes) => [4, sizes[^1]]);
        yield return Product("linear: no bias", (a, b) => F.linear(a, b), [1, 2, 3], (_, sizes) => [4, sizes[^1]]);
        yield return Product(
            "bilinear",
            (a, b) => F.bilinear(a, a, b),
            [2, 3],
            (_, sizes) => [4, sizes[^1], sizes[^1]]
        );
        yield return Product("cross", (a, b) => linalg.cross(a, b), [2, 3], (_, sizes) => sizes) with
        {
            FirstShape = (draw, rank) => [.. draw.Shape(rank)[..^1], 3],
        };
        yield return Product(
            "cosine_similarity",
            (a, b) => F.cosine_similarity(a, b, -1),
            [2, 3],
            (_, sizes) => sizes
        ) with
        {
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
            Terms = 1,
        };
        yield return Product(
            "cosine_similarity: broadcasting",
            (a, b) => F.cosine_similarity(a, b, 1),
            [2],
            (_, sizes) => [1, 1]
        ) with
        {
            Terms = 1,
        };
        yield return Product(
            "pairwise_distance",
            (a, b) => F.pairwise_distance(a, b, 3, 1e-6, true),
            [1, 2, 3],
            (_, sizes) => sizes
        ) with
        {
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
        };
        yield return Product(
            "scaled_dot_product_attention",
            (a, b) => F.scaled_dot_product_attention(a, b, b),
            [3, 4],
            (_, sizes) => sizes
        ) with
        {
            Types = Floats,
        };
        yield return Product(
            "scaled_dot_product_attention: causal",
            (a, b) => F.scaled_dot_product_attention(a, b, b, is_casual: true),
            [3, 4],
            (_, sizes) => sizes
        ) with
        {
            Types = Floats,
        };
        yield return Product(
            "scaled_dot_product_attention: nothing to attend to",
            (a, b) => F.scaled_dot_product_attention(a, a, a, b > 0),
            [3, 4],
            (_, sizes) => [.. sizes[..^1], sizes[^2]]
        ) with
        {
            Types = Floats,
            Kinds = [ValueKind.Ties],
        };
        yield return Product(
            "scaled_dot_product_attention: float mask",
            (a, b) => F.scaled_dot_product_attention(a, a, a, b.masked_fill(b < 0, float.NegativeInfinity)),
            [3, 4],
            (_, sizes) => [.. sizes[..^1], sizes[^2]]
        ) with
        {
            Types = Floats,
            Kinds = [ValueKind.Ties],
        };
    }

    private static IEnumerable<OperationRow> Layers()
    {
        // interpolation
        yield return Pictures("interpolate: nearest", (draw, _) =>
        {
            var (h, w) = (draw.Number(1, 14), draw.Number(1, 14));
            return x => F.interpolate(x, [h, w]);
        });
        yield return Pictures("interpolate: area", (draw, _) =>
        {
            var (h, w) = (draw.Number(1, 14), draw.Number(1, 14));
            return x => F.interpolate(x, [h, w], mode: InterpolationMode.Area);
        });
        yield return Pictures("interpolate: bilinear", (draw, _) =>
        {
            var (h, w, corners) = (draw.Number(1, 14), draw.Number(1, 14), draw.Flag());
            return x => F.interpolate(x, [h, w], mode: InterpolationMode.Bilinear, align_corners: corners);
        }) with
        {
            Kinds = Plain,
        };
        yield return Pictures("interpolate: bicubic", (draw, _) =>
        {
            var (h, w, corners) = (draw.Number(1, 14), draw.Number(1, 14), draw.Flag());
            return x => F.interpolate(x, [h, w], mode: InterpolationMode.Bicubic, align_corners: corners);
        }) with
        {
            Kinds = Plain,
        };
        yield return Pictures("interpolate: scale", (draw, _) =>
        {
            var (s, t, mode, recompute) = (
                draw.Pick(0.5, 1, 1.1, 1.5, 2, 3, 0.3, 2.5),
                draw.Pick(0.5, 1, 1.1, 1.5, 2, 0.7),
                draw.Pick(
                    InterpolationMode.Nearest,
                    InterpolationMode.Bilinear,
                    InterpolationMode.Bicubic,
                    InterpolationMode.Area
                ),
                draw.OneIn(4)
            );
            bool? corners = mode is InterpolationMode.Nearest or InterpolationMode.Area ? null : draw.Flag();
            return x =>
                F.interpolate(
                    x,
                    scale_factor: [s, t],
                    mode: mode,
                    align_corners: corners,
                    recompute_scale_factor: recompute
                );
        }) with
        {
            Kinds = Plain,
        };
        yield return new OperationRow("interpolate: one axis", 1, (draw, _) =>
        {
            var (n, mode) = (
                draw.Number(1, 30),
                draw.Pick(InterpolationMode.Nearest, InterpolationMode.Linear, InterpolationMode.Area)
            );
            return (Func<Tensor, Tensor>)(
                x => F.interpolate(x, [n], mode: mode, align_corners: mode == InterpolationMode.Linear ? false : null)
            );
        })
        {
            Ranks = [3],
            FirstShape = (draw, _) => [2, 3, draw.Number(1, 30)],
            Types = Floats,
            Kinds = Plain,
            Batches = [2, 1, 5],
        };
        yield return new OperationRow("interpolate: three axes", 1, (draw, _) =>
        {
            long a = draw.Number(1, 7),
                b = draw.Number(1, 7),
                e = draw.Number(1, 7);
            var mode = draw.Pick(InterpolationMode.Nearest, InterpolationMode.Trilinear, InterpolationMode.Area);
            return (Func<Tensor, Tensor>)(
                x =>
                    F.interpolate(
                        x,
                        [a, b, e],
                        mode: mode,
                        align_corners: mode == InterpolationMode.Trilinear ? false : null
                    )
            );
        })
        {
            Ranks = [5],
            Types = Floats,
            Kinds = Plain,
            Batches = [2, 1, 5],
            Slack = 4,
        };
        yield return Pictures("upsample", (draw, _) =>
        {
            var (h, w) = (draw.Number(1, 14), draw.Number(1, 14));
            return draw.Number(0, 3) switch
            {
                0 => x => F.upsample(x, [h, w]),
                1 => x => F.upsample_nearest(x, [h, w]),
                2 => x => F.upsample_bilinear(x, [h, w]),
                _ => x => F.upsample_nearest2d(x, [h, w]),
            };
        }) with
        {
            Kinds = Plain,
        };

        // pooling
        yield return Pictures("max_pool2d", (draw, _) =>
        {
            var (k, s, p, d, ceil) = (
                draw.Number(1, 3),
                draw.Number(1, 3),
                draw.Number(0, 1),
                draw.Number(1, 2),
                draw.Flag()
            );
            return x => F.max_pool2d(x, k, s, Math.Min(p, k / 2), d, ceil);
        }) with
        {
            // ONNX Runtime's MaxPool passes over NaN; docs/operators.md says so.
            Kinds = Plain,
            Prepare = NoWindowOfMinusInfinity,
        };
        yield return Pictures("avg_pool2d", (draw, _) =>
        {
            var (k, s, ceil, include) = (draw.Number(1, 3), draw.Number(1, 3), draw.Flag(), draw.Flag());
            var (p, divisor) = (draw.Number(0, k / 2), draw.OneIn(3) ? draw.Number(1, 5) : (long?)null);
            return x => F.avg_pool2d(x, [k, k], [s, s], [p, p], ceil, include, divisor);
        });
        yield return new OperationRow("max_pool2d_with_indices", 1, (draw, _) =>
        {
            var (k, s, ceil) = (draw.Number(1, 3), draw.Number(1, 3), draw.Flag());
            return (Func<Tensor, Tensor[]>)(
                x =>
                {
                    var (v, i) = F.max_pool2d_with_indices(x, [k, k], [s, s], ceil_mode: ceil);
                    return [v, i];
                }
            );
        })
        {
            Ranks = [4],
            Types = Floats,
            Kinds = Plain,
            Batches = [2, 1, 5],
        };
        yield return Pictures("lp_pool2d", (draw, _) =>
        {
            var (p, k, ceil) = (draw.Pick(1.0, 2, 3), draw.Number(1, 3), draw.Flag());
            return x => F.lp_pool2d(x, p, k, 2, ceil);
        }) with
        {
            Kinds = Plain,
            // libtorch rounds the powers, their average and the sum to the dtype; the file rounds the result.
            Slack = 6,
        };
        yield return Pictures("adaptive_avg_pool2d", (draw, _) =>
        {
            var (h, w) = (draw.Number(1, 7), draw.Number(1, 7));
            return x => F.adaptive_avg_pool2d(x, [h, w]);
        });
        yield return Pictures("adaptive_max_pool2d", (draw, _) =>
        {
            var (h, w) = (draw.Number(1, 7), draw.Number(1, 7));
            return x => F.adaptive_max_pool2d(x, [h, w]);
        });
        yield return new OperationRow("adaptive_max_pool2d_with_indices", 1, (draw, _) =>
        {
            var (h, w) = (draw.Number(1, 5), draw.Number(1, 5));
            return (Func<Tensor, Tensor[]>)(
                x =>
                {
                    var (v, i) = F.adaptive_max_pool2d_with_indices(x, [h, w]);
                    return [v, i];
                }
            );
        })
        {
            Ranks = [4],
            Types = Floats,
            Kinds = Plain,
            Batches = [2, 1, 5],
        };
        yield return new OperationRow("unpool", 1, (_, _) => (Func<Tensor, Tensor>)(
                x =>
                {
                    var (v, i) = F.max_pool2d_with_indices(x, [2, 2]);
                    return F.max_unpool2d(v, i, [2, 2]);
                }
            ))
        {
            Ranks = [4],
            FirstShape = (_, _) => [2, 3, 6, 8],
            Types = [ScalarType.Float32, ScalarType.Float64],
            Kinds = [ValueKind.Ordinary],
            Batches = [2, 1, 5],
        };

        // normalization and convolution
        yield return Pictures("layer_norm", (_, shape) =>
        {
            var last = shape.Sizes[^1];
            return x => F.layer_norm(x, [last]);
        }) with
        {
            Slack = 3,
        };
        yield return Pictures("group_norm", (_, _) => x => F.group_norm(x, 3)) with
        {
            Kinds = Plain,
            Slack = 3,
        };
        yield return Pictures("instance_norm", (_, _) => x => F.instance_norm(x)) with
        {
            Kinds = Plain,
            Slack = 3,
        };
        yield return Pictures("local_response_norm", (draw, _) =>
        {
            var (size, alpha, beta, k) = (draw.Number(1, 5), draw.Real(0.01, 1), draw.Real(0.3, 1), draw.Real(0.5, 2));
            return x => F.local_response_norm(x, size, alpha, beta, k);
        }) with
        {
            // ONNX Runtime's LRN spreads NaN further than its window; docs/operators.md says so.
            Kinds = Plain,
            Ranks = [3, 4, 5],
            FirstShape = (draw, rank) => [2, draw.Number(1, 7), .. draw.Shape(rank)[2..]],
        };
        yield return new OperationRow("batch_norm", 2, (_, _) =>
            (Func<Tensor, Tensor, Tensor>)((x, s) => F.batch_norm(x, s, s.abs() + 0.5f, training: false))
        )
        {
            Ranks = [2, 3, 4, 5],
            SecondShape = (_, sizes) => [sizes[1]],
            SecondType = (_, type) => type,
            Types = Floats,
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
            Slack = 3,
        };
        yield return new OperationRow("conv2d", 2, (draw, _) =>
        {
            var (s, p, d) = (draw.Number(1, 2), draw.Number(0, 2), draw.Number(1, 2));
            return (Func<Tensor, Tensor, Tensor>)((x, w) => F.conv2d(x, w, w[.., 0, 0, 0], [s, s], [p, p], [d, d]));
        })
        {
            Ranks = [4],
            FirstShape = (draw, _) => [2, 3, draw.Number(5, 9), draw.Number(5, 9)],
            SecondShape = (_, _) => [4, 3, 2, 3],
            SecondType = (_, type) => type,
            Types = Floats,
            Kinds = [ValueKind.Ordinary],
            Slack = 3,
            Batches = [2, 1, 5],
        };
        yield return new OperationRow("conv_transpose1d", 2, (draw, _) =>
        {
            var (s, p, d) = (draw.Number(1, 3), draw.Number(0, 1), draw.Number(1, 2));
            var o = draw.Number(0, Math.Max(s, d) - 1);
            return (Func<Tensor, Tensor, Tensor>)(
                (x, w) => F.conv_transpose1d(x, w, stride: s, padding: p, output_padding: o, dilation: d)
            );
        })
        {
            Ranks = [3],
            FirstShape = (draw, _) => [2, 3, draw.Number(3, 9)],
            SecondShape = (_, _) => [3, 4, 3],
            SecondType = (_, type) => type,
            Types = Floats,
            Kinds = [ValueKind.Ordinary],
            Slack = 3,
            Batches = [2, 1, 5],
        };
        yield return Pictures("unfold: function", (draw, _) =>
        {
            var (k, d, p, s) = (draw.Number(1, 3), draw.Number(1, 2), draw.Number(0, 1), draw.Number(1, 2));
            return x => F.unfold(x, k, d, p, s);
        });
        yield return new OperationRow("fold: function", 1, (_, _) =>
            (Func<Tensor, Tensor>)(x => F.fold(x, (4, 5), (2, 2)))
        )
        {
            Ranks = [3],
            FirstShape = (_, _) => [2, 8, 12],
            Types = [ScalarType.Float32, ScalarType.Float64],
            Kinds = [ValueKind.Ordinary, ValueKind.Special],
            Batches = [2, 1, 5],
        };
        foreach (var mode in (GridSampleMode[])[GridSampleMode.Bilinear, GridSampleMode.Nearest])
        {
            yield return new OperationRow($"grid_sample {mode}", 2, (draw, _) =>
            {
                var (padding, corners) = (
                    draw.Pick(
                        GridSamplePaddingMode.Zeros,
                        GridSamplePaddingMode.Border,
                        GridSamplePaddingMode.Reflection
                    ),
                    draw.Flag()
                );
                return (Func<Tensor, Tensor, Tensor>)((x, g) => F.grid_sample(x, g, mode, padding, corners));
            })
            {
                Ranks = [4],
                SecondShape = (draw, sizes) => [sizes[0], 3, 5, 2],
                SecondType = (_, type) => type,
                Types = [ScalarType.Float32, ScalarType.Float64],
                Kinds = [ValueKind.Ordinary],
                PrepareSecond = (y, _) => y * 0.6f,
                Batches = [2, 1, 5],
            };
        }

        yield return new OperationRow("affine_grid", 1, (draw, _) =>
        {
            var corners = draw.Flag();
            return (Func<Tensor, Tensor>)(x => F.affine_grid(x, [x.size(0), 3, 4, 5], corners));
        })
        {
            Ranks = [3],
            FirstShape = (_, _) => [2, 2, 3],
            Types = [ScalarType.Float32, ScalarType.Float64],
            Kinds = Plain,
        };

        // losses
        yield return Loss("mse_loss", (_, r) => (a, b) => F.mse_loss(a, b, r));
        yield return Loss("l1_loss", (_, r) => (a, b) => F.l1_loss(a, b, r));
        yield return Loss("smooth_l1_loss", (draw, r) =>
        {
            var beta = draw.Pick(1.0, 0.5, 0);
            return (a, b) => F.smooth_l1_loss(a, b, r, beta);
        });
        yield return Loss("huber_loss", (draw, r) =>
        {
            var delta = draw.Pick(1.0, 0.5);
            return (a, b) => F.huber_loss(a, b, delta, r);
        });
        yield return Loss("binary_cross_entropy", (_, r) =>
            (a, b) => F.binary_cross_entropy(a.sigmoid(), b.sigmoid(), reduction: r)
        ) with
        {
            Kinds = [ValueKind.Ordinary],
        };
        yield return Loss("binary_cross_entropy_with_logits", (draw, r) =>
        {
            var weighted = draw.Flag();
            return (a, b) =>
                F.binary_cross_entropy_with_logits(
                    a,
                    b.sigmoid(),
                    weighted ? b.abs() : null,
                    r,
                    weighted ? b.abs() + 1 : null
                );
        });
        yield return Loss("kl_div", (draw, r) =>
        {
            var log = draw.Flag();
            return (a, b) => F.kl_div(a.log_softmax(-1), log ? b.log_softmax(-1) : b.softmax(-1), log, r);
        }) with
        {
            Kinds = Plain,
            Floor = 1e-3, // what is left of terms near 1 that cancel
        };
        yield return Loss("poisson_nll_loss", (draw, r) =>
        {
            var (log, full) = (draw.Flag(), draw.Flag());
            return (a, b) => F.poisson_nll_loss(a, b.abs(), log, full, reduction: r);
        }) with
        {
            Kinds = Plain,
        };
        yield return Loss("gaussian_nll_loss", (draw, r) =>
        {
            var full = draw.Flag();
            return (a, b) => F.gaussian_nll_loss(a, b, b.abs() + 0.1f, full, reduction: r);
        }) with
        {
            Kinds = Plain,
        };
        yield return Loss("soft_margin_loss", (_, r) => (a, b) => F.soft_margin_loss(a, b.sign(), r));
        yield return Loss("hinge_embedding_loss", (draw, r) =>
        {
            var margin = draw.Pick(1.0, 0.5);
            return (a, b) => F.hinge_embedding_loss(a, torch.where(b > 0, ones_like(b), -ones_like(b)), margin, r);
        });
        yield return Loss("margin_ranking_loss", (draw, r) =>
        {
            var margin = draw.Pick(0.0, 0.5);
            return (a, b) => F.margin_ranking_loss(a, b, b.sign(), margin, r);
        });
        yield return Loss("multilabel_soft_margin_loss", (_, r) =>
            (a, b) => F.multilabel_soft_margin_loss(a, (b > 0).to(a.dtype), reduction: r)
        ) with
        {
            Ranks = [2],
            Kinds = Plain,
        };
        yield return Loss("cosine_embedding_loss", (draw, r) =>
        {
            var margin = draw.Pick(0.0, 0.5);
            return (a, b) =>
                F.cosine_embedding_loss(
                    a,
                    b,
                    torch.where(a.sum([1]) > 0, ones(1, a.dtype), -ones(1, a.dtype)),
                    margin,
                    r
                );
        }) with
        {
            Ranks = [2],
            Kinds = Plain,
        };
        yield return Loss("triplet_margin_loss", (draw, r) =>
        {
            var (margin, p, swap) = (draw.Pick(1.0, 0.5), draw.Number(1, 3), draw.Flag());
            return (a, b) => F.triplet_margin_loss(a, b, a.flip(0) * 0.5f, margin, p, 1e-6, swap, r);
        }) with
        {
            Ranks = [2],
            Kinds = Plain,
            Terms = 1, // the margin, which what is left of two distances is added to
        };
        OperationRow ByClass(string name, Func<Draw, Reduction, Func<Tensor, Tensor, Tensor>> make) =>
            Loss(name, make) with
            {
                Ranks = [2, 3, 4],
                SecondShape = (_, sizes) => [sizes[0], .. sizes[2..]],
                SecondType = (_, _) => ScalarType.Int64,
                PrepareSecond = (y, _) => y.abs() % 3,
                Kinds = Plain,
            };
        yield return ByClass("cross_entropy", (draw, r) =>
        {
            var (smoothing, ignore, weighted) = (draw.Pick(0, 0.1), draw.Pick(-100, 1L), draw.Flag());
            return (a, t) =>
                F.cross_entropy(a, t, weighted ? arange(1, a.size(1) + 1, dtype: a.dtype) : null, ignore, r, smoothing);
        });
        yield return Loss("cross_entropy: probabilities", (draw, r) =>
        {
            var (smoothing, weighted) = (draw.Pick(0, 0.1), draw.Flag());
            return (a, b) =>
                F.cross_entropy(
                    a,
                    b.softmax(1),
                    weighted ? arange(1, a.size(1) + 1, dtype: a.dtype) : null,
                    reduction: r,
                    label_smoothing: smoothing
                );
        }) with
        {
            Kinds = Plain,
        };
        yield return ByClass("nll_loss", (draw, r) =>
        {
            var weighted = draw.Flag();
            return (a, t) =>
                F.nll_loss(a.log_softmax(1), t, weighted ? arange(1, a.size(1) + 1, dtype: a.dtype) : null, r);
        });
        yield return ByClass("multi_margin_loss", (draw, r) =>
        {
            var (p, margin) = ((int)draw.Number(1, 2), draw.Pick(1.0, 0.5));
            return (a, t) => F.multi_margin_loss(a, t, p, margin, reduction: r);
        }) with
        {
            Ranks = [2],
            Batches = [2, 1, 7], // without rows, TorchSharp returns uninitialized memory
        };

        // searching
        yield return One("bucketize", (draw, _) =>
        {
            var (right, narrow) = (draw.Flag(), draw.Flag());
            return x => x.bucketize(tensor(new[] { -1f, 0, 0, 0.5f, 2 }), narrow, right);
        });
        yield return new OperationRow("searchsorted", 2, (draw, _) =>
        {
            var right = draw.Flag();
            return (Func<Tensor, Tensor, Tensor>)((s, v) => searchsorted(s.sort(-1).Values, v, false, right));
        })
        {
            Ranks = [1, 2, 3],
            SecondShape = (_, sizes) => [.. sizes[..^1], 4],
            SecondType = (_, type) => type,
            Types = [ScalarType.Float32, ScalarType.Int64],
            Kinds = [ValueKind.Ordinary, ValueKind.Ties],
            Batches = [2, 1, 5],
        };
        yield return new OperationRow("isin", 2, (draw, _) =>
        {
            var invert = draw.Flag();
            return (Func<Tensor, Tensor, Tensor>)((a, b) => a.isin(b, false, invert));
        })
        {
            Ranks = AnyRank,
            SecondShape = (_, _) => [4],
            SecondType = (_, type) => type,
        };

        // complex numbers as pairs
        yield return new OperationRow("complex: rotary", 2, (_, _) =>
            (Func<Tensor, Tensor, Tensor>)((x, y) => view_as_real(view_as_complex(x) * view_as_complex(y)))
        )
        {
            Ranks = [2, 3],
            FirstShape = (draw, rank) => [.. draw.Shape(rank)[..^1], 2],
            SecondShape = (_, sizes) => sizes,
            Types = [ScalarType.Float32],
            SecondType = (_, type) => type,
            Kinds = [ValueKind.Ordinary],
            Closeness = Closeness.Row,
        };
        yield return new OperationRow("complex: polar", 2, (_, _) => (Func<Tensor, Tensor, Tensor>)(
                (x, y) =>
                {
                    var z = polar(x, y);
                    return view_as_real(z.conj() * z + z)
                        + z.real.unsqueeze(-1)
                        + z.imag.unsqueeze(-1)
                        + z.abs().unsqueeze(-1);
                }
            ))
        {
            Ranks = [1, 2],
            SecondShape = (_, sizes) => sizes,
            Types = [ScalarType.Float32],
            SecondType = (_, type) => type,
            Kinds = [ValueKind.Ordinary],
            PrepareSecond = (y, _) => y,
            Prepare = x => x.abs(),
        };
    }

    private static IEnumerable<OperationRow> Rows() =>
        [.. Elementwise(), .. Reductions(), .. Shapes(), .. Matrices(), .. Layers()];
}
