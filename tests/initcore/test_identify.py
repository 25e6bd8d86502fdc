"""Identify: the right family, the true scheme in the set, no mixed-up fan, no false alarm."""

import itertools
import math
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.confusion import OPTIMISERS, TRAINED_FROM, cases, clusters, holds, images, train
from initcore.draw import DTYPES, draw
from initcore.errors import InitError
from initcore.identify import CERTAIN, _named, identify, layer_of
from initcore.laws import Law
from initcore.layers import Layer
from initcore.measure import measure
from initcore.schemes import SCHEMES, Init, Scheme, Slot, normal_law
from tests.initcore.odd import tensors

SQUARE = Layer("linear", (64, 64))
WIDE = Layer("linear", (256, 64))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, std=0.02, mean=0.0, seed=0):
    return torch.empty(shape).normal_(mean, std, generator=generator(seed))


def uniform(*shape, bound=0.1, seed=0):
    return torch.empty(shape).uniform_(-bound, bound, generator=generator(seed))


def orthogonal(*shape, gain=1.0):
    return torch.nn.init.orthogonal_(torch.empty(shape), gain, generator=generator())


def slugs(found):
    return {candidate.scheme for candidate in found.schemes}


def labels(found):
    return [candidate.label for candidate in found.schemes]


# --- the confusion table, a sample of it ---------------------------------------------------------

SAMPLE = [case for case in cases(1) if case.layer.count <= 70_000][::11]


@pytest.mark.parametrize(
    "case", SAMPLE, ids=lambda c: f"{c.init.slug}-{c.layer.code}-{c.dtype}-{c.seed}"
)
def test_family_and_scheme_of_fresh_tensors(case):
    found = identify(case.tensor(), case.layer)
    if case.layer.count >= CERTAIN:
        assert found.family == case.family
        assert found.confidence == "certain"
    assert found.family not in ("none", "mixture", "garbage")
    assert holds(found, case)
    assert len(found.sentence) > 10


@pytest.mark.parametrize("init", TRAINED_FROM, ids=lambda init: init.slug)
def test_trained_weights_are_recognised(init):
    for task, optimiser in ((images, "SGD 0.05, momentum 0.9"), (clusters, "Adam 0.005")):
        assert optimiser in OPTIMISERS
        hidden = list(train(task, init, optimiser, seed=1))[1]
        found = identify(hidden.weight, hidden.layer)
        assert found.family in ("none", "mixture"), (task.__name__, hidden.moved)
        assert not found.schemes


@pytest.mark.parametrize("shape", [(5, 5), (8, 40), (64, 9), (40, 40), (3, 200)])
def test_fresh_tensors_are_never_called_trained(shape):
    for seed in range(60):
        for tensor in (normal(*shape, seed=seed), uniform(*shape, seed=seed)):
            assert identify(tensor).family not in ("none", "mixture", "garbage")


# --- scale: fans and gains -----------------------------------------------------------------------


@pytest.mark.parametrize("law", ["kaiming_normal", "kaiming_uniform"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("nonlinearity", ["linear", "tanh", "relu"])
def test_the_fan_and_the_gain_are_told(law, mode, nonlinearity):
    weight = draw(WIDE, law, mode=mode, nonlinearity=nonlinearity).weight
    found = identify(weight, WIDE)
    mine = [c for c in found.schemes if c.scheme == law]
    assert mine
    assert {c.params["mode"] for c in mine} == {mode}
    # leaky_relu of slope 0 is ReLU; the simplest parameters name it.
    names = {c.params["nonlinearity"] for c in mine}
    assert names & ({"relu", "leaky_relu"} if nonlinearity == "relu" else {nonlinearity})
    for candidate in mine:
        assert candidate.ratio == pytest.approx(1, abs=5 * candidate.error)
        assert candidate.law.std == pytest.approx(float(weight.std()), rel=0.03)


@pytest.mark.parametrize(
    "slug", ["xavier_uniform", "kaiming_normal", "lecun_uniform", "orthogonal"]
)
@pytest.mark.parametrize("factor", [math.sqrt(2), 1 / math.sqrt(2), math.sqrt(3), 0.8796])
def test_a_wrong_scale_is_not_consistent(slug, factor):
    layer = Layer("linear", (100, 41))
    weight = draw(layer, slug).weight
    truth = Init(slug).law(Slot(layer, "weight")).std
    found = identify(weight * factor, layer)
    assert found.schemes
    for candidate in found.schemes:
        assert candidate.law.std == pytest.approx(factor * truth, rel=0.06)
        assert dict(candidate.params) != dict(Init(slug).params) or candidate.scheme != slug


def test_a_mean_that_is_chance_is_not_named():
    fresh = identify(normal(128, 128, std=0.0137))
    assert [c.label for c in fresh.schemes] == [f"normal(std={fresh.measurement.std:.4g})"]
    assert fresh.params["mean"].value == fresh.measurement.mean
    (moved,) = identify(normal(128, 128, std=0.0137, mean=0.01)).schemes
    assert moved.params["mean"] == pytest.approx(0.01, abs=1e-3)


def test_what_coincides_is_returned_together():
    found = identify(draw(SQUARE, "xavier_normal").weight, SQUARE)
    assert {"xavier_normal", "lecun_normal", "kaiming_normal"} <= slugs(found)
    found = identify(draw(WIDE, "default").weight, WIDE)
    assert labels(found) == ["default", "kaiming_uniform(a=√5)"]
    # Where in ≠ out they part.
    assert "lecun_normal" not in slugs(identify(draw(WIDE, "xavier_normal").weight, WIDE))


def test_no_scheme_is_listed_twice_with_one_law():
    for slug in ("xavier_normal", "kaiming_uniform", "default", "trunc_normal", "orthogonal"):
        found = identify(draw(WIDE, slug).weight, WIDE)
        stds = [(c.scheme, round(c.law.std, 6), c.law.low) for c in found.schemes]
        assert len(stds) == len(set(stds))
        assert len(found.schemes) <= 4


def test_effective_fans_are_candidates_and_said():
    layer = Layer("conv2d", (64, 192, 3), groups=4)
    std = math.sqrt(2 / layer.effective_fan_out)
    found = identify(normal(*layer.weight_shape, std=std), layer)
    assert any("kaiming_normal(mode='fan_out') at the effective fans" in x for x in labels(found))
    at_torchs = identify(draw(layer, "kaiming_normal", mode="fan_out").weight, layer)
    assert "kaiming_normal(mode='fan_out')" in labels(at_torchs)
    assert not any("kaiming_normal(mode='fan_out') at" in x for x in labels(at_torchs))


STACKED = ["xavier_uniform", "xavier_normal", "kaiming_normal", "lecun_uniform", "orthogonal"]


@pytest.mark.parametrize("slug", STACKED)
@pytest.mark.parametrize("shape", [(6, 64, 160), (5, 160, 64), (2, 3, 64, 96)])
def test_matrices_of_a_stack_are_told_from_the_stack(slug, shape):
    """As of the experts of a mixture, each drawn on its own or, a known slip, all at once."""
    one = Layer("linear", (shape[-1], shape[-2]))
    each = [draw(one, slug, seed=seed).weight for seed in range(math.prod(shape[:-2]))]
    found = identify(torch.stack(each).reshape(shape))
    assert f"{slug} of each {shape[-2]} × {shape[-1]}" in labels(found)
    assert all("of each" in label for label in labels(found))
    assert found.torch_draw is (None if slug == "orthogonal" else True)
    whole = identify(draw(layer_of(shape), slug).weight)
    assert slug in labels(whole)
    assert not any("of each" in label for label in labels(whole))


def test_orthogonal_matrices_of_a_stack_share_a_gain():
    one = Layer("linear", (128, 64))
    stack = torch.stack([draw(one, "orthogonal", seed=seed).weight for seed in range(4)])
    assert "each of 4" in identify(stack).sentence
    stack[2] *= 1.5
    assert identify(stack).family != "orthogonal"


def test_no_kernel_is_a_stack():
    layer = Layer("conv2d", (64, 96, 31))
    assert not any("of each" in label for label in labels(identify(draw(layer, "default").weight)))
    for other in (layer, Layer("bilinear", (64, 64, 32))):
        assert not any("of each" in named.label for named in _named(Slot(other, "weight")))


def test_fitted_parameters_only_where_no_named_scheme_fits():
    found = identify(normal(100, 100, std=0.0137))
    (only,) = found.schemes
    assert only.scheme == "normal"
    assert only.params["std"] == pytest.approx(0.0137, rel=0.03)
    assert labels(identify(normal(100, 300, std=0.02)))[0] == "normal(std=0.02)"


def test_a_new_record_is_a_candidate(monkeypatch):
    base = next(scheme for scheme in SCHEMES if scheme.slug == "lecun_normal")

    @dataclass(frozen=True)
    class Triangle(Law):
        half: float
        family: ClassVar[str] = "triangle"
        mean = 0.0
        kurtosis = 2.4
        notation = "a triangle"
        std = property(lambda self: self.half / math.sqrt(6))
        low = property(lambda self: -self.half)
        high = property(lambda self: self.half)

        def pdf(self, x):
            return np.maximum(1 - np.abs(x) / self.half, 0) / self.half

        def cdf(self, x):
            z = np.clip(np.asarray(x) / self.half, -1, 1)
            return 0.5 + z - np.sign(z) * z * z / 2

        def quantile(self, p):
            return self.half * np.where(
                p < 0.5, np.sqrt(2 * p) - 1, 1 - np.sqrt(2 * (1 - np.asarray(p)))
            )

    def record(slug: str, law) -> Scheme:
        return Scheme(slug, slug, (), (2,), law, "", "", "", call=base.call)

    new = (
        record("thrice", lambda slot, p: normal_law(0.0, 3 / slot.layer.fan_in)),
        record("triangle", lambda slot, p: Triangle(2 / slot.layer.fan_in)),
    )
    monkeypatch.setattr(sys.modules["initcore.schemes"], "SCHEMES", (*SCHEMES, *new))
    _named.cache_clear()
    try:
        found = identify(normal(64, 256, std=3 / 256), WIDE)
        assert "thrice" in labels(found)
        two = uniform(2, 64, 256, bound=1 / 256)
        found = identify(two[0] + two[1], WIDE)
        assert (found.family, labels(found)) == ("triangle", ["triangle"])
    finally:
        _named.cache_clear()


# --- patterns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "family", "slug"),
    [(0.0, "zeros", "zeros"), (1.0, "ones", "ones"), (0.3, "constant", "constant")],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_constants(value, family, slug, dtype):
    for shape in ((7,), (5, 9), (4, 3, 2, 2)):
        found = identify(torch.full(shape, value, dtype=DTYPES[dtype]))
        assert (found.family, found.schemes[0].scheme) == (family, slug)
        assert found.params["value"].value == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("shape", [(6, 6), (5, 9), (9, 5)])
def test_identities(shape):
    found = identify(torch.eye(*shape))
    assert (found.family, labels(found)) == ("eye", ["eye"])
    scaled = identify(-0.5 * torch.eye(*shape))
    assert (scaled.family, scaled.params["scale"].value, scaled.schemes) == ("eye", -0.5, ())
    moved = torch.eye(*shape).roll(1, 0)
    assert identify(moved).family != "eye"
    assert not identify(moved).schemes


def sinusoids(rows, columns):
    """Sine and cosine of rows × columns / 2 angles, the base of Vaswani et al."""
    half = columns // 2
    angles = torch.arange(rows)[:, None] * 1e4 ** (-torch.arange(half) / half)
    return angles.sin(), angles.cos()


@pytest.mark.parametrize("dtype", DTYPES)
def test_sinusoidal_positions(dtype):
    sines, cosines = sinusoids(100, 32)
    side = torch.cat(sinusoids(10, 16), 1)
    tables = {
        "neighbours": torch.stack([sines, cosines], 2).reshape(100, 32),
        "sines first": torch.cat([sines, cosines], 1),
        "an image and its class": torch.cat(
            [torch.zeros(1, 32), torch.cat([side.repeat_interleave(10, 0), side.repeat(10, 1)], 1)]
        ),
    }
    for name, table in tables.items():
        found = identify(table.to(DTYPES[dtype]))
        assert (found.family, found.confidence) == ("sinusoidal", "certain"), name
        assert identify((1.1 * table).to(DTYPES[dtype])).family != "sinusoidal", name
        assert identify(table.roll(1, 0)[:, :-1].to(DTYPES[dtype])).family != "sinusoidal", name


def test_what_is_no_sinusoid():
    signs = torch.ones(1, 1)
    for _ in range(6):  # Hadamard's matrix, whose pairs lie on a circle, too
        signs = torch.cat([torch.cat([signs, signs], 1), torch.cat([signs, -signs], 1)])
    sines, cosines = sinusoids(100, 32)
    noise = 0.01 * torch.randn(100, 32, generator=torch.Generator().manual_seed(0))
    for tensor in (
        signs / math.sqrt(2),
        torch.cat([sines, cosines], 1) + noise,  # that has trained
        torch.cat([sines, sines], 1),
        torch.stack([sines[:, 0], cosines[:, 0]], 1),  # directions in a plane
        orthogonal(64, 64),
    ):
        assert identify(tensor).family != "sinusoidal"


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_dirac_kernels(groups):
    tensor = torch.nn.init.dirac_(torch.empty(8, 2, 3, 3), groups)
    assert identify(tensor).family == "dirac"
    layer = Layer("conv2d", (2 * groups, 8, 3), groups=groups)
    assert "dirac" in slugs(identify(tensor, layer))
    assert identify(tensor.roll(1, 2)).family != "dirac"


def test_delta_orthogonal():
    tensor = torch.zeros(16, 8, 3, 3)
    tensor[:, :, 1, 1] = orthogonal(16, 8, gain=1.5)
    found = identify(tensor)
    assert found.family == "delta_orthogonal"
    assert found.params["scale"].value == pytest.approx(1.5, rel=1e-4)
    tensor[0, 0, 0, 0] = 1e-3
    assert identify(tensor).family != "delta_orthogonal"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 5), (64, 32), (32, 200), (24, 3, 3, 3)])
def test_orthogonal_by_its_singular_values(shape, dtype):
    weight = orthogonal(*shape, gain=math.sqrt(2)).to(DTYPES[dtype])
    found = identify(weight)
    assert (found.family, labels(found)) == ("orthogonal", ["orthogonal(gain=√2)"])
    assert found.params["gain"].value == pytest.approx(math.sqrt(2), rel=1e-2)


def test_a_permuted_orthogonal_matrix_is_normal():
    weight = orthogonal(80, 80)
    order = torch.randperm(weight.numel(), generator=generator())
    assert identify(weight.flatten()[order].reshape(80, 80)).family == "normal"
    assert identify(weight[torch.randperm(80, generator=generator())]).family == "orthogonal"
    # A little training leaves it near to orthogonal, which a normal is not.
    assert identify(weight + normal(80, 80, std=0.01)).family == "none"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_sparse(sparsity, dtype):
    layer = Layer("linear", (80, 60))
    weight = draw(layer, "sparse", sparsity=sparsity, dtype=dtype).weight
    found = identify(weight, layer)
    assert (found.family, slugs(found)) == ("sparse", {"sparse"})
    assert found.params["sparsity"].value == pytest.approx(sparsity, abs=1 / 60)
    assert found.params["std"].value == pytest.approx(0.01, rel=0.1)
    # Pruned: the same share of zeros, but scattered.
    scattered = weight.flatten()[torch.randperm(4800, generator=generator())].reshape(60, 80)
    assert identify(scattered).family == "none"


# --- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [(-2.0, 2.0), (-3.0, 3.0), (-1.0, 1.5), (-0.5, 2.5), (-2.5, 0.2)])
def test_truncation_at_any_cut(cut):
    a, b = 0.02 * cut[0], 0.02 * cut[1]
    weight = draw(Layer("linear", (128, 128)), "trunc_normal", std=0.02, a=a, b=b).weight
    found = identify(weight)
    assert found.family == "truncated_normal"
    for name, truth in {"mean": 0.0, "std": 0.02, "a": a, "b": b}.items():
        estimate = found.params[name]
        assert abs(estimate.value - truth) < 6 * estimate.error, name
    assert found.schemes[0].scheme == "trunc_normal"


def test_a_cut_that_no_value_reaches_is_none():
    found = identify(draw(WIDE, "trunc_normal", std=0.02).weight, WIDE)
    assert found.family == "normal"
    assert slugs(found) == {"normal", "trunc_normal"}


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(64, 90),
    std=st.floats(1e-4, 10),
    kind=st.sampled_from(["normal", "uniform"]),
)
@settings(max_examples=25)
def test_estimates_signs_and_transposes(seed, rows, std, kind):
    x = torch.empty(rows, 64)
    x.normal_(0, std, generator=generator(seed)) if kind == "normal" else x.uniform_(
        -std, std, generator=generator(seed)
    )
    found = identify(x)
    assert found.family == kind
    for name, truth in (
        {"std": std, "mean": 0} if kind == "normal" else {"a": -std, "b": std}
    ).items():
        assert (
            abs(found.params[name].value - truth)
            < (6 if kind == "normal" else 20) * found.params[name].error
        )
    assert identify(-x).family == identify(x.T).family == identify(x.flatten()).family == kind


def test_too_few_values_are_said_to_be():
    layer = Layer("linear", (5, 5))
    found = identify(draw(layer, "xavier_uniform").weight, layer)
    assert (found.family, found.confidence) == ("cannot_tell", "cannot tell")
    assert "25 values" in found.sentence
    assert "about 560" in found.sentence
    assert {"xavier_uniform", "xavier_normal"} <= slugs(found)
    assert {"a", "b", "mean", "std"} <= set(found.params)
    assert identify(torch.tensor([3.0])).family == "cannot_tell"
    assert identify(torch.tensor(1.0)).family == "ones"


@pytest.mark.parametrize("off", [0.9995, 1.0005])
def test_harmless_deviations_among_many_values_are_no_alarm(off):
    layer = Layer("linear", (2048, 1024))
    for slug in ("xavier_normal", "xavier_uniform"):
        weight = draw(layer, slug).weight
        assert labels(identify(weight * off, layer))[0] == slug
        assert slug not in slugs(identify(weight * 1.02, layer))


def test_a_bias_has_the_fans_of_its_weight():
    layer = Layer("linear", (1000, 300))
    bias = draw(layer, "default").bias
    assert labels(identify(bias, layer)) == ["default"]
    assert "default" not in slugs(identify(bias))
    assert "default" not in slugs(identify(2 * bias, layer))


def test_a_measurement_is_used():
    weight = normal(64, 64)
    measured = measure(weight)
    assert identify(weight, measurement=measured).measurement is measured


# --- what is not one fresh law -------------------------------------------------------------------

COUNT = torch.arange(4096, dtype=torch.int32)


@pytest.mark.parametrize(
    ("tensor", "sign"),
    [
        (torch.tensor([[1.0, math.nan]]), "nan"),
        (torch.tensor([1.0, math.inf], dtype=torch.bfloat16), "infinite"),
        (normal(64, 64).index_fill(0, torch.tensor([3]), 1e20), "1e20"),
        (COUNT.view(torch.float32).reshape(64, 64), "denormal"),
        ((COUNT * 524_287).view(torch.float32), "nan"),
        (torch.full((4,), 1e300, dtype=torch.float64), "infinite"),
        (torch.full((4,), 1e-310, dtype=torch.float64), "denormal"),
    ],
    ids=["nan", "inf", "huge", "denormal", "integers", "1e300", "1e-310"],
)
def test_garbage(tensor, sign):
    found = identify(tensor)
    assert found.family == "garbage"
    assert sign in found.sentence
    assert not found.schemes


def test_small_halves_are_no_garbage():
    assert identify(normal(64, 64, std=1e-4).half()).family == "normal"
    assert identify(normal(64, 64, std=1e-6).half()).family == "normal"


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    "parts",
    [
        (normal(64, 100), normal(64, 100, std=0.05, seed=1)),
        (uniform(96, 100), normal(48, 100)),
        (normal(96, 100), normal(96, 100, std=0.2), normal(96, 100)),
        (uniform(64, 100, bound=0.02 * math.sqrt(3)), normal(64, 100)),
    ],
    ids=["scales", "laws and scales", "middle", "laws"],
)
def test_blocks(parts, transposed):
    tensor = torch.cat(parts)
    found = identify(tensor.T.contiguous() if transposed else tensor)
    assert found.family == "mixture"
    assert len(found.notes) == len(parts)
    assert ("columns" if transposed else "rows") in found.sentence
    stds = [p.value for name, p in found.params.items() if name.startswith("std")]
    assert len(found.params) == len(parts)
    for part, read in zip(parts, found.params.values(), strict=True):
        assert read.value == pytest.approx(float(part.std()), rel=0.1), stds


def test_the_forget_gates_slice_of_a_bias():
    bias = uniform(512)
    bias[128:256] += 1
    found = identify(bias)
    assert found.family == "mixture"
    assert "entries 128–255" in found.sentence
    bias = torch.zeros(512)
    bias[128:256] = 1
    assert "entries 128–255: ones" in identify(bias).sentence


def test_rows_of_zeros():
    table = normal(1000, 32, std=1.0)
    table[7] = 0
    found = identify(table, Layer("embedding", (1000, 32)))
    assert found.family == "normal"
    assert {"default", "normal"} <= slugs(found)
    assert "row 7 is all zeros" in found.notes[0]
    assert found.torch_draw
    table[20:40] = 0
    assert identify(table).family == "mixture"
    assert identify(table * 1.1 + (table != 0) * 1e-5).torch_draw is False
    narrow = normal(1000, 24, std=1.0)  # rows that are not whole runs of what torch drew
    narrow[7] = 0
    assert identify(narrow).torch_draw is None


@pytest.mark.parametrize("narrow", ["bfloat16", "float16"])
@pytest.mark.parametrize("wide", ["float32", "float64"])
@pytest.mark.parametrize("slug", ["default", "xavier_normal", "orthogonal", "sparse"])
def test_what_a_narrower_type_holds_is_told_as_of_that_type(slug, narrow, wide):
    layer = Layer("linear", (512, 256))
    weight = draw(layer, slug).weight.to(DTYPES[narrow])
    held, own = identify(weight.to(DTYPES[wide]), layer), identify(weight, layer)
    assert (held.family, labels(held)) == (own.family, labels(own))
    assert held.sentence == f"All values are {narrow}'s, held in {wide}. {own.sentence}"
    assert held.notes == (f"all values are {narrow}'s, held in {wide}", *own.notes)
    one_off = weight.to(DTYPES[wide])
    one_off[-1, -1] = 1 / 3 * one_off.std()
    assert "held in" not in identify(one_off, layer).sentence


# Bounds that lie between two values of bfloat16 in many ways.
@pytest.mark.parametrize("bound", [0.07596, 1 / 24, 0.0357, *np.geomspace(0.013, 0.19, 9)])
def test_rounding_moves_an_end_of_many_values_by_half_a_step(bound):
    even = uniform(512, 512, bound=bound).bfloat16()
    assert identify(even).family == "uniform"
    cut = torch.empty(512, 512)
    torch.nn.init.trunc_normal_(cut, std=bound / 2, a=-bound, b=bound, generator=generator())
    assert identify(cut.bfloat16()).family == "truncated_normal"
    # An end that training has smeared is none.
    smeared = even + 0.05 * bound * normal(512, 512, std=1.0, seed=1)
    assert identify(smeared.bfloat16()).family not in ("uniform", "normal")


def test_a_draw_held_in_double_precision_is_known():
    found = identify(normal(64, 64).double())
    assert found.sentence.startswith("All values are float32's, held in float64.")
    assert found.drawn_on == "CPU"


def test_few_values_are_of_no_type():
    signs = torch.where(normal(64, 64) > 0, 1.0, -1.0)
    for tensor in (torch.zeros(9, 9), torch.full((9, 9), 0.5), torch.eye(9), signs):
        assert "held in" not in identify(tensor).sentence


@pytest.mark.parametrize("dtype", DTYPES)
def test_spikes_at_the_bounds_are_noted(dtype):
    weight = normal(256, 128).clamp(-0.04, 0.04).to(DTYPES[dtype])
    found = identify(weight)
    assert found.family == "truncated_normal"
    assert len([note for note in found.notes if "sit exactly at" in note]) == 2
    assert found.torch_draw is None  # what was cut out of it has no order
    clean = draw(
        Layer("linear", (128, 256)), "trunc_normal", std=0.02, a=-0.04, b=0.04, dtype=dtype
    )
    assert not identify(clean.weight).notes


@pytest.mark.parametrize("ends", [(-2.0,), (-2.0, 2.0), (-2.0, -2.0, -2.0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_few_values_far_outside_do_not_hide_the_law(dtype, ends):
    weight = normal(512, 256).to(DTYPES[dtype])
    weight[3, 5 : 5 + len(ends)] = torch.tensor(ends).to(weight)
    found = identify(weight)
    assert (found.family, found.strays) == ("normal", len(ends))
    assert labels(found)[0] == "normal(std=0.02)"
    assert found.measurement.std == pytest.approx(0.02, rel=0.01)
    held = "All values are float32's, held in float64. " if dtype == "float64" else ""
    assert found.sentence.startswith(f"{held}{len(ends)} of 131,072 values lie")


def test_what_is_no_stray():
    assert identify(normal(512, 256)).strays == 0
    weight = normal(512, 256)
    weight[0, :2] = torch.tensor([-2.0, 1.3])  # no bound that both were clamped to
    assert identify(weight).family == "none"
    trained = normal(96, 96) + 0.3 * torch.outer(normal(96), normal(96, seed=1)) / 0.02
    trained[0, 0] = -2.0
    assert identify(trained).family == "none"
    weight = normal(512, 256)
    weight[:, 0] = -2.0  # a whole column
    assert not identify(weight).strays


@pytest.mark.parametrize(
    "tensor",
    [
        torch.distributions.Laplace(0.0, 1.0).icdf(uniform(96, 96, bound=0.4999) + 0.5),
        normal(96, 96) + 0.01 * torch.outer(normal(96, std=1.0), normal(96, std=1.0, seed=1)),
        normal(24, 96).repeat(4, 1),
        torch.arange(4096.0),
        (normal(96, 96) > 0).float(),
        torch.sin(torch.arange(512.0)[:, None] * torch.logspace(0, -4, 64)),
        uniform(96, 96) + normal(96, 96, std=0.003),
        normal(96, 96, mean=0.0014),
        normal(96, 96).cumsum(1) / 10,
    ],
    ids=["laplace", "rank 1", "repeated", "ramp", "binary", "sines", "smeared", "drift", "walk"],
)
def test_what_no_initialisation_leaves(tensor):
    found = identify(tensor)
    assert found.family == "none"
    assert not found.schemes
    assert found.notes


# --- errors --------------------------------------------------------------------------------------


def test_what_cannot_be_identified():
    with pytest.raises(InitError, match="int64"):
        identify(torch.arange(5))
    with pytest.raises(InitError, match="empty"):
        identify(torch.empty(0, 5))
    with pytest.raises(InitError, match=r"\[4, 4\] is neither the weight \[4, 3\]"):
        identify(normal(4, 4), Layer("linear", (3, 4)))


def test_layers_of_shapes():
    assert layer_of((7, 3)) == Layer("linear", (3, 7))
    assert layer_of((16, 4, 3, 5)) == Layer("conv2d", (4, 16, 3, 5))
    assert all(layer_of(shape) is None for shape in ((5,), (), (1,) * 6, (0, 3)))
    for size in itertools.product((2, 3), repeat=4):
        layer = layer_of(size)
        assert layer is not None
        assert layer.weight_shape == size


# --- whatever comes -----------------------------------------------------------------------------


def grains(seed):
    """Values so small that float16 holds few of them, most of them zero."""
    generator = torch.Generator().manual_seed(seed)
    values = (torch.randn(33, 100, generator=generator) * 1e-8).half()
    return values * (torch.rand(33, 100, generator=generator) < 0.3)


ODD = {
    "ones beside a diagonal": 1 - torch.eye(300),
    "a triangle": torch.triu(torch.ones(31, 31)),
    "few of one sign": torch.tensor([2.6740, 1.9542, 2.5394, 2.5612, 1.9785]),
    "four whole numbers": torch.tensor([3.0, -2.0, -3.0, 3.0]),
    "grains in float16": grains(3),
    "one of a kind": 1e3 + 0.02 * (torch.arange(32 * 31).reshape(32, 31) == 97),
}


@pytest.mark.parametrize("tensor", ODD.values(), ids=ODD)
def test_every_tensor_gets_an_answer(tensor):
    for values in (tensor, tensor.T if tensor.dim() > 1 else tensor, tensor.flatten()):
        assert identify(values).sentence
    for layer in (None, Layer("linear", tensor.shape[::-1]) if tensor.dim() > 1 else None):
        assert identify(tensor, layer).family != "normal"


@given(tensors())
@settings(max_examples=120)
def test_any_tensor_gets_an_answer(tensor):
    found = identify(tensor)
    assert found.sentence
    assert found.confidence in ("certain", "likely", "cannot tell")
