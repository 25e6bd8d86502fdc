"""Every scheme against torch's own functions and against closed forms written out here."""

import inspect
import json
import math
import re
import sys

import pytest
import torch
from scipy import stats
from torch import nn

from initcore import draw_spec, snippet
from initcore.cli import main
from initcore.draw import Spec
from initcore.errors import InitError
from initcore.fit import fit
from initcore.laws import Uniform
from initcore.layers import Layer
from initcore.measure import grid_for, measure
from initcore.schemes import NONLINEARITIES, SCHEMES, Call, Init, Scheme, Slot, schemes
from initcore.schemes import as_dict as scheme_as_dict
from initcore.schemes import formula as scheme_formula

# Tens of thousands of weights each, thousands of biases, and sizes that no swap leaves alone.
LAYERS = [
    Layer("linear", (20, 2000)),
    Layer("linear", (700, 30)),
    Layer("bilinear", (4, 6, 2000)),
    Layer("conv1d", (8, 2000, 3)),
    Layer("conv2d", (8, 2000, 1, 3), groups=2),
    Layer("conv3d", (6, 2000, 1, 2, 2)),
    Layer("conv_transpose1d", (40, 2000, 3), groups=4),
    Layer("conv_transpose2d", (10, 2000, 3, 1)),
    Layer("conv_transpose3d", (12, 2000, 1, 2, 1)),
    Layer("embedding", (900, 30)),
]

# --- closed forms: (mean, std, low, high) from the fans torch computes --------------------------


def uniform(low, high):
    return (low + high) / 2, (high - low) / math.sqrt(12), low, high


def symmetric(bound):
    return uniform(-bound, bound)


def normal(mean, std):
    return mean, std, -math.inf, math.inf


def constant(value):
    return value, 0.0, value, value


def truncated(mean, std, a, b):
    law = stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)
    return law.mean(), law.std(), a, b


def orthogonal(gain, shape):
    return 0.0, gain / math.sqrt(max(shape[0], math.prod(shape[1:]))), -gain, gain


def ones_and_zeros(ones, shape):
    share = ones / math.prod(shape)
    return share, math.sqrt(share * (1 - share)), 0.0, 1.0


def sparse(sparsity, std, shape):
    share = math.ceil(sparsity * shape[0]) / shape[0]
    return 0.0, std * math.sqrt(1 - share), -math.inf, math.inf


def kaiming_cases(slug, form):
    leaky = {"a": 0.7, "mode": "fan_out", "nonlinearity": "leaky_relu"}
    return [
        (slug, {}, lambda f: form(math.sqrt(2), f.fan_in)),
        (slug, {"a": 0.7}, lambda f: form(math.sqrt(2 / 1.49), f.fan_in)),
        (slug, leaky, lambda f: form(math.sqrt(2 / 1.49), f.fan_out)),
        (slug, {"nonlinearity": "tanh"}, lambda f: form(5 / 3, f.fan_in)),
    ]


class Fans:
    """The shape of what is filled, and the fans torch reads off the weight."""

    def __init__(self, slot):
        self.shape = slot.shape
        self.layer = slot.layer
        weight = torch.empty(slot.layer.weight_shape)
        self.fan_in, self.fan_out = nn.init._calculate_fan_in_and_fan_out(weight)


def xavier_uniform(gain):
    return lambda f: symmetric(gain * math.sqrt(6 / (f.fan_in + f.fan_out)))


def xavier_normal(gain):
    return lambda f: normal(0, gain * math.sqrt(2 / (f.fan_in + f.fan_out)))


def default(f):
    if f.layer.slug == "embedding":
        return normal(0, 1)
    return symmetric(1 / math.sqrt(f.layer.size[0] if f.layer.slug == "bilinear" else f.fan_in))


def dirac(f):
    groups, (rows, columns) = f.layer.groups, f.shape[:2]
    return ones_and_zeros(groups * min(rows // groups, columns), f.shape)


CASES = [
    ("xavier_uniform", {}, xavier_uniform(1)),
    ("xavier_uniform", {"gain": 2.5}, xavier_uniform(2.5)),
    ("xavier_normal", {}, xavier_normal(1)),
    ("xavier_normal", {"gain": 2.5}, xavier_normal(2.5)),
    *kaiming_cases("kaiming_uniform", lambda gain, fan: symmetric(gain * math.sqrt(3 / fan))),
    *kaiming_cases("kaiming_normal", lambda gain, fan: normal(0, gain / math.sqrt(fan))),
    ("lecun_uniform", {}, lambda f: symmetric(math.sqrt(3 / f.fan_in))),
    ("lecun_normal", {}, lambda f: normal(0, 1 / math.sqrt(f.fan_in))),
    ("orthogonal", {"gain": 1.5}, lambda f: orthogonal(1.5, f.shape)),
    ("trunc_normal", {}, lambda f: truncated(0, 1, -2, 2)),
    (
        "trunc_normal",
        {"mean": 0.5, "std": 0.2, "a": 0.55, "b": 0.6},
        lambda f: truncated(0.5, 0.2, 0.55, 0.6),
    ),
    ("normal", {"mean": 0.3, "std": 0.02}, lambda f: normal(0.3, 0.02)),
    ("normal", {"std": 0.0}, lambda f: constant(0.0)),
    ("uniform", {"a": -1.0, "b": 3.0}, lambda f: uniform(-1, 3)),
    ("uniform", {"a": 2.0, "b": 2.0}, lambda f: constant(2.0)),
    ("sparse", {"sparsity": 0.123, "std": 0.5}, lambda f: sparse(0.123, 0.5, f.shape)),
    ("sparse", {"sparsity": 0.0}, lambda f: normal(0, 0.01)),
    ("constant", {"val": -0.3}, lambda f: constant(-0.3)),
    ("zeros", {}, lambda f: constant(0.0)),
    ("ones", {}, lambda f: constant(1.0)),
    ("eye", {}, lambda f: ones_and_zeros(min(f.shape), f.shape)),
    ("dirac", {}, dirac),
    ("default", {}, default),
]
SLOTS = [Slot(layer, "weight") for layer in LAYERS] + [
    Slot(layer, "bias") for layer in LAYERS if layer.bias_shape
]
APPLICABLE = [
    pytest.param(slot, slug, params, form, id=f"{slot.layer.code} {slot.role} {slug} {params}")
    for slug, params, form in CASES
    for slot in SLOTS
    if Init(slug).scheme.why_not(slot) is None
]


def test_every_scheme_has_a_closed_form():
    assert {slug for slug, _, _ in CASES} == set(schemes())


@pytest.mark.parametrize(("slot", "slug", "params", "form"), APPLICABLE)
def test_law_is_the_closed_form_and_draws_follow_it(slot, slug, params, form):
    init = Init(slug, params)
    law = init.law(slot)
    expected = form(Fans(slot))
    assert (law.mean, law.std, law.low, law.high) == pytest.approx(expected, rel=1e-6, abs=1e-12)

    inits = (init,) if slot.role == "weight" else (Init("zeros"), init)
    drawn = draw_spec(Spec(slot.layer, *inits, seed=4))
    tensor = getattr(drawn, slot.role)
    result = fit(measure(tensor, grid_for(law, tensor.numel(), "float32")), law)
    assert result.agrees, result.verdict


# --- torch's functions and signatures -----------------------------------------------------------


def call_of(scheme):
    slot = Slot(Layer("conv1d", (4, 6)), "weight")
    return Init(scheme.slug).call(slot)


def test_every_function_of_torch_is_a_scheme():
    torchs = {name for name in dir(nn.init) if re.fullmatch(r"[a-z]\w*[^_]_", name)}
    assert torchs == {f"{slug}_" for slug in schemes() if hasattr(nn.init, f"{slug}_")}
    assert all(call_of(scheme).function in torchs for scheme in SCHEMES)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.slug)
def test_parameters_are_torchs(scheme):
    if not hasattr(nn.init, f"{scheme.slug}_"):  # LeCun's and the default fix theirs
        assert scheme.params == ()
        return
    signature = inspect.signature(getattr(nn.init, f"{scheme.slug}_")).parameters
    # dirac_ takes the groups from the layer.
    torchs = [name for name in signature if name not in {"tensor", "generator", "groups"}]
    assert [param.name for param in scheme.params] == torchs
    for param in scheme.params:
        if signature[param.name].default is not inspect.Parameter.empty:
            assert param.default == signature[param.name].default


GAINS = {"linear": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_kaiming_gains_and_that_only_leaky_relu_reads_the_slope(nonlinearity):
    slot = Slot(Layer("linear", (16, 30)), "weight")
    for slope in (0.0, 0.5):
        init = Init("kaiming_normal", {"a": slope, "nonlinearity": nonlinearity})
        gain = GAINS.get(nonlinearity, math.sqrt(2 / (1 + slope**2)))
        assert init.law(slot).std == pytest.approx(gain / 4)
        used = init.scheme.params[0].is_used(init.params)
        assert used == (nonlinearity == "leaky_relu")


# --- code and formulas --------------------------------------------------------------------------


def test_code_carries_the_numbers():
    conv = Slot(Layer("conv1d", (4, 8), groups=2), "weight")
    for slug, params, code in (
        ("xavier_normal", {"gain": 2}, "xavier_normal_(w, gain=2.0, generator=g)"),
        ("constant", {"val": -0.5}, "constant_(w, val=-0.5)"),
        ("dirac", {}, "dirac_(w, groups=2)"),
        (
            "lecun_uniform",
            {},
            "kaiming_uniform_(w, mode='fan_in', nonlinearity='linear', generator=g)",
        ),
        ("default", {}, f"kaiming_uniform_(w, a={math.sqrt(5)!r}, generator=g)"),
    ):
        assert Init(slug, params).call(conv).code("w") == f"nn.init.{code}"


def frac(above):
    return lambda below: above / below


def evaluate(latex):
    r"""The value of an arithmetic LaTeX expression: \frac{a}{b} is frac(a)(b) in Python."""
    code = latex.replace(r"\cdot", "*").replace(r"\,", "").replace("^", "**").replace("\\", "")
    code = code.replace("{", "(").replace("}", ")")
    return eval(code, {"frac": frac, "sqrt": math.sqrt, "max": max})


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.code)
@pytest.mark.parametrize(
    ("slug", "params"),
    [
        ("xavier_uniform", {"gain": 2.5}),
        ("xavier_normal", {"gain": 2.5}),
        ("kaiming_uniform", {"mode": "fan_out", "nonlinearity": "tanh"}),
        ("kaiming_normal", {"a": 0.5}),
        ("lecun_uniform", {}),
        ("lecun_normal", {}),
        ("orthogonal", {"gain": 1e-6}),
        ("default", {}),
    ],
)
def test_substituted_formula_comes_to_the_laws_number(layer, slug, params):
    slot, init = Slot(layer, "weight"), Init(slug, params)
    law = init.law(slot)
    text = init.formula(slot, substituted=True)
    if (slug, layer.slug) == ("default", "embedding"):
        assert r"\mathcal{N}(0,\, 1)" in text
        return
    *_, expression, result = text.removesuffix(r" \end{gathered}").split(" = ")
    wanted = law.high if isinstance(law, Uniform) else law.std
    assert evaluate(expression) == pytest.approx(wanted, rel=1e-3)
    assert evaluate(result) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize(("slot", "slug", "params", "form"), APPLICABLE)
def test_formulas_leave_no_placeholder(slot, slug, params, form):
    init = Init(slug, params)
    for text in (init.formula(slot), init.formula(slot, substituted=True)):
        assert not re.search(r"<\w+>", text)


def test_formula_shows_parameters_and_symbols():
    slot = Slot(Layer("linear", (300, 500)), "weight")
    text = Init("trunc_normal", {"mean": 0.25, "std": 0.5, "a": -1.5}).formula(
        slot, substituted=True
    )
    for number in ("0.25", "0.5", "-1.5"):
        assert number in text
    symbols = Init("xavier_uniform").formula(slot)
    assert r"\text{fan\_in}" in symbols
    assert symbols == scheme_formula(schemes()["xavier_uniform"])
    assert "300 + 500" in Init("xavier_uniform").formula(slot, substituted=True)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.slug)
def test_records_are_complete(scheme):
    assert scheme.title
    assert scheme.reference
    assert scheme.when.endswith(".")
    assert all(param.help.endswith(".") for param in scheme.params)
    assert Init(scheme.slug).params == scheme.defaults()
    assert json.loads(json.dumps(scheme_as_dict(scheme), allow_nan=False))["slug"] == scheme.slug


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "params", "parts"),
    [
        ("glorot", {}, ["'glorot'", "xavier_uniform", "default"]),
        ("xavier_uniform", {"std": 1.0}, ["'std'", "gain"]),
        ("zeros", {"val": 1.0}, ["'val'", "no parameters"]),
        ("xavier_uniform", {"gain": -1.0}, ["gain = -1", "at least 0"]),
        ("xavier_uniform", {"gain": "big"}, ["gain = big", "number"]),
        ("xavier_uniform", {"gain": None}, ["gain = None", "number"]),
        ("xavier_uniform", {"gain": math.nan}, ["gain = nan", "at least 0"]),
        ("xavier_uniform", {"gain": math.inf}, ["gain = inf"]),
        ("normal", {"mean": -math.inf}, ["mean = -inf", "finite"]),
        ("normal", {"std": -0.1}, ["std = -0.1", "at least 0"]),
        ("trunc_normal", {"std": 0.0}, ["std = 0", "more than 0"]),
        ("uniform", {"a": 2.0, "b": 1.0}, ["a = 2", "b = 1", "at most b"]),
        ("uniform", {"a": 1.5}, ["a = 1.5", "b = 1"]),
        ("trunc_normal", {"a": 1.0, "b": 1.0}, ["a = 1", "b = 1", "smaller"]),
        ("trunc_normal", {"a": 50.0, "b": 51.0}, ["[50, 51]", "no mass"]),
        ("trunc_normal", {"a": -51.0, "b": -50.0}, ["[-51, -50]", "no mass"]),
        ("trunc_normal", {"a": 1.0, "b": 1e9}, ["redraw", "10,000"]),
        ("trunc_normal", {"a": -1e9, "b": -1.0}, ["redraw", "10,000"]),
        ("sparse", {"sparsity": 1.0}, ["sparsity = 1", "below 1"]),
        ("sparse", {"sparsity": -0.1}, ["sparsity = -0.1", "at least 0"]),
        ("sparse", {"std": -1.0}, ["std = -1", "at least 0"]),
        ("kaiming_normal", {"mode": "fan_avg"}, ["mode = fan_avg", "fan_in", "fan_out"]),
        ("kaiming_normal", {"nonlinearity": "gelu"}, ["gelu", "leaky_relu", "selu"]),
        ("kaiming_uniform", {"a": 1e200}, ["a = 1e+200"]),
    ],
)
def test_impossible_parameters_name_the_value_and_what_is_allowed(slug, params, parts):
    with pytest.raises(InitError) as caught:
        Init(slug, params)
    for part in parts:
        assert part in str(caught.value)


LINEAR, CONV = Layer("linear", (5, 7)), Layer("conv2d", (4, 6))


@pytest.mark.parametrize(
    ("layer", "weight", "bias", "dtype", "parts"),
    [
        (CONV, "eye", "zeros", "float32", ["eye", "rank 2", "rank 4"]),
        (CONV, "sparse", "zeros", "float32", ["sparse", "rank 2", "rank 4"]),
        (LINEAR, "dirac", "zeros", "float32", ["dirac", "3, 4, 5", "rank 2"]),
        (LINEAR, "zeros", "xavier_uniform", "float32", ["xavier_uniform", "bias", "rank 1"]),
        (LINEAR, "zeros", "kaiming_normal", "float32", ["kaiming_normal", "bias", "rank 1"]),
        (LINEAR, "zeros", "orthogonal", "float32", ["orthogonal", "bias", "rank 1"]),
        (Layer("embedding", (5, 7)), "zeros", "zeros", "float32", ["Embedding has no bias"]),
        (LINEAR, "orthogonal", "zeros", "bfloat16", ["orthogonal", "bfloat16", "float32"]),
        (LINEAR, "orthogonal", "zeros", "float16", ["orthogonal", "float16", "float32"]),
    ],
)
def test_impossible_combinations_name_the_value_and_what_is_allowed(
    layer, weight, bias, dtype, parts
):
    with pytest.raises(InitError) as caught:
        Spec(layer, Init(weight), Init(bias), dtype=dtype)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("weight", "dtype"),
    [
        (Init("constant", {"val": 1e6}), "float16"),
        (Init("normal", {"std": 2e4}), "float16"),
        (Init("normal", {"mean": -7e4}), "float16"),
        (Init("constant", {"val": -1e39}), "bfloat16"),
        (Init("constant", {"val": 1e39}), "float32"),
        # Both ends fit, but torch refuses a range wider than the largest number.
        (Init("uniform", {"a": -4e4, "b": 4e4}), "float16"),
        (Init("uniform", {"a": -3e38, "b": 3e38}), "float32"),
    ],
)
def test_values_that_overflow_the_dtype_are_refused(weight, dtype):
    largest = f"{torch.finfo(getattr(torch, dtype)).max:g}"
    for inits in ((weight, Init("zeros")), (Init("zeros"), weight)):
        with pytest.raises(InitError, match=re.escape(largest)):
            Spec(LINEAR, *inits, dtype=dtype)
    assert Spec(LINEAR, weight, Init("zeros"), dtype="float64").dtype == "float64"


def test_values_that_just_fit_the_dtype_are_allowed():
    assert Spec(LINEAR, Init("constant", {"val": 65504.0}), dtype="float16").dtype == "float16"


def test_a_cut_that_takes_a_thousand_redraws_is_still_allowed():
    spec = Spec(LINEAR, Init("trunc_normal", {"a": 1.0, "b": 1000.0}))
    law = spec.weight.law(spec.slot("weight"))
    assert fit(measure(draw_spec(spec).weight), law).agrees


def test_inits_are_values():
    assert Init("normal", {"std": 0.5}) == Init("normal", {"std": 0.5, "mean": 0.0})
    assert Init("normal", {"std": 0.5}) != Init("normal")
    assert len({Init("normal"), Init("normal", {"std": "1"}), Init("uniform")}) == 2


# --- one record adds a scheme -------------------------------------------------------------------


@pytest.fixture
def half_uniform(monkeypatch):
    def bound(slot):
        return 1 / math.sqrt(slot.layer.fan_in)

    record = Scheme(
        slug="half_uniform",
        title="Half uniform",
        params=(),
        ranks=(2, 3, 4, 5),
        law=lambda slot, params: Uniform(0.0, bound(slot)),
        formula=r"w \sim \mathcal{U}(0,\, a),\quad a = \frac{1}{\sqrt{<fan_in>}}",
        reference="This test",
        when="To show that one record is all it takes.",
        call=lambda slot, params: Call("uniform_", {"a": 0.0, "b": bound(slot)}),
    )
    # The name initcore.schemes is a function of the package; the module lies beneath it.
    monkeypatch.setattr(sys.modules["initcore.schemes"], "SCHEMES", (*SCHEMES, record))
    return record


def test_one_record_adds_a_scheme(half_uniform, capsys):
    assert schemes()["half_uniform"] is half_uniform

    assert main(["schemes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["schemes"]
    assert listed[-1] == scheme_as_dict(half_uniform)

    describe = ["describe", "--layer", "linear", "--size", "60", "70", "--scheme", "half_uniform"]
    assert main([*describe, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["law"]["low"] == 0
    assert data["law"]["high"] == pytest.approx(1 / math.sqrt(60))
    assert data["fit"]["agrees"]

    spec = Spec(Layer("linear", (60, 70)), Init("half_uniform"), seed=9)
    space = {}
    exec(snippet(spec), space)
    assert torch.equal(space["layer"].weight, draw_spec(spec).weight)
