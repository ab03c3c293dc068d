"""Every kernel of the programs in examples/, at a size that takes an executor seconds at most: what to run it on.

A line binds types, parameters and symbols ("T=f64 BM=8 M=13") and says which arguments are special. All others are
random: floats normal, integers of up to 8 bits any, wider ones from -100 to 100. Sizes are no multiples of tiles where
they need not be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Make = Callable[[np.random.Generator, tuple[int, ...]], Array]


@dataclass(frozen=True)
class Case:
    """One launch of a kernel. `given`: numbers for scalars; for tensors, how their values are made."""

    program: str
    kernel: str
    settings: str = ""
    given: Mapping[str, Make | int | float] = field(default_factory=dict)
    quick: bool = False

    def __str__(self) -> str:
        return f"{self.program}:{self.kernel}"


def cases(program: str, *rows: Case) -> list[Case]:
    """Cases of one program."""
    return [Case(program, row.kernel, row.settings, row.given, row.quick) for row in rows]


def case(kernel: str, settings: str = "", **given: Make | int | float) -> Case:
    return Case("", kernel, settings, given)


def quick(kernel: str, settings: str = "", **given: Make | int | float) -> Case:
    """A case that the plain suite runs: it compiles fast and stands for its program."""
    return Case("", kernel, settings, given, quick=True)


# What arguments hold


def between(low: float, high: float) -> Make:
    """Uniform numbers."""
    return lambda rng, shape: rng.uniform(low, high, shape)


def below(end: int, start: int = 0) -> Make:
    """Whole numbers from start to end - 1."""
    return lambda rng, shape: rng.integers(start, end, shape)


def values(*numbers: float) -> Make:
    """These numbers, in the tensor's shape."""
    return lambda rng, shape: np.array(numbers).reshape(shape)


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.ones(shape)


def ordered(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Falling numbers of (-1, 1), apart from each other."""
    count = int(np.prod(shape))
    return (1 - 2 * (np.arange(count) + 0.5) / count).reshape(shape)


def dominant(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Symmetric positive definite matrices, far from singular."""
    a = rng.standard_normal(shape)
    return a @ a.swapaxes(-1, -2) / shape[-1] + np.eye(shape[-1]) * 3


def programs(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Straight-line programs as autonumerics/evaluator.vmc has them, of three constants."""
    code = np.zeros(shape, np.int64)
    for k in range(shape[1]):
        code[:, k, 0] = rng.integers(0, 5, shape[0])
        code[:, k, 1:] = rng.integers(0, 4 + k, (shape[0], 2))
    return code


def levels(low: float, high: float, step: float) -> Make:
    """Sums of steps: numbers that floats hold exactly."""
    return lambda rng, shape: np.round(rng.uniform(low, high, shape) / step) * step


def sorted_between(low: float, high: float) -> Make:
    """Rising numbers from low to high."""
    return lambda rng, shape: np.linspace(low, high, int(np.prod(shape))).reshape(shape)


positive = between(0.1, 2.0)
unit = between(0.0, 1.0)
bits = below(2)
ADAM = {"beta1": 0.9, "beta2": 0.99, "warm1": 0.3, "warm2": 0.2, "rate": 0.01, "decay": 0.1}
SCALED = {"most_a": ones, "most_b": ones, "scale_a": positive, "scale_b": positive}

CASES = [
    *cases(
        "autonumerics/evaluator",
        quick("relative_errors", "L=5 C=3 B=64 P=3 N=70", code=programs, x=unit, target=positive),
        case("deviations", "T=f32 L=5 C=3 B=64 P=3 N=70", code=programs, x=unit, target=positive),
    ),
    *cases(
        "autonumerics/evolved",
        quick("evolved_exp2", "B=64 N=100", x=unit),
        case("exp2_full", "B=64 N=100", x=between(-1100, 1100)),
        quick("horner", "N_COEFFICIENTS=5 B=64 N=100", x=unit),
        case("ulp_error", "B=64 N=200 G=2", y=positive, exact=positive),
    ),
    *cases(
        "berrut/berrut",
        case("chebyshev_points", "N=70"),
        quick("berrut_weights", "K=5 N=9", nodes=ordered, points=sorted_between(-0.9, 1)),
        case("berrut_eval", "BM=16 BK=8 B=16 N=20 K=11 E=21"),
        case("gram", "R=8 C=8 N=3"),
        quick("syndrome", "N=16 E=5 KEEP=10"),
        case("locate", "N=12 E=4 KEEP=4 ROUNDS=1 P=2"),
    ),
    *cases(
        "dcdm/dcdm",
        quick("conv", "CI=8 CO=8 BW=16 S=1 H=3 W=18"),
        case("turned", "CI=8 CO=4"),
        case("conv_weights", "CI=8 CO=8 BW=16 S=2 H=3 W=18"),
        case("relu_back", "B=64 N=100"),
        case("add", "B=64 N=100"),
        case("pool", "C=4 BW=8 S=2 H=3 W=10 H2=6 W2=20", scale=0.25),
        case("spread", "C=4 BW=8 S=2 H=3 W=10 H2=6 W2=20", scale=0.25),
        case("adam", "B=64 N=100", rate=0.01, step=3.0, v=positive),
        case("poisson", "B=16 S=2 H=5 W=19", mask=bits),
        case("masked", "B=16 S=2 H=5 W=19", mask=bits),
        quick("dots", "S=3 N=300"),
        case("unit", "B=64 S=3 N=100"),
        case("loss", "B=64 S=2 N=100", aq=positive, q=positive),
        case("orthogonalise", "B=64 N=100", energy=positive),
        case("advance", "B=64 N=100", p=positive, ap=positive),
        case("subtract", "B=64 N=100"),
        case("mixtures", "N=16 S=1", seed=7, low=3),
    ),
    *cases(
        "deeponet/deeponet",
        case("covariance_factor", "N=12", length=0.2, jitter=1e-6),
        quick("noise", "B=32 S=2 N=50", seed=3),
        case("solve", "PROBLEM=0 R=16 S=20 N=9 L=5"),
        quick("solve", "PROBLEM=1 R=16 S=20 N=9 L=5"),
        case("solve", "T=f32 PROBLEM=2 R=16 S=20 N=9 L=5"),
        case("diffusion_reaction", "X=20 FINE=2 S=2 L=3"),
        case("join", "BM=16 BN=16 BK=16 B=20 P=18 Q=21"),
        case("square_error", "BN=32 M=3 N=40"),
        case("pairs", "BN=32 S=4 L=6 M=5 N=40 W=41", f=below(4), p=below(6)),
    ),
    *cases(
        "discquant/discquant",
        quick("group_grid", "T=u3 G=32 R=4 N=6 K=64"),
        case("round_to_nearest", "T=u3 G=32 R=4 N=6 K=64", scale=positive),
        case("neighbours", "T=u2 G=32 R=4 N=6 K=64", scale=positive),
        case("choose", "T=u3 R=4 B=32 N=6 K=50", x=unit),
        case("dequantize", "T=u5 G=32 R=4 N=6 K=64", scale=positive),
        case("squared_distance", "B=32 N=3 K=50"),
        case("rotate", "H=32 B=8 N=10", seed=3, runs=2),
        case("rotate", "H=32 B=8 N=10 INVERSE=true", seed=3, runs=2),
        quick("interpolate_nt", "T=u3 G=32 BK=32 BM=16 BN=16 M=20 N=21 K=64", x=unit, scale=positive),
        case("interpolate_nn", "T=u3 G=32 BK=32 BM=16 BN=16 M=20 N=21 K=64", x=unit, scale=positive),
        case("interpolate_gradient", "T=u3 G=32 BK=32 BM=16 BN=16 M=20 N=21 K=64", scale=positive),
        quick("divergence", "R=4 BV=32 M=6 V=27"),
        case("descend", "B=64 N=100", y=unit, x=unit, v=positive, weight=2.0, most=1.0, **ADAM),
        case("random_start", "B=64 N=100", seed=5),
        case("moments", "BM=16 BK=16 M=20 K=21", h=dominant),
        case("inverse_factor", "K=16", damp=0.01, h=dominant),
        case("gptq", "T=u3 R=4 K=16 N=6", scale=positive, u=dominant),
        case("walk", "M=2 N=9", x=unit),
    ),
    *cases(
        "fp4_training/fp4",
        case("greatest", "B=64 N=100", most=zeros),
        quick("quantize", "B=32 R=8 M=10 K=70 N=10 P=96", seed=1, most=ones),
        case("quantize", "S=f8e4m3 B=16 R=8 TENSOR=true M=10 K=70 N=10 P=80", seed=1, most=ones),
        case("quantize", "S=f8e5m3u B=16 R=8 TRANSPOSED=true STOCHASTIC=true M=40 K=10 N=10 P=48", seed=1, most=ones),
        case("dequantize", "S=f8e4m3 B=16 TENSOR=true N=3 P=48", most=ones),
        case("lost", "B=64 N=100"),
        quick("product", "B=32 BM=16 BN=16 M=20 N=21 P=64", **SCALED),
        quick("rotate", "STAGES=4 R=8 M=10 K=30 N=10 P=32", seed=2),
        case("rotate", "T=f64 STAGES=5 R=8 TRANSPOSED=true INVERSE=true M=60 K=10 N=10 P=64", seed=2),
        case("quantize_gradient", "B=32 R=4 M=6 K=40", most=ones),
        case("quantize_gradient", "S=f8e4m3 B=16 R=4 TENSOR=true ESTIMATOR=1 SCALE_SLOPE=1.0 M=6 K=40", most=ones),
        case("quantize_gradient", "S=f8e5m3u B=16 R=4 ESTIMATOR=2 M=6 K=40", most=ones),
        case("quantize_gradient", "S=f8e5m3u B=16 R=4 ESTIMATOR=3 M=6 K=40", most=ones),
    ),
    *cases(
        "hamming/hamming",
        case("compare", "T=u4 B=32 L=100 M=7 H=94"),
        quick("pack_planes", "T=u4 PLANES=4 B=4 L=300 W=10"),
        case("planes", "PLANES=2 R=4 TW=9 PW=2 H=150", m=50),
        case("start", "B=64 H=100", m=9),
        case("histogram", "T=u8 B=64 N=100 S=256", counts=zeros),
        case("roots", "N=16"),
        case("spectra", "T=u8 N=16 M=9 S=2", pattern=below(4), pairs=below(4), root_re=unit, root_im=unit),
        case(
            "count_by_fourier",
            "T=u8 N=16 B=2 L=30 S=1 H=22",
            m=9,
            text=below(3),
            pairs=values(3, 4),
            re=ones,
            im=ones,
            root_re=unit,
            root_im=unit,
        ),
        case("chain", "T=u4 M=20 S=16", heads=lambda rng, shape: np.full(shape, -1)),
        quick(
            "count_by_pairs",
            "T=u4 B=32 L=70 S=16 M=5 H=66",
            rare=bits,
            heads=lambda rng, shape: np.arange(16) % 5,
            after=values(-1, 0, 1, -1, 3),
        ),
        case("pack_random", "T=u8 B=4 L=300 R=2 W=10", seed=9),
        case("planes_mean", "B=4 R=2 TW=9 PW=2 H=150", m=50),
    ),
    *cases(
        "ibp/ibp",
        quick("ibp_linear", "BM=16 BN=16 BK=16 B=17 N=20 M=18", r=positive),
        case("ibp_conv", "W=6 BO=16 BC=16 BH=2 B=1 C=4 H=5 O=5", r=positive),
        case("ibp_relu", "R=64 N=100", r=positive),
        case("worst_logits", "K=5 BK=32 B=3 N=40", r=positive, targets=below(5)),
        case("ibp_linear_inputs", "BM=16 BN=16 BK=16 B=17 N=20 M=18"),
        case("ibp_linear_weights", "T=f64 BM=16 BN=16 BK=16 B=17 N=20 M=18"),
        case("ibp_relu_gradient", "R=64 N=100", r=positive),
        case("worst_inputs", "K=5 BK=32 B=3 N=40", targets=below(5)),
        case("worst_weights", "K=5 BK=32 B=3 N=40", r=positive, targets=below(5)),
        case("masked_product", "ABS=true K=5 BN=16 BK=16 B=2 M=20 N=18", mask=bits),
        case("masked_product", "K=5 BN=16 BK=16 B=2 M=20 N=18", mask=bits),
        case("pattern", "R=64 N=100"),
        case("reached", "BK=32 R=3 N=40", p=positive),
        case("principal", "N=8", covariance=dominant),
    ),
    *cases(
        "lipschitz/lipschitz",
        quick("crown_backward_layer", "BS=16 BM=16 BN=16 P=2 S=17 N=20 M=18", l=between(-2, 0), u=between(-0.5, 2)),
        case("concretize", "BS=8 BN=16 P=2 S=9 N=20", radius=0.1),
        case(
            "grad_relax_layer",
            "WAY=0 BS=16 BM=16 BN=16 P=2 S=17 N=20 M=18",
            l=between(-2, 0),
            u=between(-0.5, 2),
            low=between(-2, 0.2),
            high=between(0.2, 2),
        ),
        case(
            "grad_relax_layer",
            "WAY=1 BS=16 BM=16 BN=16 P=2 S=17 N=20 M=18",
            l=between(-2, 0),
            u=between(-0.5, 2),
            low=between(-2, 0.2),
            high=between(0.2, 2),
        ),
        case("gradient_end", "BS=8 BN=16 P=2 S=9 N=20", l=between(-2, 0), u=between(-0.5, 2)),
        quick("abs_chord", "BN=16 P=3 N=20", low=between(-2, 0.2), high=between(0.2, 2)),
        case("greatest_sum", "BN=16 P=3 N=20"),
        case("interval_layer", "BM=16 BN=16 P=2 M=18 N=20", low=between(-2, 0.2), high=between(0.2, 2)),
        case("bab_score", "N=20 P=3"),
        case("gradient_layer", "BM=16 BN=16 P=2 M=18 N=20"),
    ),
    *cases(
        "log_bessel/log_bessel",
        case("log_iv", "B=64 N=70", v=between(0, 50), x=between(0, 50)),
        case("log_kv", "B=64 N=70", v=between(0, 50), x=between(0, 50)),
        case("bessel_ratio", "B=64 N=70", v=between(0, 50), x=between(0, 50)),
    ),
    *cases(
        "log_bessel/von_mises_fisher",
        case("resultant", "B=32 N=5 P=40"),
        quick("mean_length", "B=32 P=40", n=5.0),
        case("vmf_fit", "B=16 N=20", p=between(2, 100), r=between(0.1, 0.9)),
        case("vmf_nll", "B=16 N=20", p=between(2, 100), kappa=between(1, 50), r=between(0.1, 0.9)),
    ),
    *cases(
        "mfac/mfac",
        case("panel_dots", "P=16 BN=16 BK=16 M=40 D=50", first=16, q=positive),
        case("panel_reduce", "P=16 BN=16 M=40 D=50", first=16, damp=0.5),
        case("panel_gram", "T=f64 P=16 BK=16 M=40 D=50 C=2", first=16),
        case("panel_coefficients", "P=16 M=40 C=2", first=16, parts=dominant),
        case("panel_mix", "P=16 BN=16 M=40 D=50", first=16),
        case("row_dots", "B=32 M=5 D=50", q=positive),
        case("combine", "B=64 M=5 D=100", damp=0.5),
        case("diagonal", "B=64 M=5 D=100", damp=0.5, q=positive),
        case("gram", "BM=16 BK=16 M=20 D=50"),
        quick("replace", "B=64 M=4 D=100", place=2),
        case("gram_row", "B=64 M=5 D=100", place=2),
        case("shifted", "P=16 M=20", damp=0.5),
        case("lu_diagonal", "P=16 M=20", first=16, u=dominant),
        quick("lu_panels", "T=f64 P=16 M=40", first=0, u=dominant),
        case("lu_trailing", "P=16 M=40", first=0),
        case("pivots", "M=9"),
        case("coefficient_rows", "P=16 M=40", first=16, damp=0.5, u=dominant, q=positive),
        case("p_solve", "P=16 M=20", damp=0.5, u=dominant, q=positive),
        case("mix", "B=32 M=40"),
        case("scores", "B=64 D=100", diagonal=positive),
        case("smallest", "B=64 D=100", count=30, scores=levels(0, 4, 0.125)),
        case("removal", "B=64 D=100", diagonal=positive, dropped=bits),
        case("apply", "B=64 D=100", dropped=bits),
        case("gradients", "C=5 F=8 N=3", label=below(5)),
        case("descend", "B=64 N=5 D=100", rate=0.1, decay=0.01),
        case("judge", "C=5 F=8 N=3", label=below(5)),
    ),
    *cases(
        "minilm/encoder",
        case("linear", "T=u4 BM=16 BN=16 BK=32 G=64 M=20 K=128 N=24", scale=positive),
        quick("add_normalize", "H=48 B=2 M=5", epsilon=1e-12),
        case("add_gelu", "H=48 B=2 M=5"),
        case("attention", "D=16 B=16 S=1 L=20 H=32"),
    ),
    *cases(
        "networks/layers",
        case("product_nt", "BM=16 BN=16 BK=16 M=20 N=21 K=18"),
        quick("product_nn", "BM=16 BN=16 BK=16 M=20 N=21 K=18"),
        case("product_tn", "T=f64 BM=16 BN=16 BK=16 M=20 N=21 K=18"),
        case("add_bias", "R=4 B=32 M=6 N=40"),
        case("column_sums", "R=4 B=32 M=6 N=40"),
        case("add_into", "B=64 N=100"),
        case("scale_into", "T=f64 B=64 N=100", alpha=0.5, beta=2.0),
        case("relu", "B=64 N=100"),
        case("relu_gradient", "B=64 N=100"),
        case("gelu", "B=64 N=100"),
        case("gelu_gradient", "B=64 N=100"),
        case("rms_norm", "R=4 H=24 M=6", epsilon=1e-5),
        case("rms_norm_gradient", "R=4 H=24 M=6", r=positive),
        case("rms_gain_gradient", "R=4 B=16 M=6 H=24", r=positive),
        case("embed", "H=24 S=2 L=5 V=9 C=8", ids=below(9)),
        case("embed_gradient", "BV=16 R=16 H=16 M=20 V=9", ids=below(9)),
        quick("attention", "C=16 D=8 S=2 L=13 W=48 H=16"),
        case("attention_gradient", "C=16 D=8 S=1 L=13 W=48 H=16"),
        case("cross_entropy", "R=4 BV=32 M=6 V=27", targets=below(27)),
        case("adam", "B=64 N=100", v=positive, epsilon=1e-8, **ADAM),
    ),
    *cases(
        "private_kde/kde",
        case("pairwise_sum", "D=3 KIND=0 BQ=4 BN=32 N=50 Q=6", width=1.0),
        case("pairwise_sum", "T=f64 D=3 KIND=1 BQ=4 BN=32 N=50 Q=6", width=1.0),
        case("pairwise_sum", "D=3 KIND=2 BQ=4 BN=32 N=50 Q=6", width=1.5),
        case("pairwise_sum", "D=3 KIND=3 BQ=4 BN=32 N=50 Q=6", width=1.5),
        quick("histogram_tree", "LEVELS=3 B=32 N=50 W=2 NODES=16", low=-2.0, width=4.0, tree=zeros),
        case("add_noise", "B=32 W=2 NODES=40", seed=4, scale=1.5),
        case(
            "ring_query",
            "LEVELS=3 RINGS=4 W=2 NODES=16 Q=3",
            low=-2.0,
            width=4.0,
            edges=values(0, 1, 2, 4, 8),
        ),
        case("directions", "B=32 W=3 D=40", seed=6),
        case("project", "BM=16 BN=16 BK=16 N=20 D=18 W=17"),
        case("frequencies", "B=32 F=3 D=40", seed=6, width=2.0),
        case("rff_sum", "D=8 BF=16 BN=16 N=20 F=18"),
        case("release", "B=32 F=40", seed=6, scale=2.0),
        quick("rff_query", "D=8 BQ=16 BF=16 Q=18 F=20"),
        case("classify", "C=4 B=16 Q=20", size=positive),
    ),
    *cases(
        "relaxation/relaxation",
        case("sor_solve", "G=4 B=16 S=18", c=unit, omega=between(1.0, 1.6), tolerance=1e-6, cap=40),
        case("ssor_pcg", "G=4 B=16 S=18", c=unit, omega=between(1.0, 1.6), tolerance=1e-6, cap=40),
        quick("tsallis_probs", "A=8", k=between(0, 5), eta=0.5),
        quick("tsallis_run", "A=8 R=2 T=5", seeds=below(100), costs=below(40, 10)),
        case(
            "chebyshev_run",
            "A=4 M=3 R=2 T=5",
            ridge=1.0,
            gamma=1.0,
            seeds=below(100),
            context=between(-1, 1),
            costs=below(40, 10),
        ),
    ),
    *cases(
        "tensor_attention/attention",
        case("exact", "D=8 BQ=16 BK=16 N=18 M=3 L=20"),
        quick("features", "D=3 G=2 R=10 B=8 N=11", places=below(4)),
        quick("gram_parts", "D=3 G=2 R=16 B=16 N=40 C=2", places=below(4)),
        case("gram_product", "D=3 R=10 C=2"),
        case("apply", "D=3 G=2 R=16 B=16 N=18", places=below(4), product=positive, coefficients=positive, q=positive),
    ),
]
