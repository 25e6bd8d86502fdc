"""Reports: complete, strict JSON, the same whether held or streamed."""

import contextlib
import json
import math

import pytest
import torch

from initcore.draw import BLOCK, Limits, Spec, draw_spec
from initcore.errors import InitError
from initcore.layers import LAYERS, Layer
from initcore.report import as_dict, comparison, describe, outside_sentence
from initcore.schemes import Init, Slot, schemes, xavier_bound, xavier_std

TINY = Limits(hold_mb=1e-1)
WIDE = Layer("linear", (60, 70))

KEYS = {
    "layer",
    "shape",
    "fan_in",
    "fan_out",
    "effective_fan_in",
    "effective_fan_out",
    "scheme",
    "params",
    "seed",
    "torch_version",
    "law",
    "xavier",
    "measured",
    "fit",
}
NESTED = {
    "law": {"family", "mean", "std", "low", "high"},
    "xavier": {"uniform_bound", "normal_std"},
    "measured": {
        "count",
        "min",
        "max",
        "mean",
        "std",
        "skewness",
        "kurtosis",
        "zeros",
        "nonfinite",
    },
    "fit": {"ks_low", "ks_high", "p_value", "std_ratio", "outside_xavier", "verdict"},
}


def as_json(report):
    return json.loads(json.dumps(as_dict(report), allow_nan=False))


def small(kind):
    return Layer(kind.slug, tuple(4 + place for place in range(len(kind.sizes))))


@pytest.mark.parametrize(
    ("layer", "slug"),
    [
        (small(kind), slug)
        for kind in LAYERS
        for slug, scheme in schemes().items()
        if scheme.why_not(Slot(small(kind), "weight")) is None
    ],
    ids=lambda value: getattr(value, "slug", value),
)
def test_plain_data_is_complete_and_strict_json(layer, slug):
    bias = Init("normal", {"mean": 1}) if layer.bias_shape else None
    data = as_json(describe(Spec(layer, Init(slug), bias, seed=8)))
    assert data.keys() >= KEYS
    for key, names in NESTED.items():
        assert data[key].keys() >= names
        assert bias is None or key == "xavier" or data["bias"][key].keys() >= names
    assert data["fit"]["agrees"]
    assert (data["bias"] is None) == (bias is None)


def test_plain_data_holds_the_reports_values():
    spec = Spec(Layer("conv2d", (4, 6, 3), groups=2), Init("normal", {"std": 0.5}), seed=8)
    report = describe(spec)
    data = as_json(report)
    assert (data["layer"], data["scheme"], data["seed"]) == ("conv2d", "normal", 8)
    assert data["params"] == {"mean": 0.0, "std": 0.5}
    assert data["shape"] == [6, 2, 3, 3]
    fans = [data[f"{kind}fan_{side}"] for kind in ("", "effective_") for side in ("in", "out")]
    assert fans == [18, 54, 18, 27]
    assert data["torch_version"] == torch.__version__
    assert data["xavier"] == pytest.approx(
        {"uniform_bound": math.sqrt(6 / 72), "normal_std": math.sqrt(2 / 72)}
    )
    assert (data["law"]["low"], data["law"]["high"]) == (None, None)
    weight = draw_spec(spec).weight.double()
    assert data["measured"]["count"] == weight.numel()
    assert data["measured"]["max"] == float(weight.max())
    assert data["measured"]["std"] == pytest.approx(float(weight.std()))
    assert data["fit"]["verdict"] == report.weight.fit.verdict
    assert data["bias"]["scheme"] == "default"
    assert data["bias"]["law"]["high"] == pytest.approx(1 / math.sqrt(18))
    assert data["bias"]["measured"]["count"] == 6


def test_what_is_not_a_number_is_null():
    data = as_json(describe(Spec(Layer("linear", (1, 1)), Init("zeros"))))
    assert data["measured"]["std"] is None
    assert data["fit"]["std_ratio"] is None
    assert data["fit"]["p_value"] is None


@pytest.mark.parametrize("slug", ["xavier_uniform", "kaiming_normal", "ones", "orthogonal"])
def test_comparison_sets_the_laws_beside_the_measurement(slug):
    report = describe(Spec(WIDE, Init(slug)))
    law, m = report.weight.law, report.weight.measurement
    own, uniform, normal, measured = comparison(report)
    bound, std = xavier_bound(WIDE), xavier_std(WIDE)
    assert slug in own.name
    assert (own.mean, own.std) == (law.mean, law.std)
    assert (uniform.bound, uniform.std) == pytest.approx((bound, std))
    assert normal.std == std
    assert math.isnan(normal.bound)
    for row in (own, uniform, normal):
        assert row.min <= row.mean <= row.max
        if row.std:
            assert row.ratio == pytest.approx(m.std / row.std)
            assert 0 < row.error < 0.02
    assert uniform.max == pytest.approx(bound, rel=1e-3)
    assert 3 * std < normal.max < 5 * std
    assert (measured.min, measured.max, measured.mean, measured.std) == (
        m.min,
        m.max,
        m.mean,
        m.std,
    )
    assert measured.bound == max(-m.min, m.max)


def test_outside_is_told_in_words():
    assert "No weight" in outside_sentence(describe(Spec(WIDE, Init("xavier_uniform"))))
    report = describe(Spec(WIDE, Init("xavier_normal")))
    count = int((draw_spec(report.spec).weight.abs() > xavier_bound(WIDE)).sum())
    assert f"{count:,} of 4,200 weights" in outside_sentence(report)
    seed = next(
        seed
        for seed in range(100)
        if describe(
            Spec(Layer("linear", (5, 5)), Init("xavier_normal"), seed=seed)
        ).weight.measurement.outside(xavier_bound(Layer("linear", (5, 5))))
        == 1
    )
    one = describe(Spec(Layer("linear", (5, 5)), Init("xavier_normal"), seed=seed))
    assert "1 of 25 weights (4 %) lies outside" in outside_sentence(one)


# --- held and streamed --------------------------------------------------------------------------


MOMENTS = ("mean", "std", "skewness", "kurtosis")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("slug", ["xavier_uniform", "normal", "default", "constant"])
def test_a_streamed_report_equals_a_held_one(slug, dtype):
    spec = Spec(Layer("linear", (700, 900)), Init(slug), Init("normal"), 6, dtype)
    held, streamed = describe(spec), describe(spec, TINY)
    assert (held.streamed, streamed.streamed) == (False, True)
    a, b = as_json(held), as_json(streamed)
    # Blocks add their floats in another order; all that is counted is equal.
    for part, name in [("fit", "std_ratio"), *(("measured", name) for name in MOMENTS)]:
        first, second = a[part].pop(name), b[part].pop(name)
        assert first == second or first == pytest.approx(second, rel=1e-7, abs=1e-7)
    assert (a.pop("streamed"), b.pop("streamed")) == (False, True)
    assert a == b
    assert held.weight.heat.argmax == streamed.weight.heat.argmax


def test_heat_maps_cover_weight_and_bias():
    report = describe(Spec(Layer("conv2d", (4, 6, 3)), Init("normal")))
    assert (report.weight.heat.rows, report.weight.heat.columns) == (6, 36)
    assert (report.bias.heat.rows, report.bias.heat.columns) == (1, 6)


def test_progress_rises_from_0_to_1():
    shares = []
    spec = Spec(Layer("linear", (1000, 3 * BLOCK // 1000)), Init("normal"))
    describe(spec, TINY, shares.append)
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1


def test_what_exceeds_the_limits_is_refused():
    spec = Spec(Layer("linear", (10**9, 10**9)), Init("xavier_uniform"))
    with pytest.raises(InitError, match="INITCORE_HOLD_MB"):
        describe(spec)


# --- the edges of the number range --------------------------------------------------------------

EXTREMES = [
    ("uniform", {"a": -3e38, "b": 3e38}, "float32"),
    ("uniform", {"a": -5e4, "b": 5e4}, "float16"),
    ("uniform", {"a": 0.0, "b": 1e-46}, "float32"),
    ("constant", {"val": 1e-50}, "float32"),
    ("constant", {"val": 3e38}, "float32"),
    ("constant", {"val": 1e300}, "float64"),
    ("xavier_uniform", {"gain": 1e308}, "float64"),
    ("xavier_uniform", {"gain": 1e-36}, "float32"),
    ("xavier_normal", {"gain": 5e-324}, "float64"),
    ("normal", {"std": 5e37}, "float32"),
    ("normal", {"std": 1e-42}, "float32"),
    ("normal", {"std": 1e-9}, "float16"),
    ("normal", {"std": 1e100}, "float64"),
    ("normal", {"std": 1e-100}, "float64"),
    ("normal", {"mean": 1.0, "std": 1e-9}, "float32"),
    ("orthogonal", {"gain": 1e-40}, "float32"),
    ("orthogonal", {"gain": 1e-300}, "float64"),
    ("sparse", {"std": 1e-200}, "float64"),
    ("trunc_normal", {"a": 6.0, "b": 8.0}, "float32"),
    ("trunc_normal", {"std": 1e-310}, "float32"),
    ("trunc_normal", {"mean": 2.0, "std": 1e-320}, "float32"),
    ("trunc_normal", {"a": -1e308, "b": 1e308}, "float64"),
    ("trunc_normal", {"std": 1e300}, "float64"),
]


@pytest.mark.parametrize(("slug", "params", "dtype"), EXTREMES)
def test_extreme_values_give_a_report_or_an_error_for_people(slug, params, dtype):
    with contextlib.suppress(InitError):  # as good as a report, and the only error there may be
        report = describe(Spec(WIDE, Init(slug, params), dtype=dtype))
        assert as_json(report)["measured"]["nonfinite"] == 0
        assert len(comparison(report)) == 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 500), (500, 1)])
@pytest.mark.parametrize("slug", ["xavier_normal", "orthogonal", "sparse", "eye", "default"])
def test_the_smallest_layers_have_reports(slug, shape):
    report = describe(Spec(Layer("linear", shape), Init(slug)))
    assert as_json(report)["fit"]["agrees"]
