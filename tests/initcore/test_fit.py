"""Fits: brackets of the exact distance, honest p-values, no false alarms, no missed errors."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from initcore.draw import DTYPES, Spec, draw_spec
from initcore.fit import ALPHA, fit, ks_bracket, std_error
from initcore.laws import (
    HaarCoordinate,
    Normal,
    Pattern,
    TruncatedNormal,
    Uniform,
    ZeroInflated,
    constant,
)
from initcore.layers import Layer
from initcore.measure import grid_for, measure
from initcore.schemes import Init, Slot, xavier_bound

LAWS = {
    "uniform": Uniform(-0.2, 0.5),
    "normal": Normal(0.1, 0.2),
    "truncated": TruncatedNormal(0.0, 0.3, -0.5, 0.2),
    "orthogonal": HaarCoordinate(5, 0.5),
    "sparse": ZeroInflated(0.3, Normal(0.0, 0.2)),
}
SQUARE = Layer("linear", (64, 64))


def sample(law, count, seed=0, dtype="float32"):
    p = np.random.default_rng(seed).random(count)
    return torch.from_numpy(np.asarray(law.quantile(p))).to(DTYPES[dtype])


def fit_sample(tensor, law):
    dtype = str(tensor.dtype).removeprefix("torch.")
    return fit(measure(tensor, grid_for(law, tensor.numel(), dtype)), law)


def fit_spec(spec, law=None):
    law = law or spec.weight.law(spec.slot("weight"))
    return fit_sample(draw_spec(spec).weight, law)


def exact_ks(tensor, law):
    """sup |Fn - F| at and just below every value and every atom."""
    values = np.sort(tensor.double().numpy())
    points = np.concatenate([values, [value for value, _ in law.atoms]])
    at = np.searchsorted(values, points, side="right") / len(values) - law.cdf(points)
    below = np.searchsorted(values, points, side="left") / len(values) - law.cdf_below(points)
    return max(np.abs(at).max(), np.abs(below).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 25, 1000, 40_000])
@pytest.mark.parametrize("truth", LAWS)
@pytest.mark.parametrize("supposed", LAWS)
def test_bracket_holds_the_exact_distance(supposed, truth, count, dtype):
    law = LAWS[supposed]
    tensor = sample(LAWS[truth], count, dtype=dtype)
    low, high = ks_bracket(measure(tensor, grid_for(law, count, dtype)), law)
    exact = exact_ks(tensor, law)
    assert low <= exact + 1e-12
    assert exact <= high + 1e-12
    # Its gap is small beside the 5 % critical value.
    if supposed == truth:
        assert high - low < 0.25 * 1.358 / math.sqrt(count)


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated", "orthogonal"])
@pytest.mark.parametrize("count", [100, 1000, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_distance_and_p_value_agree_with_scipy(name, count, seed):
    law = LAWS[name]
    tensor = sample(law, count, seed, "float64")
    result = fit_sample(tensor, law)
    scipys = stats.kstest(tensor.numpy(), law.cdf)
    assert result.ks_low == pytest.approx(scipys.statistic, abs=0.15 / math.sqrt(count))
    # Stephens' approximation, of the bracket's lower end: never stricter than the exact test.
    assert result.p_value == pytest.approx(stats.kstwo.sf(result.ks_low, count), abs=0.015)
    assert result.p_value > scipys.pvalue - 0.015


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", LAWS)
def test_bracket_of_16_bit_types_closes_on_the_rounded_laws_distance(name, dtype):
    law = LAWS[name]
    tensor = sample(law, 3000, dtype=dtype)
    low, high = ks_bracket(measure(tensor), law)
    # Rounding turns over half way to the next value, on either side of each value drawn.
    values = torch.unique(tensor)
    infinity = torch.tensor(math.inf, dtype=values.dtype)
    sides = torch.cat([values.nextafter(infinity), values.nextafter(-infinity)])
    middles = (sides.double() + values.double().repeat(2)).numpy() / 2
    empirical = np.searchsorted(np.sort(tensor.double().numpy()), middles) / 3000
    assert low == high == pytest.approx(np.abs(empirical - law.cdf(middles)).max(), abs=1e-12)


@pytest.mark.parametrize("slug", ["xavier_uniform", "kaiming_normal", "orthogonal", "sparse"])
def test_false_alarms_are_rare(slug):
    layer = Layer("linear", (9, 11))
    alarms = sum(not fit_spec(Spec(layer, Init(slug), seed=seed)).agrees for seed in range(150))
    assert alarms <= 1


def test_the_std_of_an_orthogonal_matrix_strays_by_the_square_of_its_mean():
    layer = Layer("linear", (9, 11))
    weights = [draw_spec(Spec(layer, Init("orthogonal"), seed=seed)).weight for seed in range(1000)]
    weights.sort(key=lambda weight: abs(weight.mean()))
    law = HaarCoordinate(11, 1.0)
    assert sum(not fit_sample(weight, law).agrees for weight in weights[-10:]) <= 2


@pytest.mark.parametrize(
    ("slug", "wrong"),
    [
        ("xavier_uniform", Init("xavier_uniform", {"gain": 1.1})),
        ("xavier_normal", Init("xavier_normal", {"gain": 1 / 1.1})),
        ("orthogonal", Init("orthogonal", {"gain": 1.1})),
        ("xavier_uniform", Init("xavier_normal")),
        ("xavier_normal", Init("xavier_uniform")),
        ("kaiming_normal", Init("kaiming_normal", {"mode": "fan_out"})),
        ("kaiming_uniform", Init("lecun_uniform")),
        ("default", Init("xavier_uniform")),
        ("sparse", Init("sparse", {"sparsity": 0.3})),
        ("sparse", Init("sparse", {"std": 0.011})),
        ("trunc_normal", Init("normal")),
        ("normal", Init("normal", {"mean": 0.1})),
        ("zeros", Init("ones")),
        ("eye", Init("sparse")),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_wrong_laws_are_found_among_4096_values(slug, wrong, seed):
    layer = Layer("linear", (32, 128))
    result = fit_spec(Spec(layer, Init(slug), seed=seed), wrong.law(Slot(layer, "weight")))
    assert not result.agrees
    assert "fit" not in result.verdict or "do not fit" in result.verdict
    assert fit_spec(Spec(layer, Init(slug), seed=seed)).agrees


@pytest.mark.parametrize(
    "init",
    [
        Init("uniform"),
        Init("normal"),
        Init("trunc_normal"),
        Init("orthogonal"),
        Init("sparse", {"sparsity": 0.8}),
    ],
    ids=lambda init: init.slug,
)
def test_std_error_is_the_spread_of_the_std_ratio(init):
    layer = Layer("linear", (24, 32))
    law = init.law(Slot(layer, "weight"))
    ratios = [
        float(draw_spec(Spec(layer, init, seed=seed)).weight.double().std()) / law.std
        for seed in range(400)
    ]
    # 400 draws know their spread to 3.5 %.
    assert std_error(law, layer.count) == pytest.approx(np.std(ratios, ddof=1), rel=0.1)
    assert np.mean(ratios) == pytest.approx(1, abs=0.5 * std_error(law, layer.count))


@pytest.mark.parametrize("count", [0, 1])
def test_std_error_needs_two_values_and_a_spread(count):
    assert math.isnan(std_error(Normal(0, 1), count))
    assert math.isnan(std_error(constant(1.0), 100))


def test_the_ratio_is_the_measured_std_over_the_laws():
    tensor = sample(LAWS["normal"], 500)
    result = fit_sample(tensor, Normal(0.1, 0.1))
    assert result.std_ratio == pytest.approx(float(tensor.std()) / 0.1, rel=1e-5)
    assert math.isnan(fit_sample(torch.ones(9), constant(1.0)).std_ratio)


# --- verdicts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["xavier_uniform", "xavier_normal", "orthogonal", "default"])
def test_25_values_are_called_too_few(slug):
    result = fit_spec(Spec(Layer("linear", (5, 5)), Init(slug)))
    assert result.agrees
    assert "25 are too few to tell it from" in result.verdict


def test_enough_values_are_not_called_too_few():
    for init in (Init("xavier_uniform"), Init("xavier_normal")):
        assert "too few" not in fit_spec(Spec(SQUARE, init)).verdict


def test_an_orthogonal_entry_looks_normal():
    assert "singular values" in fit_spec(Spec(SQUARE, Init("orthogonal"))).verdict


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "init",
    [
        Init("xavier_uniform"),
        Init("xavier_normal"),
        Init("kaiming_uniform"),
        Init("trunc_normal", {"std": 0.02}),
        Init("normal", {"mean": 1.0, "std": 0.5}),
        Init("sparse"),
        Init("constant", {"val": 0.1}),
        Init("eye"),
    ],
    ids=lambda init: init.slug,
)
def test_a_million_values_raise_no_alarm_in_any_dtype(init, dtype):
    result = fit_spec(Spec(Layer("linear", (1100, 1000)), init, dtype=dtype))
    assert result.agrees, result.verdict


def test_a_gap_that_only_many_values_reveal_is_named_and_let_pass():
    tensor = torch.empty(2_000_000).normal_(generator=torch.Generator().manual_seed(0))
    result = fit_sample(tensor, Normal(0.0, 1.004))
    assert result.p_value < ALPHA
    assert result.agrees
    assert "below what matters" in result.verdict
    for wrong in (Normal(0.0, 1.02), Normal(0.012, 1.0)):
        assert not fit_sample(tensor, wrong).agrees


def test_a_few_outliers_that_no_distance_shows_are_found_by_the_std():
    tensor = sample(Normal(0.0, 1.0), 100_000)
    assert fit_sample(tensor, Normal(0.0, 1.0)).agrees
    tensor[:20] = 15.0
    result = fit_sample(tensor, Normal(0.0, 1.0))
    assert result.ks_low < 0.005
    assert result.std_ratio == pytest.approx(1.02, abs=0.01)
    assert not result.agrees


def test_nonfinite_values_are_reported():
    tensor = sample(LAWS["normal"], 100)
    tensor[3], tensor[5] = math.nan, math.inf
    result = fit_sample(tensor, LAWS["normal"])
    assert not result.agrees
    assert "2 of 100 values are nan or infinite" in result.verdict
    assert not fit_sample(torch.full((3,), math.nan), LAWS["normal"]).agrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 0.1, -0.3, 1.0, 100.0])
def test_constants_equal_their_rounded_value(value, dtype):
    tensor = torch.full((50,), value, dtype=DTYPES[dtype])
    result = fit_sample(tensor, constant(value))
    assert result.agrees
    assert result.p_value is None
    assert "All 50 values equal" in result.verdict
    tensor[7] += 1
    result = fit_sample(tensor, constant(value))
    assert not result.agrees
    assert "Not all 50 values equal" in result.verdict
    assert not fit_sample(torch.full_like(tensor, value + 1), constant(value)).agrees


def test_patterns_hold_their_shares():
    law = Pattern(((0.0, 0.75), (1.0, 0.25)))
    tensor = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert fit_sample(tensor, law).agrees
    assert "are the pattern" in fit_sample(tensor, law).verdict
    for wrong in ([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.9], [0.1, 0.0, 0.0, 1.0]):
        result = fit_sample(torch.tensor(wrong), law)
        assert not result.agrees
        assert "are not the pattern" in result.verdict


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_value_is_possible_or_impossible(dtype):
    law = Uniform(-0.1, 0.1)
    # The ends, rounded to a short type, may lie a little outside.
    ends = [] if dtype == "float64" else [(0.1, True), (-0.1, True)]
    for value, possible in [(0.0, True), (0.11, False), (-0.11, False), *ends]:
        result = fit_sample(torch.tensor([value], dtype=DTYPES[dtype]), law)
        assert result.agrees == possible
        assert ("is possible" if possible else "is impossible") in result.verdict


@pytest.mark.parametrize("slug", ["xavier_normal", "xavier_uniform", "normal"])
def test_outside_is_the_share_beyond_xaviers_bound(slug):
    bound = xavier_bound(SQUARE)
    weight = draw_spec(Spec(SQUARE, Init(slug))).weight
    law = Init(slug).law(Slot(SQUARE, "weight"))
    m = measure(weight, grid_for(law, SQUARE.count, "float32", bound))
    outside = fit(m, law, bound).outside_xavier
    assert outside == pytest.approx(float((weight.abs() > bound).double().mean()))
    assert fit(m, law).outside_xavier is None


def test_verdicts_carry_the_numbers():
    law = Normal(0.0, 0.25)
    result = fit_sample(sample(law, 5000), law)
    for part in ("5,000", law.notation, "0.25", "p = "):
        assert part in result.verdict
    assert "p < 10⁻⁶" in fit_sample(sample(law, 5000), Normal(0.0, 0.5)).verdict
