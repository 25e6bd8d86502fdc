"""Schemes: every way to fill a tensor, one record each, all in ``SCHEMES``.

The sidebar, the theory, the snippet, the command line, the catalogue and the parametrised tests are
derived from this tuple: to add a scheme, add a record, and nothing else in the tree changes.

>>> slot = Slot(Layer("linear", (5, 5)), "weight")
>>> init = Init("xavier_uniform", {"gain": 2.0})
>>> init.law(slot).notation
'U(−1.549, 1.549)'
>>> init.call(slot).code("layer.weight")
'nn.init.xavier_uniform_(layer.weight, gain=2.0, generator=g)'
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from scipy.special import ndtr
from torch import nn

from initcore.errors import InitError
from initcore.laws import (
    HaarCoordinate,
    Law,
    Normal,
    Pattern,
    TruncatedNormal,
    Uniform,
    ZeroInflated,
    constant,
    number,
)
from initcore.layers import Layer, Role

Value = float | str
Params = Mapping[str, Value]


@dataclass(frozen=True)
class Slot:
    """What is being filled: the weight or the bias of a layer."""

    layer: Layer
    role: Role

    @property
    def shape(self) -> tuple[int, ...]:
        if self.role == "weight":
            return self.layer.weight_shape
        shape = self.layer.bias_shape
        if shape is None:
            raise InitError(f"{self.layer.kind.module} has no bias")
        return shape

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Call:
    """One call of a ``torch.nn.init`` function; both what runs and what the snippet prints."""

    function: str
    arguments: Mapping[str, Value] = field(default_factory=dict)

    @property
    def takes_generator(self) -> bool:
        return _takes_generator(self.function)

    def code(self, tensor: str) -> str:
        parts = [tensor, *(f"{name}={value!r}" for name, value in self.arguments.items())]
        if self.takes_generator:
            parts.append("generator=g")
        return f"nn.init.{self.function}({', '.join(parts)})"


@cache
def _takes_generator(function: str) -> bool:
    return "generator" in inspect.signature(getattr(nn.init, function)).parameters


@dataclass(frozen=True)
class Param:
    """A parameter of a scheme, named as torch's argument.

    A number lies in [low, high), or in (low, high) when ``open_low``; a choice is one of
    ``choices``. ``needs`` names another parameter's value without which torch ignores this one.
    """

    name: str
    default: Value
    help: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    step: float = 0.1
    unit: str = ""
    choices: tuple[str, ...] = ()
    needs: tuple[str, str] | None = None

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return f"one of: {', '.join(self.choices)}"
        if math.isinf(self.low):
            return "any finite number"
        low = f"{'more than' if self.open_low else 'at least'} {self.low:g}"
        return low if math.isinf(self.high) else f"{low} and below {self.high:g}"

    def parse(self, value: object) -> Value:
        """The value as a float or a choice; raises InitError naming what is allowed."""
        if self.choices:
            if value not in self.choices:
                raise InitError(f"{self.name} = {value}: must be {self.allowed}")
            return str(value)
        try:
            x = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise InitError(f"{self.name} = {value}: must be a number, {self.allowed}") from None
        above = x > self.low if self.open_low else x >= self.low
        if not (math.isfinite(x) and above and x < self.high):
            raise InitError(f"{self.name} = {x:g}: must be {self.allowed}")
        return x

    def is_used(self, params: Params) -> bool:
        return self.needs is None or params[self.needs[0]] == self.needs[1]


@dataclass(frozen=True)
class Scheme:
    """One way to fill a tensor: a record of ``SCHEMES``.

    Fields
    ------
    slug: torch's function name without the underscore. title: its name for people.
    params: the parameters, in the order of torch's signature.
    ranks: the tensor ranks torch accepts.
    law: the law of one entry, given the slot and the parameters.
    formula: LaTeX; ``<name>`` stands for a parameter, a fan or a derived quantity, ``<result>``
    (by default the end) for what it comes to.
    reference: where the scheme comes from. when: one line on when to use it.
    call: the torch call; None means ``{slug}_`` with the parameters as they are.
    derived: further quantities the formula names. check: rules that join several parameters.
    formula_of: a formula that depends on the slot. working_copies: peak memory in units of the
    tensor.
    """

    slug: str
    title: str
    params: tuple[Param, ...]
    ranks: tuple[int, ...]
    law: Callable[[Slot, Params], Law]
    formula: str
    reference: str
    when: str
    call: Callable[[Slot, Params], Call] | None = None
    derived: Callable[[Slot, Params], dict[str, float]] | None = None
    check: Callable[[Params], None] | None = None
    formula_of: Callable[[Slot], str] | None = None
    working_copies: int = 1

    def defaults(self) -> dict[str, Value]:
        return {param.name: param.default for param in self.params}

    def why_not(self, slot: Slot) -> str | None:
        """Why torch cannot fill this slot with the scheme; None if it can."""
        rank = len(slot.shape)
        if rank in self.ranks:
            return None
        allowed = ", ".join(str(r) for r in self.ranks)
        return (
            f"{self.slug} needs a tensor of rank {allowed}: the {slot.role} of "
            f"{slot.layer.kind.module} has rank {rank}, shape {list(slot.shape)}; "
            "choose another scheme, or another layer"
        )


# --- building blocks of the records -------------------------------------------------------------


def _lines(*lines: str) -> str:
    """A formula of several lines, with its result at the end of the last: a phone is narrow."""
    return r"\begin{gathered} " + r" \\ ".join(lines) + r"<result> \end{gathered}"


_ANY = (1, 2, 3, 4, 5)
_MATRIX = (2, 3, 4, 5)

_GAIN = Param("gain", 1.0, "Scales the standard deviation to suit the activation.", low=0.0)
_STD = Param("std", 1.0, "Standard deviation of the normal.", low=0.0, unit="weight")

NONLINEARITIES = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
_KAIMING = (
    Param(
        "a",
        0.0,
        "Negative slope of the leaky ReLU. torch ignores it for every other nonlinearity.",
        low=-1e6,
        high=1e6,
        needs=("nonlinearity", "leaky_relu"),
    ),
    Param(
        "mode",
        "fan_in",
        "fan_in keeps the variance in the forward pass, fan_out in the backward pass.",
        choices=("fan_in", "fan_out"),
    ),
    Param(
        "nonlinearity",
        "leaky_relu",
        "The activation after this layer; sets the gain (torch.nn.init.calculate_gain).",
        choices=NONLINEARITIES,
    ),
)


def _get(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, float)
    return value


def uniform_law(bound: float) -> Law:
    """U(-bound, bound); all zeros when the bound is 0."""
    return Uniform(-bound, bound) if bound > 0 else constant(0.0)


def normal_law(mean: float, std: float) -> Law:
    """N(mean, std²); the constant mean when std is 0."""
    return Normal(mean, std) if std > 0 else constant(mean)


def xavier_std(layer: Layer, gain: float = 1.0) -> float:
    """Std of Xavier's normal: gain·√(2/(fan_in + fan_out)). Glorot & Bengio 2010, eq. 12."""
    return gain * math.sqrt(2.0 / float(layer.fan_in + layer.fan_out))


def xavier_bound(layer: Layer, gain: float = 1.0) -> float:
    """Bound of Xavier's uniform: √3 times its std. Glorot & Bengio 2010, eq. 16."""
    return math.sqrt(3.0) * xavier_std(layer, gain)


def _kaiming(slot: Slot, params: Params) -> dict[str, float]:
    nonlinearity = str(params["nonlinearity"])
    slope = params["a"] if nonlinearity == "leaky_relu" else None
    fan = slot.layer.fan_in if params["mode"] == "fan_in" else slot.layer.fan_out
    return {"gain": nn.init.calculate_gain(nonlinearity, slope), "fan": float(fan)}  # type: ignore[arg-type]


def _kaiming_std(slot: Slot, params: Params) -> float:
    parts = _kaiming(slot, params)
    return parts["gain"] / math.sqrt(parts["fan"])


def _lecun_arguments(slot: Slot, params: Params) -> dict[str, Value]:
    return {"mode": "fan_in", "nonlinearity": "linear"}


_LECUN: Params = {"a": 0.0, "mode": "fan_in", "nonlinearity": "linear"}


def _default_fan(slot: Slot) -> float:
    """What torch's reset_parameters takes the root of: in1 for Bilinear, else fan_in."""
    return float(slot.layer.size[0] if slot.layer.slug == "bilinear" else slot.layer.fan_in)


def _default_call(slot: Slot, params: Params) -> Call:
    if slot.layer.slug == "embedding":
        return Call("normal_")
    if slot.role == "weight" and slot.layer.slug != "bilinear":
        return Call("kaiming_uniform_", {"a": math.sqrt(5)})
    bound = 1 / math.sqrt(_default_fan(slot))
    return Call("uniform_", {"a": -bound, "b": bound})


def _default_law(slot: Slot, params: Params) -> Law:
    call = _default_call(slot, params)
    if call.function == "normal_":
        return Normal(0.0, 1.0)
    if call.function == "uniform_":
        return Uniform(_get(call.arguments, "a"), _get(call.arguments, "b"))
    kaiming = {**_LECUN, "nonlinearity": "leaky_relu", **call.arguments}
    return uniform_law(math.sqrt(3.0) * _kaiming_std(slot, kaiming))


_DEFAULT_UNIFORM = _lines(r"w \sim \mathcal{U}(-a,\, a)", r"a = \frac{1}{\sqrt{<n>}}")


def _default_formula(slot: Slot) -> str:
    if slot.layer.slug == "embedding":
        return r"w \sim \mathcal{N}(0,\, 1)"
    return _DEFAULT_UNIFORM


def _check_uniform(params: Params) -> None:
    a, b = _get(params, "a"), _get(params, "b")
    if a > b:
        raise InitError(f"a = {a:g} and b = {b:g}: a must be at most b; swap them or raise b")


# torch redraws the values outside [a, b] until none is left; more rounds than this is a hang.
MAX_ROUNDS = 10_000
_SMALLEST_MASS = 1e-12


def _check_trunc_normal(params: Params) -> None:
    mean, std, a, b = (_get(params, name) for name in ("mean", "std", "a", "b"))
    if a >= b:
        raise InitError(f"a = {a:g} and b = {b:g}: a must be smaller than b; swap them or raise b")
    alpha, beta = (a - mean) / std, (b - mean) / std
    if alpha > 0:
        alpha, beta = -beta, -alpha
    mass = float(ndtr(beta) - ndtr(alpha))
    if mass < _SMALLEST_MASS:
        raise InitError(
            f"[a, b] = [{a:g}, {b:g}] holds no mass of N({mean:g}, {std:g}²): "
            f"move it towards the mean or raise std"
        )
    if mass > 0.3:
        return
    # Below a mass of 0.3 torch proposes uniformly on [a, b] and accepts by the density.
    mode = min(max(0.0, alpha), beta)
    accepted = mass * math.sqrt(2 * math.pi) / ((beta - alpha) * math.exp(-0.5 * mode * mode))
    if 1 / accepted > MAX_ROUNDS:
        raise InitError(
            f"[a, b] = [{a:g}, {b:g}] is so much wider than std = {std:g} beyond its mean that "
            f"torch would redraw over {MAX_ROUNDS:,} times: bring a and b closer together"
        )


def _pattern(ones: int, count: int) -> Law:
    if ones == count:
        return constant(1.0)
    return Pattern(((0.0, 1 - ones / count), (1.0, ones / count)))


def _dirac_law(slot: Slot, params: Params) -> Law:
    groups, shape = slot.layer.groups, slot.shape
    return _pattern(groups * min(shape[0] // groups, shape[1]), slot.count)


def _orthogonal_law(slot: Slot, params: Params) -> Law:
    gain = _get(params, "gain")
    dimension = max(slot.layer.matrix_shape)
    if gain == 0:
        return constant(0.0)
    if dimension == 1:  # a 1 × 1 orthogonal matrix is +1 or −1
        return Pattern(((-gain, 0.5), (gain, 0.5)))
    return HaarCoordinate(dimension, gain)


def _sparse_law(slot: Slot, params: Params) -> Law:
    rows = slot.shape[0]
    zeros = math.ceil(_get(params, "sparsity") * rows)
    std = _get(params, "std")
    if zeros == rows or std == 0:
        return constant(0.0)
    return ZeroInflated(zeros / rows, Normal(0.0, std)) if zeros else Normal(0.0, std)


# --- the records --------------------------------------------------------------------------------

_GLOROT = "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward networks"
_HE = "He et al. 2015, Delving deep into rectifiers, arXiv 1502.01852"
_LECUN_1998 = "LeCun et al. 1998, Efficient BackProp"
_TORCH = "torch.nn.init"

SCHEMES: tuple[Scheme, ...] = (
    Scheme(
        slug="xavier_uniform",
        title="Xavier uniform",
        params=(_GAIN,),
        ranks=_MATRIX,
        law=lambda slot, p: uniform_law(xavier_bound(slot.layer, _get(p, "gain"))),
        formula=_lines(
            r"w \sim \mathcal{U}(-a,\, a)",
            r"a = <gain> \cdot \sqrt{\frac{6}{<fan_in> + <fan_out>}}",
        ),
        reference=f"{_GLOROT}, eq. 16",
        when="tanh, sigmoid or linear layers: a compromise between the forward and backward pass.",
    ),
    Scheme(
        slug="xavier_normal",
        title="Xavier normal",
        params=(_GAIN,),
        ranks=_MATRIX,
        law=lambda slot, p: normal_law(0.0, xavier_std(slot.layer, _get(p, "gain"))),
        formula=_lines(
            r"w \sim \mathcal{N}(0,\, \sigma^2)",
            r"\sigma = <gain> \cdot \sqrt{\frac{2}{<fan_in> + <fan_out>}}",
        ),
        reference=f"{_GLOROT}, eq. 12",
        when="As Xavier uniform, with a normal's tails: same variance, no hard bound.",
    ),
    Scheme(
        slug="kaiming_uniform",
        title="Kaiming (He) uniform",
        params=_KAIMING,
        ranks=_MATRIX,
        law=lambda slot, p: uniform_law(math.sqrt(3.0) * _kaiming_std(slot, p)),
        formula=_lines(r"w \sim \mathcal{U}(-a,\, a)", r"a = <gain> \cdot \sqrt{\frac{3}{<fan>}}"),
        reference=_HE,
        when="ReLU networks: makes up for the half of the signal that ReLU discards.",
        derived=_kaiming,
    ),
    Scheme(
        slug="kaiming_normal",
        title="Kaiming (He) normal",
        params=_KAIMING,
        ranks=_MATRIX,
        law=lambda slot, p: normal_law(0.0, _kaiming_std(slot, p)),
        formula=_lines(
            r"w \sim \mathcal{N}(0,\, \sigma^2)", r"\sigma = \frac{<gain>}{\sqrt{<fan>}}"
        ),
        reference=f"{_HE}, eq. 10",
        when="ReLU networks, convolutional ones above all; fan_out is ResNet's choice.",
        derived=_kaiming,
    ),
    Scheme(
        slug="lecun_uniform",
        title="LeCun uniform",
        params=(),
        ranks=_MATRIX,
        law=lambda slot, p: uniform_law(math.sqrt(3.0) * _kaiming_std(slot, _LECUN)),
        formula=_lines(r"w \sim \mathcal{U}(-a,\, a)", r"a = \sqrt{\frac{3}{<fan_in>}}"),
        reference=_LECUN_1998,
        when="Linear or SELU layers: unit variance forward. In torch: Kaiming with gain 1.",
        call=lambda slot, p: Call("kaiming_uniform_", _lecun_arguments(slot, p)),
    ),
    Scheme(
        slug="lecun_normal",
        title="LeCun normal",
        params=(),
        ranks=_MATRIX,
        law=lambda slot, p: normal_law(0.0, _kaiming_std(slot, _LECUN)),
        formula=_lines(r"w \sim \mathcal{N}(0,\, \sigma^2)", r"\sigma = \frac{1}{\sqrt{<fan_in>}}"),
        reference=f"{_LECUN_1998}; Klambauer et al. 2017 for SELU, arXiv 1706.02515",
        when="SELU networks, whose fixed point needs variance 1/fan_in.",
        call=lambda slot, p: Call("kaiming_normal_", _lecun_arguments(slot, p)),
    ),
    Scheme(
        slug="orthogonal",
        title="Orthogonal",
        params=(_GAIN,),
        ranks=_MATRIX,
        law=_orthogonal_law,
        formula=_lines(
            r"W W^{\top} = <gain>^2 I \ \text{or}\ W^{\top} W = <gain>^2 I",
            r"\sigma = \frac{<gain>}{\sqrt{\max(<rows>,\, <columns>)}}",
        ),
        reference="Saxe et al. 2013, Exact solutions to deep linear networks, arXiv 1312.6120",
        when="Recurrent and very deep networks: every singular value equals the gain.",
        derived=lambda slot, p: dict(
            zip(("rows", "columns"), map(float, slot.layer.matrix_shape), strict=True)
        ),
        working_copies=4,  # the tensor, its normal draw, Q, and LAPACK's copy
    ),
    Scheme(
        slug="trunc_normal",
        title="Truncated normal",
        params=(
            Param("mean", 0.0, "Mean of the normal before truncation.", unit="weight"),
            Param(
                "std",
                1.0,
                "Standard deviation of the normal before truncation.",
                low=0.0,
                open_low=True,
                unit="weight",
            ),
            Param("a", -2.0, "Lower cut: an absolute value, not a multiple of std.", unit="weight"),
            Param("b", 2.0, "Upper cut: an absolute value, not a multiple of std.", unit="weight"),
        ),
        ranks=_ANY,
        law=lambda slot, p: TruncatedNormal(
            _get(p, "mean"), _get(p, "std"), _get(p, "a"), _get(p, "b")
        ),
        formula=r"w \sim \mathcal{N}(<mean>,\, <std>^2)\ \text{given}\ <a> \le w \le <b>",
        reference=f"{_TORCH}.trunc_normal_",
        when="Transformers (BERT, ViT): a normal without outliers. Set a and b along with std.",
        check=_check_trunc_normal,
        working_copies=4,  # the tensor, candidates, the acceptance buffer, the mask's copy
    ),
    Scheme(
        slug="normal",
        title="Normal",
        params=(Param("mean", 0.0, "Mean of the normal.", unit="weight"), _STD),
        ranks=_ANY,
        law=lambda slot, p: normal_law(_get(p, "mean"), _get(p, "std")),
        formula=r"w \sim \mathcal{N}(<mean>,\, <std>^2)",
        reference=f"{_TORCH}.normal_",
        when="A fixed std, as GPT-2's 0.02: chosen by hand, blind to the layer's size.",
    ),
    Scheme(
        slug="uniform",
        title="Uniform",
        params=(
            Param("a", 0.0, "Lower end.", unit="weight"),
            Param("b", 1.0, "Upper end.", unit="weight"),
        ),
        ranks=_ANY,
        law=lambda slot, p: (
            Uniform(_get(p, "a"), _get(p, "b"))
            if _get(p, "a") < _get(p, "b")
            else constant(_get(p, "a"))
        ),
        formula=r"w \sim \mathcal{U}(<a>,\, <b>)",
        reference=f"{_TORCH}.uniform_",
        when="A range chosen by hand. torch's default [0, 1) makes every weight positive.",
        check=_check_uniform,
    ),
    Scheme(
        slug="sparse",
        title="Sparse",
        params=(
            Param(
                "sparsity",
                0.1,
                "Share of each column set to zero, rounded up to whole entries.",
                low=0.0,
                high=1.0,
            ),
            Param("std", 0.01, "Standard deviation of the rest.", low=0.0, unit="weight"),
        ),
        ranks=(2,),
        law=_sparse_law,
        formula=_lines(
            r"\lceil <sparsity> \cdot <rows> \rceil\ \text{zeros a column}",
            r"\text{the rest}\ \mathcal{N}(0,\, <std>^2)",
        ),
        reference="Martens 2010, Deep learning via Hessian-free optimization",
        when="Each unit listens to a few inputs only; historical, for Hessian-free training.",
        derived=lambda slot, p: {"rows": float(slot.shape[0])},
    ),
    Scheme(
        slug="constant",
        title="Constant",
        params=(Param("val", 0.5, "The value of every entry.", unit="weight"),),
        ranks=_ANY,
        law=lambda slot, p: constant(_get(p, "val")),
        formula=r"w = <val>",
        reference=f"{_TORCH}.constant_",
        when="Biases and gates. In a weight, all units stay equal: training cannot part them.",
    ),
    Scheme(
        slug="zeros",
        title="Zeros",
        params=(),
        ranks=_ANY,
        law=lambda slot, p: constant(0.0),
        formula=r"w = 0",
        reference=f"{_TORCH}.zeros_",
        when="Biases; the last layer of a residual branch. A hidden layer of zeros cannot learn.",
    ),
    Scheme(
        slug="ones",
        title="Ones",
        params=(),
        ranks=_ANY,
        law=lambda slot, p: constant(1.0),
        formula=r"w = 1",
        reference=f"{_TORCH}.ones_",
        when="The scale of a normalisation layer.",
    ),
    Scheme(
        slug="eye",
        title="Identity",
        params=(),
        ranks=(2,),
        law=lambda slot, p: _pattern(min(slot.shape), slot.count),
        formula=r"w_{ij} = 1\ \text{if}\ i = j,\ \text{else}\ 0",
        reference=f"{_TORCH}.eye_; Le et al. 2015 for recurrent weights, arXiv 1504.00941",
        when="Recurrent ReLU layers (IRNN): start by copying the state.",
    ),
    Scheme(
        slug="dirac",
        title="Dirac",
        params=(),
        ranks=(3, 4, 5),
        law=_dirac_law,
        formula=r"w_{ij} = 1\ \text{at the kernel's centre if}\ i = j,\ \text{else}\ 0",
        reference=f"{_TORCH}.dirac_; Zagoruyko & Komodakis 2017, arXiv 1706.00388",
        when="Convolutions that start by passing their channels through, within each group.",
        call=lambda slot, p: Call(
            "dirac_", {"groups": slot.layer.groups} if slot.layer.groups > 1 else {}
        ),
    ),
    Scheme(
        slug="default",
        title="PyTorch's default",
        params=(),
        ranks=_ANY,
        law=_default_law,
        formula=_DEFAULT_UNIFORM,
        reference="reset_parameters of the module; kaiming_uniform_(a=√5) for linear and conv",
        when="What you get without choosing. It is not Xavier: its std is 1/√(3·fan_in).",
        call=_default_call,
        derived=lambda slot, p: {"n": _default_fan(slot)},
        formula_of=_default_formula,
    ),
)


def schemes() -> dict[str, Scheme]:
    """All schemes by slug, in the order of ``SCHEMES``."""
    return {scheme.slug: scheme for scheme in SCHEMES}


def get_scheme(slug: str) -> Scheme:
    """The scheme with this slug; raises InitError naming the allowed ones."""
    known = schemes()
    if slug not in known:
        raise InitError(f"scheme {slug!r} is not one of: {', '.join(known)}")
    return known[slug]


@dataclass(frozen=True)
class Init:
    """A scheme with its parameters: ``Init("normal", {"std": 0.02})``.

    Parameters left out take torch's defaults. Hashable. Raises InitError for an unknown scheme or
    parameter, a value outside its range, or values that exclude each other.
    """

    slug: str
    params: Mapping[str, Value] = field(default_factory=dict, hash=False)
    _key: tuple[tuple[str, Value], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = {param.name: param for param in self.scheme.params}
        for name in self.params:
            if name not in known:
                has = f"has {', '.join(known)}" if known else "takes no parameters"
                raise InitError(f"{self.slug} has no parameter {name!r}: it {has}")
        full = {
            name: param.parse(self.params.get(name, param.default)) for name, param in known.items()
        }
        if self.scheme.check:
            self.scheme.check(full)
        object.__setattr__(self, "params", full)
        object.__setattr__(self, "_key", tuple(full.items()))

    @cached_property
    def scheme(self) -> Scheme:
        return get_scheme(self.slug)

    def __reduce__(self) -> tuple[type[Init], tuple[str, dict[str, Value]]]:
        """By slug and parameters: another process has records of its own."""
        return Init, (self.slug, dict(self.params))

    def law(self, slot: Slot) -> Law:
        """The law of one entry in exact arithmetic."""
        return self.scheme.law(slot, self.params)

    def call(self, slot: Slot) -> Call:
        """The torch call that fills the slot."""
        if self.scheme.call:
            return self.scheme.call(slot, self.params)
        return Call(f"{self.slug}_", self.params)

    def formula(self, slot: Slot, *, substituted: bool = False) -> str:
        """The scheme's formula in LaTeX; with the numbers of this slot when ``substituted``."""
        scheme = self.scheme
        template = scheme.formula_of(slot) if scheme.formula_of else scheme.formula
        if not substituted:
            return _symbols(template)
        layer = slot.layer
        values: dict[str, Value] = {"fan_in": layer.fan_in, "fan_out": layer.fan_out}
        values |= dict(self.params) | (scheme.derived(slot, self.params) if scheme.derived else {})
        if "<result>" not in template:
            template += "<result>"
        template = template.replace("<result>", self._result(slot))
        return _TOKEN.sub(lambda m: _latex_number(values[m[1]]), template)

    def _result(self, slot: Slot) -> str:
        """What the formula's bound or std comes to; nothing where the formula states the law."""
        law = self.law(slot)
        if "a =" in self.scheme.formula and isinstance(law, Uniform):
            return rf" = {_latex_number(law.high)}"
        if "sigma =" in self.scheme.formula:
            return rf" = {_latex_number(law.std)}"
        return ""


_TOKEN = re.compile(r"<(\w+)>")


def _symbols(template: str) -> str:
    template = template.replace("<result>", "")
    return _TOKEN.sub(lambda m: r"\text{" + m[1].replace("_", r"\_") + "}", template)


def _latex_number(value: Value) -> str:
    text = str(value) if isinstance(value, str) else number(value).replace("−", "-")
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{exponent}}}" if exponent else text


def formula(scheme: Scheme) -> str:
    """The scheme's formula in symbols, for the catalogue."""
    return _symbols(scheme.formula)


def as_dict(scheme: Scheme) -> dict[str, Any]:
    """The record as plain data for JSON."""
    return {
        "slug": scheme.slug,
        "title": scheme.title,
        "ranks": list(scheme.ranks),
        "formula": formula(scheme),
        "when": scheme.when,
        "reference": scheme.reference,
        "params": [
            {
                "name": param.name,
                "default": param.default,
                "allowed": param.allowed,
                "unit": param.unit,
                "help": param.help,
            }
            for param in scheme.params
        ],
    }
