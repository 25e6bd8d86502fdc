"""Identify: what a tensor was initialised with, read off its values.

>>> from initcore.draw import draw
>>> layer = Layer("linear", (64, 64))
>>> found = identify(draw(layer, "xavier_uniform", seed=0).weight, layer)
>>> found.family, [candidate.label for candidate in found.schemes]
('uniform', ['lecun_uniform', 'xavier_uniform', "kaiming_uniform(nonlinearity='linear')"])

Three questions, in this order: what pattern or law do the entries follow one by one (the family);
does the matrix have a structure that independent entries cannot have (orthogonal, by blocks, or
trained); which schemes of ``SCHEMES`` have that law, at this layer's fans, with that scale.

Chance decides with thresholds so strict that a fresh tensor is refused once in a hundred thousand
times; effect sizes decide beside it, so that a deviation too small to matter is never an alarm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

import numpy as np
import torch
from scipy.special import chdtr, chdtrc, gammaincc, kolmogorov, ndtr, pdtr
from torch import Tensor, nn

from initcore.draw import DTYPES, narrower_types
from initcore.errors import InitError
from initcore.fit import (
    NEGLIGIBLE_KS,
    NEGLIGIBLE_STD,
    ks_bracket,
    round_count,
    rounded_law,
    std_error,
    values_needed,
)
from initcore.grain import RUN, Grain
from initcore.laws import (
    LARGEST,
    NODES,
    SMALLEST,
    WEIGHTS,
    HaarCoordinate,
    Law,
    Normal,
    TruncatedNormal,
    Uniform,
    ZeroInflated,
    number,
)
from initcore.layers import LONGEST_KERNEL, Layer
from initcore.measure import Floats, HalfGrid, Measurement, measure
from initcore.schemes import Init, Scheme, Slot, Value, get_scheme, schemes

# A law or an independence is refused below this chance; several tests are made of each tensor.
REFUSED = 1e-6
# From a normal that shows no tail to a truncated normal it takes less: both are fresh.
_CUT = 1e-4
# Below this many values a uniform and a normal can look alike; above it a family is certain.
CERTAIN = 4096
# No initialisation reaches this magnitude; uninitialised memory read as floats does.
ABSURD = 1e8
# Values whose bits are looked at before those of all.
_FEW_VALUES = 1024
# How many entries the tests of structure look at.
_SAMPLE = 2**18
# Bins for tests of a law: their width is what a distance can miss, far below NEGLIGIBLE_KS.
_BINS = 4096


@dataclass(frozen=True)
class Estimate:
    """A parameter read off the values, with one standard error; units are those of the weights."""

    value: float
    error: float


@dataclass(frozen=True)
class Candidate:
    """A scheme consistent with a tensor.

    ``scheme`` is a slug of ``SCHEMES`` and ``label`` how one would write it; ``law`` is that of one
    entry. ``ratio`` is the observed std ÷ the law's and ``error`` its standard error by chance
    alone; both nan where the law has no spread.
    """

    scheme: str
    params: Mapping[str, Value]
    label: str
    law: Law
    ratio: float
    error: float


@dataclass(frozen=True)
class Identification:
    """What a tensor was initialised with.

    family: "zeros", "ones", "constant", "eye", "dirac", "delta_orthogonal", "uniform", "normal",
        "truncated_normal", "orthogonal", "sparse", "sinusoidal", "mixture", "none" (trained, or
        something else), "garbage" or "cannot_tell".
    params: the family's parameters as read off the values.
    schemes: every recorded scheme that is consistent, the simplest and closest first; what
        coincides at this shape stands together.
    confidence: "certain", "likely" or "cannot tell".
    sentence: all this for people. notes: spikes, denormals, zero rows, blocks, structure.
    drawn_on: "CPU" or "CUDA" where the values are, bit for bit, a draw of torch's generator there,
        untouched since (of a normal, the scale aside where it is no scheme's to the bit, and about
        0 or a round mean); "" if they were drawn elsewhere or changed a little, None where that
        cannot be told, see ``initcore.grain``.
    named: whether a recorded scheme gives the scale; False where ``schemes`` has but the family's
        own, with its parameters read off the values.
    measurement: of the tensor; of all but the strays, where there are any.
    strays: how many values lie far outside of what all others follow.
    """

    family: str
    params: Mapping[str, Estimate]
    schemes: tuple[Candidate, ...]
    confidence: str
    sentence: str
    notes: tuple[str, ...]
    measurement: Measurement
    drawn_on: str | None = None
    named: bool = True
    strays: int = 0

    @property
    def torch_draw(self) -> bool | None:
        """Whether a generator of torch's drew the values; None where that cannot be told."""
        return None if self.drawn_on is None else bool(self.drawn_on)


# --- what is known of the tensor's place --------------------------------------------------------


def layer_of(shape: tuple[int, ...]) -> Layer | None:
    """The layer whose weight has this shape, fans as torch reads them; None where there is none."""
    if 0 in shape or not 2 <= len(shape) <= 5:
        return None
    if len(shape) == 2:
        return Layer("linear", (shape[1], shape[0]))
    return Layer(f"conv{len(shape) - 2}d", (shape[1], shape[0], *shape[2:]))


def _slot(shape: tuple[int, ...], layer: Layer | None) -> Slot | None:
    if layer is None:
        inferred = layer_of(shape)
        return Slot(inferred, "weight") if inferred else None
    if shape == layer.weight_shape:
        return Slot(layer, "weight")
    if shape == layer.bias_shape:
        return Slot(layer, "bias")
    raise InitError(
        f"shape {list(shape)} is neither the weight {list(layer.weight_shape)} nor the bias of "
        f"{layer.code}: pass the layer it belongs to, or none"
    )


# --- the schemes as candidates ------------------------------------------------------------------


class _Effective(Layer):
    """A layer as a scheme would see it whose fans counted connections."""

    @property
    def fan_in(self) -> int:
        return self.effective_fan_in

    @property
    def fan_out(self) -> int:
        return self.effective_fan_out


_GAINS = (1.0, math.sqrt(2.0), 5 / 3, 0.75, 0.5, 0.1, 0.01)
_STDS = (1.0, 0.02, 0.01, 0.001, 0.006, 0.03, 0.05, 0.1, 0.2, 0.5, 1e-4, 1e-6)
# Values people choose, by the names of a scheme's numeric parameters; a scheme with other names is
# a candidate with its defaults. The first of several that give one law is the one named.
_USUAL: dict[tuple[str, ...], tuple[tuple[float, ...], ...]] = {
    ("gain",): tuple((gain,) for gain in _GAINS),
    ("a",): ((0.0,), (math.sqrt(5.0),), (0.2,)),
    ("mean", "std"): tuple((0.0, std) for std in _STDS),
    ("mean", "std", "a", "b"): tuple(
        (0.0, std, -cut, cut) for std in _STDS for cut in (2.0, 2 * std, 3 * std)
    ),
    ("a", "b"): (
        (0.0, 1.0),
        *((-b, b) for b in (1.0, 0.5, 0.1, 0.08, 0.05, 0.02, 0.01, 0.003, 0.001)),
    ),
    ("sparsity", "std"): tuple(
        itertools.product((0.1, 0.2, 0.3, 0.5, 0.75, 0.8, 0.9, 0.95, 0.99), (0.01, 0.1, 1.0, 0.02))
    ),
    ("val",): tuple((value,) for value in (0.5, 0.0, 1.0, 0.1, 0.01, 0.25, -1.0, 2.0)),
}


def _choices(scheme: Scheme) -> Iterator[dict[str, Value]]:
    """The parameter values to try, simplest first."""
    numeric = tuple(param.name for param in scheme.params if not param.choices)
    named = [param for param in scheme.params if param.choices]
    defaults = scheme.defaults()
    usual = _USUAL.get(numeric, (tuple(float(defaults[name]) for name in numeric),))
    tried = []
    for values in usual:
        for picked in itertools.product(*(param.choices for param in named)):
            params: dict[str, Value] = dict(zip(numeric, values, strict=True))
            params |= {param.name: choice for param, choice in zip(named, picked, strict=True)}
            unused = {p.name for p in scheme.params if not p.is_used(params)}
            if all(params[name] == defaults[name] for name in unused):
                tried.append({name: params[name] for name in defaults})
    yield from sorted(tried, key=lambda params: _complexity(scheme, params))


def _complexity(scheme: Scheme, params: Mapping[str, Value]) -> int:
    return sum(params[param.name] != param.default for param in scheme.params)


def _label(scheme: Scheme, params: Mapping[str, Value]) -> str:
    parts = [
        f"{param.name}={_written(params[param.name])}"
        for param in scheme.params
        if params[param.name] != param.default
    ]
    return f"{scheme.slug}({', '.join(parts)})" if parts else scheme.slug


def _written(value: Value) -> str:
    if isinstance(value, str):
        return repr(value)
    square = value * value
    if 1 < square < 100 and math.isclose(square, round(square)) and value != round(value):
        return f"√{round(square)}" if value > 0 else f"−√{round(square)}"
    return number(value)


@dataclass(frozen=True)
class _Named:
    """A scheme with parameters at a slot, as a candidate to be tried."""

    scheme: Scheme
    params: Mapping[str, Value]
    label: str
    law: Law
    family: str
    discrete: bool
    drawn: bool
    complexity: int


def _readings(slot: Slot) -> list[tuple[Slot, str]]:
    """The slot as torch reads its fans and as one may, each with what to say of it."""
    readings, layer = [(slot, "")], slot.layer
    # An embedding's effective fans describe a lookup, which has no scale to keep.
    if layer.fans_note and layer.slug != "embedding":
        other: Layer = _Effective(layer.slug, layer.size, layer.groups)
        fans = f"fan_in {other.fan_in:,}, fan_out {other.fan_out:,}"
        readings.append((Slot(other, slot.role), f" at the effective fans ({fans})"))
    if layer.slug.startswith("conv") and _is_stack(slot.shape):
        rows, columns = slot.shape[-2:]
        one = Slot(Layer("linear", (columns, rows)), "weight")
        readings.append((one, f" of each {rows:,} × {columns:,}"))
    return readings


def _is_stack(shape: tuple[int, ...]) -> bool:
    """Whether the last two axes are a matrix of many, as of the experts of a mixture."""
    return min(shape[2:], default=0) > LONGEST_KERNEL


# Any layer's bias will do for a scheme that asks for no fan; only the default does.
_ANY_SLOT = Slot(Layer("linear", (7, 3)), "bias")


@lru_cache(maxsize=512)
def _named(slot: Slot | None) -> tuple[_Named, ...]:
    """Every scheme that can fill the slot, with every usual parameter, each law once a scheme.

    Where no layer is known, those that ask for no fan.
    """
    if slot is None:
        return tuple(named for named in _named(_ANY_SLOT) if named.scheme.slug != "default")
    readings = _readings(slot)
    found = []
    for scheme in schemes().values():
        if scheme.why_not(slot):
            continue
        seen: list[Law] = []
        for params in _choices(scheme):
            for place, note in readings:
                if note and scheme.slug == "default":  # of a layer as torch reads it
                    continue
                law = scheme.law(place, params)
                if any(_same(law, other) for other in seen):
                    continue
                seen.append(law)
                label = _label(scheme, params) + note
                complexity = _complexity(scheme, params) + bool(note)
                drawn = Init(scheme.slug, params).call(slot).takes_generator
                family, discrete = _family_of(law), law.is_discrete
                found.append(
                    _Named(scheme, params, label, law, family, discrete, drawn, complexity)
                )
    return tuple(found)


def _same(first: Law, second: Law) -> bool:
    """Whether two laws of one scheme differ by too little to be told apart at any size."""
    if type(first) is not type(second):
        return False
    near = 1e-3 * max(first.std, second.std)
    if abs(first.std - second.std) > near or first.atoms != second.atoms:
        return False
    pairs = [(getattr(first, name), getattr(second, name)) for name in ("mean", "low", "high")]
    return all(a == b or abs(a - b) <= near for a, b in pairs)


def _family_of(law: Law) -> str:
    if isinstance(law, TruncatedNormal):
        # A cut that no tensor reaches is none.
        return "normal" if law.mass > 1 - 1e-9 else "truncated_normal"
    names: dict[type[Law], str] = {
        Uniform: "uniform",
        Normal: "normal",
        HaarCoordinate: "orthogonal",
        ZeroInflated: "sparse",
    }
    return names.get(type(law), law.family)


def _candidates(m: Measurement, slot: Slot | None, families: set[str]) -> tuple[Candidate, ...]:
    """The schemes whose law is of one of the families and consistent with the measurement."""
    found: list[tuple[float, int, Candidate]] = []
    # First what is far off, cheaply.
    far = NEGLIGIBLE_STD + 8 / math.sqrt(m.finite)
    std, n = m.std, m.finite
    for order, named in enumerate(_named(slot)):
        law = named.law
        if named.family not in families or named.discrete:
            continue
        if law.std > 1e-4 and abs(std / law.std - 1) > far and n > 1:
            continue
        if not _consistent(m, law):
            continue
        ratio, error = std / law.std, std_error(law, n)
        off = (ratio - 1) / max(error, 5e-4) if n > 1 else 0.0
        candidate = Candidate(named.scheme.slug, named.params, named.label, law, ratio, error)
        cost = named.complexity + 0.1 * len(named.params)
        found.append((0.5 * off**2 + 2.0 * cost, order, candidate))
    return tuple(candidate for _, _, candidate in sorted(found, key=lambda item: item[:2]))


def _families(slot: Slot | None) -> set[str]:
    return {named.family for named in _named(slot)}


def _consistent(m: Measurement, law: Law) -> bool:
    """Whether location, scale and ends of the values can be the law's; the shape where need be.

    The shape of the usual laws has been tested before, with their parameters fitted.
    """
    n, std = m.finite, law.std
    # What rounding to the dtype moves, at most.
    info = torch.finfo(DTYPES[m.dtype])
    step = info.eps * max(abs(m.min), abs(m.max))
    if n > 1:
        if std < 100 * info.smallest_normal * info.eps:
            std = rounded_law(m, law).std
        error = std_error(law, n)
        # Small samples have a longer upper tail than a normal.
        usual = max(NEGLIGIBLE_STD, 4.5 * error * (1 + error))
        if not std or abs(m.std / std - 1) > usual:
            return False
    shift = max(5 / math.sqrt(n), NEGLIGIBLE_STD) * law.std + step
    if abs(m.mean - law.mean) > shift or not _ends_possible(m, law, step):
        return False
    if isinstance(law, Uniform | Normal | TruncatedNormal | HaarCoordinate):
        return True
    return _law_chance(m, law) >= REFUSED


def _ends_possible(m: Measurement, law: Law, step: float) -> bool:
    """Whether the smallest and largest value lie in the support, and near enough to its ends."""
    harmless = NEGLIGIBLE_STD * law.std + step
    if m.min < law.low - harmless or m.max > law.high + harmless:
        return False
    below, above = float(law.cdf(m.min - harmless)), float(law.cdf(m.max + harmless))
    if isinstance(law, Uniform | TruncatedNormal):
        missing = m.finite * (math.log1p(-below) if below < 1 else -math.inf)
        missing += m.finite * (math.log(above) if above > 0 else -math.inf)
        return missing > math.log(REFUSED)
    return True


def _ks_chance(distance: float, n: int) -> float:
    """Chance of a Kolmogorov-Smirnov distance as large. Stephens 1970."""
    root = math.sqrt(n)
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))


# --- the law of single entries ------------------------------------------------------------------


@dataclass(frozen=True)
class _Fitted:
    """A law with its parameters fitted to the values, and the chance of values as odd as these."""

    family: str
    law: Law
    params: Mapping[str, Estimate]
    chance: float


def _gate(chance: float, effect: float, negligible: float) -> float:
    """The chance, or 1 where the effect is too small to matter however sure it is."""
    return 1.0 if effect <= negligible else chance


def _normal_tail(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def _uniform(m: Measurement) -> _Fitted:
    n = m.finite
    gap = (m.max - m.min) / max(n - 1, 1)
    law = Uniform(m.min - gap, m.max + gap)
    params = {"a": Estimate(law.a, gap), "b": Estimate(law.b, gap)}
    # The variance of a uniform sample's kurtosis is 1.317/n, from its moments up to the eighth.
    off = m.kurtosis - 1.8
    chance = _gate(_normal_tail(off / math.sqrt(1.317 / n)) if n > 50 else 1.0, abs(off), 0.02)
    if chance >= REFUSED:  # else the histogram need not be looked at
        chance = min(chance, _law_chance(m, law), _edge_chance(m, law))
    return _Fitted("uniform", law, params, chance)


def _law_chance(m: Measurement, law: Law) -> float:
    low, _ = ks_bracket(m, law)
    return _harmless(m, law, low, _ks_chance(low, m.finite))


def _harmless(m: Measurement, law: Law, distance: float, chance: float) -> float:
    """The chance, or 1 where the distance is no more than rounding to the dtype leaves."""
    if chance >= REFUSED or distance <= NEGLIGIBLE_KS:
        return max(chance, float(distance <= NEGLIGIBLE_KS))
    return _gate(chance, distance, rounded_law(m, law).coarsest)


# Shares of the range, from either end, in which a bounded law must show its values.
_ZONES = (0.005, 0.01, 0.02, 0.04, 0.08)


def _edge_chance(m: Measurement, law: Law) -> float:
    """The chance of so few values near the ends of a bounded law: training smears a sharp edge."""
    edges, chance = m.grid.edges, 1.0
    width = law.high - law.low
    # The outermost value on either side is there by construction.
    first, last, share, count = 0, len(edges) - 1, 1.0, m.finite - 2
    if isinstance(m.grid, HalfGrid):  # where the law ends within its cell, few values round to it
        filled = np.flatnonzero(m.counts)
        first, last = int(filled[0]) + 1, int(filled[-1])
        share, count = float(law.cdf(edges[last]) - law.cdf(edges[first])), m.finite
    for zone in _ZONES:
        low = int(np.searchsorted(edges, law.low + zone * width, side="right")) - 1
        high = int(np.searchsorted(edges, law.high - zone * width))
        if low <= first or high >= last:
            continue
        between = float(law.cdf(edges[high])) - float(law.cdf(edges[low]))
        expected = m.finite * (share - between)
        seen = count - int(m.counts[low:high].sum())
        if expected > 0 and seen < 0.9 * expected:
            chance = min(chance, float(pdtr(max(seen, 0), expected)))
    return chance


def _normal(m: Measurement) -> _Fitted:
    n = m.finite
    law = Normal(m.mean, m.std)
    params = {
        "mean": Estimate(m.mean, m.std / math.sqrt(n)),
        "std": Estimate(m.std, m.std / math.sqrt(2 * (n - 1))),
    }
    far = max(m.max - m.mean, m.mean - m.min) / m.std
    chances = [min(1.0, 2 * n * float(ndtr(-far)))]
    if n >= 20:
        chances += [
            _gate(_kurtosis_chance(m.kurtosis, n), abs(m.kurtosis - 3), 0.02),
            _gate(_skewness_chance(m.skewness, n), abs(m.skewness), 0.01),
        ]
    if min(chances) >= REFUSED:  # as above
        low, _ = ks_bracket(m, law)
        chances.append(_harmless(m, law, low, _lilliefors(low, n)))
    return _Fitted("normal", law, params, min(chances))


def _lilliefors(distance: float, n: int) -> float:
    """Chance of a KS distance from a normal fitted to the values. Dallal & Wilkinson 1986."""
    if n < 5:
        return 1.0
    size = float(min(n, 100))
    d = distance * (n / size) ** 0.49
    log = (
        -7.01256 * d**2 * (size + 2.78019)
        + 2.99587 * d * math.sqrt(size + 2.78019)
        - 0.122119
        + 0.974598 / math.sqrt(size)
        + 1.67997 / size
    )
    return math.exp(min(log, 0.0))


def _kurtosis_chance(kurtosis: float, n: int) -> float:
    """Two-sided chance of a normal sample's kurtosis. Anscombe & Glynn 1983."""
    mean = 3 * (n - 1) / (n + 1)
    var = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (kurtosis - mean) / math.sqrt(var)
    root = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9))
    root *= math.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    a = 6 + 8 / root * (2 / root + math.sqrt(1 + 4 / root**2))
    base = 1 + x * math.sqrt(2 / (a - 4))
    if base <= 0:
        return 0.0
    z = (1 - 2 / (9 * a) - ((1 - 2 / a) / base) ** (1 / 3)) / math.sqrt(2 / (9 * a))
    return _normal_tail(z)


def _skewness_chance(skewness: float, n: int) -> float:
    """Two-sided chance of a normal sample's skewness. D'Agostino 1970."""
    y = skewness * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    beta = 3.0 * (n * n + 27 * n - 70) * (n + 1) * (n + 3)
    beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
    w2 = math.sqrt(2 * (beta - 1)) - 1
    alpha = math.sqrt(2 / (w2 - 1))
    return _normal_tail(math.asinh(y / alpha) / math.sqrt(0.5 * math.log(w2)))


def _cut_chance(m: Measurement) -> float:
    """The chance that a normal of this mean and std shows no value beyond the extremes seen."""
    high, low = (m.max - m.mean) / m.std, (m.mean - m.min) / m.std
    inside = math.log1p(-float(ndtr(-high))) + math.log1p(-float(ndtr(-low)))
    return math.exp(m.finite * inside)


def _truncated(m: Measurement) -> _Fitted | None:
    """A truncated normal fitted by its ends and its first two moments; None where none fits.

    With the ends known, mean and second moment are sufficient, so that this is the
    maximum-likelihood fit.
    """
    n = m.finite
    width = m.max - m.min
    # In units of half the range about its middle; θ = (loc/scale², −1/(2 scale²)).
    middle, half = (m.max + m.min) / 2, width / 2
    want = np.array([(m.mean - middle) / half, (m.std / half) ** 2])
    want[1] += want[0] ** 2
    if m.std / width > 0.2886:
        return None
    features = np.stack([NODES, NODES**2])
    theta = np.array([want[0] / want[1], -0.5 / (want[1] - want[0] ** 2)])
    for _ in range(60):
        log = theta @ features
        mass = WEIGHTS * np.exp(log - log.max())
        mass /= mass.sum()
        got = features @ mass
        centred = features - got[:, None]
        step = np.linalg.lstsq(centred * mass @ centred.T, want - got, rcond=None)[0]
        theta = theta + step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-300))
        if float(np.abs(step).max()) < 1e-10 * float(np.abs(theta).max()):
            break
    covariance = np.linalg.pinv(centred * mass @ centred.T) / n
    if not theta[1] < 0:
        return None
    scale = math.sqrt(-0.5 / float(theta[1]))
    loc = float(theta[0]) * scale**2
    if not (abs(loc) < 4 and scale < 50):
        return None
    scale_error = scale**3 * math.sqrt(covariance[1, 1])
    loc_error = scale**2 * math.sqrt(covariance[0, 0])
    parent = Normal(middle + half * loc, half * scale)
    # The extreme values stop short of the cuts by about one share of 1/n at the density there.
    kept = 1 - float(ndtr((-1 - loc) / scale)) - float(ndtr((loc - 1) / scale))
    gaps = [kept / (n * max(float(parent.pdf(end)), 1e-300)) for end in (m.min, m.max)]
    gaps = [min(gap, 0.1 * width) for gap in gaps]
    law = TruncatedNormal(parent.loc, parent.scale, m.min - gaps[0], m.max + gaps[1])
    params = {
        "mean": Estimate(law.loc, half * loc_error),
        "std": Estimate(law.scale, half * scale_error),
        "a": Estimate(law.a, gaps[0]),
        "b": Estimate(law.b, gaps[1]),
    }
    chance = min(_law_chance(m, law), _edge_chance(m, law))
    return _Fitted("truncated_normal", law, params, chance)


def _entry_laws(m: Measurement) -> list[_Fitted]:
    """The families that single entries may follow, the likeliest first."""
    uniform, normal = _uniform(m), _normal(m)
    possible = [fitted for fitted in (uniform, normal) if fitted.chance >= REFUSED]
    if normal in possible and _cut_chance(m) < _CUT:
        possible.remove(normal)
    if possible:
        return possible
    truncated = _truncated(m) if m.finite > 50 else None
    return [truncated] if truncated and truncated.chance >= REFUSED else []


# --- structure: what independent entries cannot have --------------------------------------------


def _standardised(values: Tensor, m: Measurement) -> Floats:
    """In float32, but for values that float32 cannot hold."""
    exact = values if values.dtype == torch.float64 else values.float()
    x = (exact.numpy() - exact.numpy().dtype.type(m.mean)) / m.std
    return x.astype(np.float32, copy=False)  # type: ignore[no-any-return]


def _sampled(matrix: Tensor) -> Tensor:
    """A matrix of few entries whole; of a large one about 128 × 1,024 from all over it.

    The columns come in eight runs, near in memory.
    """
    rows, columns = matrix.shape
    if rows * columns <= _SAMPLE:
        return matrix
    runs = columns // 8
    width = min(runs, max(128, _SAMPLE // 16 // rows))
    count = max(128, _SAMPLE // 16 // max(width, 1))
    some = matrix[:: max(rows // count, 1)]
    if not runs:
        return some
    return some[:, : 8 * runs].reshape(len(some), 8, runs)[:, :, :width].flatten(1)


_Test = tuple[float, str]  # the chance of what is seen in independent entries, and what it is


def _structure(matrix: Tensor, m: Measurement) -> list[_Test]:
    """Tests against independence: means, norms, neighbours, alignment, the top singular value."""
    x = _standardised(_sampled(matrix), m)
    tests: list[_Test] = []
    if min(matrix.shape) < 2:
        line = x.ravel()
        if len(line) >= 20:
            together = float(line[:-1] @ line[1:]) / math.sqrt(len(line) - 1)
            tests.append((_normal_tail(together), "neighbours go together"))
        return tests
    # The power of a mean of squares that is near normal: the cube root for a normal's (Wilson &
    # Hilferty 1931), by the same rule 0.762 for a uniform's, and in between by the kurtosis.
    kurtosis = min(max(m.kurtosis, 1.8), 3.0)
    power = 1 / 3 + (0.762 - 1 / 3) * (3 - kurtosis) / 1.2
    # The variance of mean|x| ÷ √mean x², times the number of values: 0.0451 for a normal, 0.025 for
    # a uniform.
    shape = 0.0451 - (0.0451 - 0.025) * (3 - kurtosis) / 1.2
    size, squares = np.abs(x), np.square(x)
    for axis, name in ((1, "row"), (0, "column")):
        length, count = x.shape[axis], x.shape[1 - axis]
        means, energies = x.mean(axis=axis), squares.mean(axis=axis)
        chance = float(chdtrc(count, length * float(means @ means)))
        tests.append((chance, f"the means of its {name}s differ"))
        if length >= 8:
            norms = energies**power
            spread = float(((norms - norms.mean()) ** 2).sum())
            var = power**2 * (kurtosis - 1) / length
            tests.append((float(chdtrc(count - 1, spread / var)), f"its {name}s differ in norm"))
        if length >= 32:
            ratios = size.mean(axis=axis) / np.sqrt(np.where(energies > 0, energies, 1))
            spread = float(((ratios - ratios.mean()) ** 2).sum()) * length
            tests.append((float(chdtrc(count - 1, spread / shape)), f"its {name}s differ in law"))
        first, second = (x[:, :-1], x[:, 1:]) if axis else (x[:-1], x[1:])
        together = float(np.vecdot(first, second).sum()) / math.sqrt(first.size)
        tests.append((_normal_tail(together), f"neighbours in a {name} go together"))
    short = x if x.shape[0] <= x.shape[1] else x.T
    short = short[:: -(-len(short) // 256)]
    gram = _gram(short)
    tests.append((_edge_of_spectrum(gram, short.shape[1]), "its largest singular values stick out"))
    tests.append(_alignment(gram, short.shape[1]))
    return tests


def _gram(rows: Floats) -> Floats:
    """Inner products of the rows; by torch, which keeps to the threads it is given."""
    x = torch.from_numpy(np.ascontiguousarray(rows))
    product: Floats = (x @ x.T).numpy()
    return product


def _edge_of_spectrum(gram: Floats, length: int) -> float:
    """Chance of so large singular values: beyond Marchenko-Pastur's edge by Tracy-Widom's law.

    Johnstone 2001, Annals of Statistics 29(2), with Ma's 2012 half-integers. Training often moves
    several directions a little, so that the four largest together are tested beside the largest.
    """
    a, b = math.sqrt(length - 0.5), math.sqrt(len(gram) - 0.5)
    centre, scale = (a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3)
    beyond = (torch.linalg.eigvalsh(torch.from_numpy(gram))[-4:].double().numpy() - centre) / scale
    # The Tracy-Widom law is a shifted gamma to three digits. Chiani 2014, arXiv 1209.3394. So is
    # that of the sum of four, with the moments of 18,000 Wishart matrices of 10 × 96 to 128 × 1024.
    chance = float(gammaincc(46.446, max(beyond[-1] + 9.84801, 0.0) / 0.186054))
    if len(beyond) < 4:
        return chance
    return min(1.0, 2 * min(chance, float(gammaincc(204, max(beyond.sum() + 59.1, 0.0) / 0.2157))))


def _alignment(gram: Floats, length: int) -> _Test:
    """Whether the vectors are more, or less, aligned with each other than by chance."""
    norms = np.sqrt(np.diag(gram))
    filled = norms > 0
    if not filled.all():
        gram, norms = gram[np.ix_(filled, filled)], norms[filled]
    k = len(gram)
    if k < 2:
        return 1.0, "its vectors are too few"
    cosines = gram / np.outer(norms, norms)
    # The cosines of k(k − 1)/2 pairs are nearly independent, of variance 1/length.
    pairs = k * (k - 1) / 2
    squares = length * (float((cosines**2).sum()) - k) / 2
    less, more = float(chdtr(pairs, squares)), float(chdtrc(pairs, squares))
    how = "are aligned" if more < less else "are nearer to orthogonal than chance leaves them"
    return min(1.0, 2 * min(less, more)), f"its vectors {how}"


def _off_zero(m: Measurement) -> _Test:
    """A mean too small to have been chosen and too large for chance: training drifts."""
    share = abs(m.mean) / m.std
    by_rounding = max(NEGLIGIBLE_STD, 2 * torch.finfo(DTYPES[m.dtype]).eps)
    chosen = share > 0.1
    chance = 1.0 if chosen or share < by_rounding else _normal_tail(share * math.sqrt(m.finite))
    return chance, f"its mean is {number(m.mean / m.std, 2)} std off zero"


def _together(chances: list[float]) -> float:
    """The chance of several tests at once, none of which need be striking. Fisher 1925."""
    return float(chdtrc(2 * len(chances), -2 * sum(math.log(max(c, 1e-300)) for c in chances)))


def _orthogonal(matrix: Tensor) -> Estimate | None:
    """The gain of a matrix whose shorter side holds orthogonal vectors of one length, else None."""
    rows, columns = matrix.shape
    if min(rows, columns) < 2:
        return None
    short = matrix if rows <= columns else matrix.T
    length = short.shape[1]
    eps = torch.finfo(matrix.dtype).eps
    tolerance = 6 * eps / math.sqrt(length) + 1e-5 if eps > 1e-4 else 1e-5 + 8 * eps
    # Four vectors tell nearly always that it is not.
    for count in sorted({min(len(short), 4), min(len(short), max(_SAMPLE // length, 4), 256)}):
        # Rows from all over; columns side by side, which are nearer in memory.
        step = len(short) // count if rows <= columns else 1
        x = short[: step * count : step].double().numpy()
        gram = x @ x.T
        mean = float(np.diag(gram).mean())
        if not mean or np.abs(gram - mean * np.eye(count)).max() > tolerance * mean:
            return None
    gain = math.sqrt(mean)
    return Estimate(gain, gain * tolerance / 2)


def _orthogonal_all(matrices: Tensor) -> Estimate | None:
    """The gain that all of several matrices have, each orthogonal, else None."""
    first = _orthogonal(matrices[0])
    for matrix in matrices[1:]:
        other = _orthogonal(matrix) if first else None
        if not first or not other or abs(other.value - first.value) > 2 * first.error:
            return None
    return first


# --- putting it together ------------------------------------------------------------------------


@dataclass
class _Case:
    """One tensor under examination; ``whole`` unless it is a block, which is not divided.

    in_order: the values in memory follow each other as they were drawn.
    """

    tensor: Tensor
    slot: Slot | None
    m: Measurement
    whole: bool = True
    in_order: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def n(self) -> str:
        return f"{self.m.count:,}"

    def found(
        self,
        family: str,
        sentence: str,
        params: Mapping[str, Estimate] | None = None,
        schemes: tuple[Candidate, ...] = (),
        confidence: str = "certain",
    ) -> Identification:
        return Identification(
            family, params or {}, schemes, confidence, sentence, tuple(self.notes), self.m
        )


def identify(
    tensor: Tensor,
    layer: Layer | None = None,
    *,
    measurement: Measurement | None = None,
    shape: tuple[int, ...] | None = None,
) -> Identification:
    """Identify what a tensor was initialised with.

    ``tensor`` is float32, float64, bfloat16 or float16, of any shape, on any device. ``layer`` is
    the one whose weight or bias it is; without one the fans are torch's, read off the shape, and a
    tensor of one axis has none. ``measurement`` is the tensor's, where there is one already.
    ``shape`` is the whole tensor's where ``tensor`` holds only some of its rows, as of one too
    large to hold; then patterns are not looked for, nor a tall orthogonal matrix, which takes all
    rows to tell.

    Raises InitError for other dtypes, an empty tensor, one on the meta device, and a layer of other
    shapes.
    """
    tensor = tensor.detach()
    if not tensor.dim():
        tensor = tensor.reshape(1)
    shape = shape or tuple(tensor.shape)
    measured = measurement or _measured(tensor)
    case = _Case(tensor.cpu(), _slot(shape, layer), measured)
    if shape == tuple(tensor.shape):
        return _identify(case)
    tall = shape[0] > math.prod(shape[1:])
    skip = (_look_for_patterns, _look_at_matrix) if tall else (_look_for_patterns,)
    in_order = math.prod(shape[1:]) % RUN == 0
    return _identify(replace(case, whole=False, in_order=in_order), skip)


_Look = Callable[["_Case"], Identification | None]


def _identify(case: _Case, skip: tuple[_Look, ...] = ()) -> Identification:
    looks = (
        _look_for_garbage,
        _look_for_constants,
        _look_for_patterns,
        partial(_look_for_rounding, skip=skip),
        _look_for_sinusoids,
        _look_at_matrix,
    )
    for look in looks:
        if look not in skip and (found := look(case)):
            return found
    return _look_at_entries(case)


def _look_for_rounding(case: _Case, skip: tuple[_Look, ...]) -> Identification | None:
    """Values of a narrower type, as of a model that was cast from it: they are told as of that."""
    held = _narrowed(case.tensor)
    if held is None:
        return None
    measured = measure(held)
    rest = _identify(replace(case, tensor=held, m=measured), skip)
    note = f"all values are {measured.dtype}'s, held in {case.m.dtype}"
    sentence = f"{note[0].upper()}{note[1:]}. {rest.sentence}"
    return replace(rest, sentence=sentence, notes=(note, *rest.notes))


def _narrowed(tensor: Tensor) -> Tensor | None:
    """The values in the narrowest type that holds them; None if that is theirs, or few differ."""
    some = tensor.reshape(-1)[:_FEW_VALUES]
    for dtype in narrower_types(tensor.dtype):
        if some.to(dtype).to(tensor.dtype).equal(some) and len(torch.unique(some)) > 16:
            held = tensor.to(dtype)
            if held.to(tensor.dtype).equal(tensor):
                return held
    return None


def _measured(tensor: Tensor) -> Measurement:
    try:
        return measure(tensor)
    except InitError:
        if tensor.dtype != torch.float64 or not tensor.numel():
            raise
        # Magnitudes whose powers leave float64: told apart as infinite, or as nothing.
        size = tensor.abs()
        kept = torch.where(size > LARGEST, math.inf, tensor)
        return measure(torch.where(size < SMALLEST, 0.0, kept))


def _look_for_garbage(case: _Case) -> Identification | None:
    m = case.m
    signs = []
    if m.nonfinite:
        signs.append(f"{m.nonfinite:,} of {case.n} values are nan or infinite")
    largest = max(abs(m.min), abs(m.max))
    if largest > ABSURD:
        signs.append(f"values reach {number(largest)}, beyond any initialisation")
    # (Of float64, the smallest have been measured as zeros.)
    if m.dtype != "float16" and (_may_be_denormal(m) or (m.dtype == "float64" and m.zeros)):
        tiny = torch.finfo(case.tensor.dtype).tiny
        count = int(((case.tensor != 0) & (case.tensor.abs() < tiny)).sum())
        if count:
            signs.append(f"{count:,} of {case.n} values are denormal, as integers read as floats")
    if not signs:
        return None
    case.notes += signs
    return case.found("garbage", f"This is no initialisation: {'; '.join(signs)}.")


def _may_be_denormal(m: Measurement) -> bool:
    """Whether more values lie about zero than a smooth law puts there: denormals would."""
    if max(abs(m.min), abs(m.max)) < 1e-30:
        return m.zeros < m.finite
    edges = m.grid.edges
    at = int(np.searchsorted(edges, 0.0))
    near = m.counts[max(at - 1, 0) : at + 1].sum() - m.zeros
    around = m.counts[max(at - 9, 0) : at + 9]
    return bool(near > 8 and near > 0.5 * (around.sum() - m.zeros))


def _exact_candidates(case: _Case) -> tuple[Candidate, ...]:
    """The schemes whose pattern this is, value by value."""
    found = []
    dtype = DTYPES[case.m.dtype]
    values = {float(v) for v in (case.m.min, case.m.max)}
    for named in _named(case.slot):
        # A random scheme whose parameters leave nothing random is none that anyone would write.
        if not named.discrete or named.drawn:
            continue
        held = {float(torch.tensor(value, dtype=dtype)) for value, _ in named.law.atoms}
        if held == values:
            candidate = Candidate(
                named.scheme.slug, named.params, named.label, named.law, math.nan, math.nan
            )
            found.append((named.complexity, candidate))
    return tuple(candidate for _, candidate in sorted(found, key=lambda item: item[0]))


def _look_for_constants(case: _Case) -> Identification | None:
    m = case.m
    if m.min != m.max:
        return None
    family = {0.0: "zeros", 1.0: "ones"}.get(m.min, "constant")
    schemes = tuple(c for c in _exact_candidates(case) if not c.law.std)
    named = {c.scheme for c in schemes}
    if "constant" not in named:
        scheme = get_scheme("constant")
        params: dict[str, Value] = {"val": m.min}
        label = _label(scheme, params)
        law = scheme.law(case.slot or _ANY_SLOT, params)
        schemes += (Candidate("constant", params, label, law, math.nan, math.nan),)
    params_read = {"value": Estimate(m.min, 0.0)}
    if m.count == 1 and family == "constant":
        sentence = f"One value, {number(m.min)}: it cannot say where it came from."
        return case.found("cannot_tell", sentence, params_read, schemes, "cannot tell")
    subject = "The value is" if m.count == 1 else f"All {case.n} values are"
    return case.found(family, f"{subject} {number(m.min)}.", params_read, schemes)


def _look_for_patterns(case: _Case) -> Identification | None:
    """Identity, Dirac and delta-orthogonal: few entries that are not zero, in known places."""
    m, tensor, shape = case.m, case.tensor, tuple(case.tensor.shape)
    filled = m.finite - m.zeros
    if len(shape) < 2 or not m.zeros:
        return None
    value = m.max or m.min
    scale = {"scale": Estimate(value, 0.0)}
    single = (m.min == 0) != (m.max == 0)  # one value beside zero, if its count is right
    if len(shape) == 2 and single and filled == min(shape):
        diagonal = torch.diagonal(tensor)
        if bool((diagonal == value).all()):
            what = "the identity" if value == 1 else f"{number(value)} × the identity"
            schemes = _exact_candidates(case) if value == 1 else ()
            schemes = tuple(c for c in schemes if c.law.std)
            return case.found("eye", f"This is {what}, {shape[0]} × {shape[1]}.", scale, schemes)
    if not 3 <= len(shape) <= 5:
        return None
    if single and filled <= shape[0]:
        for groups in range(1, shape[0] + 1):
            if shape[0] % groups or groups * min(shape[0] // groups, shape[1]) != filled:
                continue
            if torch.equal(tensor, nn.init.dirac_(torch.empty_like(tensor), groups) * value):
                what = "" if value == 1 else f"{number(value)} × "
                what += "the Dirac kernel" + (f" in {groups} groups" if groups > 1 else "")
                schemes = _exact_candidates(case) if value == 1 else ()
                schemes = tuple(c for c in schemes if c.law.std)
                return case.found("dirac", f"This is {what}.", scale, schemes)
    taps = tensor.reshape(shape[0], shape[1], -1)
    used = torch.nonzero((taps != 0).any(dim=0).any(dim=0)).flatten().tolist()
    if len(used) != 1 or taps.shape[2] == 1:
        return None
    gain = _orthogonal(taps[:, :, used[0]])
    if gain is None:
        return None
    centre = tuple(int(i) for i in np.unravel_index(used[0], shape[2:]))
    case.notes.append(f"the only tap that is not zero is {list(centre)} of {list(shape[2:])}")
    sentence = (
        f"Zero but for one tap of the kernel, {list(centre)}, which is {number(gain.value)} × an "
        "orthogonal matrix: delta-orthogonal."
    )
    return case.found("delta_orthogonal", sentence, {"scale": gain})


def _look_for_sinusoids(case: _Case) -> Identification | None:
    """Sinusoidal positions: every pair of columns is the sine and the cosine of one angle.

    Source: Vaswani et al. 2017, section 3.5, whose pairs are neighbours; tensor2tensor and those
    who follow it have all sines before all cosines, and of images each half of the columns so.
    """
    tensor, m = case.tensor, case.m
    columns = tensor.shape[-1]
    if tensor.dim() != 2 or columns % 2 or columns < 8:  # a pair alone is any direction
        return None
    if max(-m.min, m.max) > 1.01 or m.min > -0.5:
        return None
    rows = tensor.float()
    rows = rows[(rows != 0).any(dim=1)]  # a class token's has none
    pairs = [rows.reshape(-1, columns // 2, 2), rows.reshape(-1, 2, columns // 2).mT]
    if columns % 4 == 0:
        pairs.append(rows.reshape(-1, 2, 2, columns // 4).mT)
    rounding = 1e-4 + 4 * torch.finfo(tensor.dtype).eps
    on_circle = (((each**2).sum(dim=-1) - 1).abs().max() <= rounding for each in pairs)
    # Of signs, such as a Hadamard matrix has, the squares add up, too.
    if not any(on_circle) or len(torch.unique(rows)) <= 16:
        return None
    sentence = (
        "Pairs of columns are the sine and the cosine of one angle: sinusoidal positions, computed "
        "and not drawn."
    )
    return case.found("sinusoidal", sentence)


def _look_at_matrix(case: _Case) -> Identification | None:
    """Orthogonal and sparse: told by the matrix, not by single entries."""
    shape = tuple(case.tensor.shape)
    if len(shape) < 2:
        return None
    readings = [case.tensor.reshape(1, shape[0], -1)]
    if _is_stack(shape):
        readings.append(case.tensor.reshape(-1, *shape[-2:]))
    for matrices in readings:
        gain = _orthogonal_all(matrices)
        if gain is None:
            continue
        params, matrix = {"gain": gain}, matrices[0]
        # Unlike a std, the gain is known to rounding: it alone decides.
        near = max(NEGLIGIBLE_STD, 4 * gain.error / gain.value)
        schemes = tuple(
            candidate
            for candidate in _candidates(case.m, case.slot, {"orthogonal"})
            if abs(candidate.law.std * math.sqrt(max(matrix.shape)) / gain.value - 1) <= near
        ) or _fitted_scheme(case, "orthogonal", params)
        several = f", each of {len(matrices):,}" if len(matrices) > 1 else ""
        sentence = (
            f"{number(gain.value)} × an orthogonal matrix, {matrix.shape[0]} × {matrix.shape[1]}"
            f"{several}: all singular values are equal."
        )
        if case.m.zeros > max(matrix.shape):
            schemes = ()
            case.notes.append("most entries are zero: a permutation, or of blocks; not drawn")
        return case.found("orthogonal", sentence, params, schemes)
    if len(shape) == 2 and case.m.zeros >= shape[1]:
        return _look_for_sparse(case)
    return None


def _look_for_sparse(case: _Case) -> Identification | None:
    """As many zeros in each column, and a normal for the rest."""
    tensor = case.tensor
    zeros = (tensor == 0).sum(dim=0)
    each, rows = int(zeros.min()), len(tensor)
    if not 0 < each < rows or each == int(_zero_rows(tensor).sum()):
        return None
    rest = measure(tensor[tensor != 0])
    # A 16-bit type turns the smallest of the normal's values into zeros, too, and torch's
    # normal_ draws a zero itself once in 2²⁴ values.
    info = torch.finfo(tensor.dtype)
    smallest = info.smallest_normal * info.eps
    share = smallest / (math.sqrt(2 * math.pi) * rest.std) if rest.std else 0.0
    rounded = rest.finite * (share + 2.0**-23)
    more = case.m.zeros - each * tensor.shape[1]
    if more and float(pdtr(more - 1, rounded)) > 1 - REFUSED:
        return None
    if rest.min == rest.max or "normal" not in {fitted.family for fitted in _entry_laws(rest)}:
        return None
    params = {
        "sparsity": Estimate(each / rows, 1 / rows),
        "std": Estimate(rest.std, rest.std / math.sqrt(2 * max(rest.finite - 1, 1))),
    }
    schemes = _candidates(case.m, case.slot, {"sparse"}) or _fitted_scheme(case, "sparse", params)
    sentence = (
        f"{each:,} of {rows:,} entries of each column are zero, the rest N(0, {number(rest.std)}²)."
    )
    return case.found("sparse", sentence, params, schemes)


def _fitted_scheme(
    case: _Case, family: str, params: Mapping[str, Estimate]
) -> tuple[Candidate, ...]:
    """The family's scheme of free parameters, read off the values; zero where chance allows it."""
    scheme, slot = get_scheme(_SLUGS[family]), case.slot or _ANY_SLOT
    if scheme.why_not(slot):
        return ()
    values: dict[str, Value] = {param.name: params[param.name].value for param in scheme.params}
    law = scheme.law(slot, values)
    for name in list(values):
        if abs(params[name].value) < 3 * params[name].error:
            # So few values leave everything open, but for laws without a spread.
            with suppress(InitError):
                rounded = scheme.law(slot, values | {name: 0.0})
                if rounded.std > 0:
                    values[name], law = 0.0, rounded
    ratio, error = case.m.std / law.std, std_error(law, case.m.finite)
    return (Candidate(scheme.slug, values, _label(scheme, values), law, ratio, error),)


_SLUGS = {
    "uniform": "uniform",
    "normal": "normal",
    "truncated_normal": "trunc_normal",
    "orthogonal": "orthogonal",
    "sparse": "sparse",
}
# How often a fresh tensor has a scale that no recorded scheme gives; and below which chance all
# tests together speak of training. That no generator known here drew the values makes it no less:
# most normals that a GPU draws are not to be known.
_UNNAMED = 0.01
_MOVED = 1e-5
# In as many values training shows long before it has moved them by a tenth.
_TRAINING_SHOWS = 2**18


def _look_at_entries(case: _Case) -> Identification:
    apart = _look_for_zero_rows(case) or _look_for_spikes(case) or _look_for_strays(case)
    if apart:
        return apart
    m = case.m.coarser(_BINS)
    fits = _entry_laws(m)
    tests = _structure(case.tensor.reshape(len(case.tensor), -1), m)
    families = {fitted.family for fitted in fits}
    if "normal" in families:
        families.add("truncated_normal")
    schemes = _candidates(m, case.slot, families)
    drawn_on, schemes = _drawn_on(case, schemes, families)
    # Norms and laws of rows are tested against the tails of the laws known: no law, no test.
    traces = [
        trace
        for chance, trace in sorted(tests)
        if chance < REFUSED / 10 and (fits or "differ in" not in trace)
    ]
    if fits and not traces and tests and not drawn_on:
        weighed = [*tests, _off_zero(m)]
        chances = [chance for chance, _ in weighed]
        chances.append(min(1.0, 4 * max(fitted.chance for fitted in fits)))
        offs = [abs(c.ratio - 1) / c.error for c in schemes if c.error > 0]
        chances.append(max(_normal_tail(min(offs, default=math.inf)), _UNNAMED))
        if _together(chances) < _MOVED:
            traces = [trace for chance, trace in sorted(weighed)[:3] if chance < 0.05]
            if drawn_on == "":
                traces.append(_NO_DRAW)
    if not fits and not traces:
        # No law fitted here, but one that a scheme's record brings with it may.
        known = {"uniform", "normal", "truncated_normal", "orthogonal", "sparse"}
        schemes = _candidates(m, case.slot, _families(case.slot) - known)
        if schemes:
            best = schemes[0]
            sentence = f"These {case.n} values follow {best.law.notation}: {best.label}."
            return case.found(best.law.family, sentence, schemes=schemes, confidence="likely")
    if not fits or traces:
        blocks = _look_for_blocks(case) if case.whole else None
        return blocks or replace(_not_fresh(case, traces), drawn_on=drawn_on)
    if schemes:
        return _fresh(case, fits, schemes, drawn_on)
    schemes = tuple(c for f in fits for c in _fitted_scheme(case, f.family, f.params))
    return replace(_fresh(case, fits, schemes, drawn_on), named=False)


_NO_DRAW = "bit for bit, no draw of torch's CPU generator"


def _drawn_on(
    case: _Case, schemes: tuple[Candidate, ...], families: set[str]
) -> tuple[str | None, tuple[Candidate, ...]]:
    """Where torch drew the values, as ``drawn_on``, and the schemes it can have drawn from."""
    if not case.in_order:
        return None, schemes
    grain = Grain(case.tensor)
    laws = {c.law for c in schemes}
    found = {law: grain.is_draw_of(law) for law in laws}
    if drawn := {law for law in laws if found[law]}:
        return "CPU", tuple(c for c in schemes if c.law in drawn)
    if drawn := {law for law in laws if grain.is_cuda_draw_of(law)}:
        return "CUDA", tuple(c for c in schemes if c.law in drawn)
    if "normal" in families or "truncated_normal" in families:
        m = case.m  # of whatever std, perhaps rescaled
        normal = grain.is_normal(m.mean, m.std / math.sqrt(m.finite))
        if normal or (normal is False and "uniform" not in families):
            return "CPU" if normal else "", schemes
    return "" if found and None not in found.values() else None, schemes


def _not_fresh(case: _Case, traces: list[str]) -> Identification:
    m = case.m
    if not traces:
        traces = [f"single values follow no law known here (kurtosis {number(m.kurtosis)})"]
    case.notes += traces
    why = "; ".join(traces)
    params = {
        "mean": Estimate(m.mean, m.std / math.sqrt(m.finite)),
        "std": Estimate(m.std, m.std * math.sqrt((m.kurtosis - 1) / (4 * m.finite))),
    }
    sentence = (
        f"These {case.n} values of std {number(m.std)} are not a fresh initialisation: {why}. "
        "They have been trained, or come from elsewhere."
    )
    sure = "certain" if m.finite >= CERTAIN else "likely"
    return case.found("none", sentence, params, confidence=sure)


def _fresh(
    case: _Case,
    fits: list[_Fitted],
    schemes: tuple[Candidate, ...],
    drawn_on: str | None,
) -> Identification:
    if drawn_on:
        drawn = {_family_of(candidate.law) for candidate in schemes}
        fits = [fitted for fitted in fits if fitted.family in drawn] or fits
    params = {name: value for fitted in fits for name, value in fitted.params.items()}
    labels = ", ".join(c.label for c in schemes[:3]) + (" …" if len(schemes) > 3 else "")
    if drawn_on:
        grain = f", bit for bit a draw of torch's {drawn_on} generator"
    elif drawn_on == "":
        grain = f"; {_NO_DRAW}: drawn elsewhere, or changed a little since"
    else:
        grain = ""
    best = fits[0]
    if len(fits) > 1:
        needed = values_needed(best.law, Normal(best.law.mean, best.law.std))
        sentence = (
            f"{case.n} values cannot tell a uniform from a normal: that takes about "
            f"{round_count(needed)}. Consistent: {labels}{grain}."
        )
        found = case.found("cannot_tell", sentence, params, schemes, "cannot tell")
        return replace(found, drawn_on=drawn_on)
    enough = _TRAINING_SHOWS if drawn_on == "" else CERTAIN
    sure = "certain" if drawn_on or case.m.finite >= enough else "likely"
    sentence = (
        f"These {case.n} values follow {best.law.notation}, std {number(case.m.std)}: "
        f"{labels}{grain}."
    )
    found = case.found(best.family, sentence, params, schemes, sure)
    return replace(found, drawn_on=drawn_on)


# --- parts of a tensor --------------------------------------------------------------------------


def _zero_rows(tensor: Tensor) -> Tensor:
    """Which rows are zeros that no chance gives, being long."""
    rows = tensor.reshape(len(tensor), -1)
    return (
        (rows == 0).all(dim=1) if rows.shape[1] >= 8 else torch.zeros(len(rows), dtype=torch.bool)
    )


def _look_for_zero_rows(case: _Case) -> Identification | None:
    """Rows of zeros among others: one is an embedding's padding, more are a mixture."""
    tensor, m = case.tensor, case.m
    if tensor.dim() < 2 or m.zeros < tensor[0].numel():
        return None
    filled = ~_zero_rows(tensor)
    empty = len(tensor) - int(filled.sum())
    if not empty:
        return None
    first = int(filled.int().argmin())
    others = tensor[filled]
    # Rows of whole runs leave the others' runs as they were drawn.
    in_order = case.in_order and tensor[0].numel() % RUN == 0
    rest = _identify(_Case(others, case.slot, measure(others), whole=False, in_order=in_order))
    if rest.family in ("none", "cannot_tell", "garbage", "mixture"):
        return None
    one = f"row {first} is all zeros, as a padding row is"
    note = one if empty == 1 else f"{empty:,} of {len(tensor):,} rows are all zeros"
    case.notes += [note, *rest.notes]
    sentence = f"{note[0].upper()}{note[1:]}. The rest: {rest.sentence}"
    family = rest.family if empty == 1 else "mixture"
    notes = tuple(case.notes)
    return replace(rest, family=family, sentence=sentence, notes=notes, measurement=m)


def _look_for_spikes(case: _Case) -> Identification | None:
    """Many values exactly at the smallest and the largest: a clamp, or trunc_normal_ gone wrong."""
    tensor, m = case.tensor, case.m
    occupied = np.flatnonzero(m.counts)
    if m.finite < 64 or len(occupied) < 16:
        return None
    # The bin at either end against those beside it; a 16-bit type's law is nearly flat there.
    ends = (m.counts[occupied[0]], m.counts[occupied[-1]])
    beside = (m.counts[occupied[1:9]].mean(), m.counts[occupied[-9:-1]].mean())
    if not any(end > 10 and end > 6 * near for end, near in zip(ends, beside, strict=True)):
        return None
    # A 16-bit type gives one value a share of up to its eps.
    least = max(0.001, 2 * torch.finfo(tensor.dtype).eps)
    spikes = {
        value: count
        for value in (m.min, m.max)
        if (count := int((tensor == value).sum())) > max(10, least * m.finite)
    }
    inside = tensor[(tensor > m.min) & (tensor < m.max)]
    if not spikes or inside.numel() < 64:
        return None
    for value, count in spikes.items():
        share = number(100 * count / m.finite, 3)
        case.notes.append(f"{count:,} values ({share} %) sit exactly at {number(value)}")
    rest = _identify(_Case(inside, case.slot, measure(inside), whole=False, in_order=False))
    note = " and ".join(case.notes)
    if rest.family in ("none", "mixture", "garbage", "cannot_tell"):
        return None
    sentence = (
        f"{note}: clamped, or an old trunc_normal_ in a 16-bit type. The rest: {rest.sentence}"
    )
    notes = tuple(case.notes)
    return replace(rest, sentence=sentence, notes=notes, measurement=m, confidence="likely")


# No law but a sparse one reaches so many std; of values this far out, at most this share is strays.
_FAR = 9.0
_MOST_STRAYS = 0.01


def _look_for_strays(case: _Case) -> Identification | None:
    """Values far outside, all of one size, where the others are a fresh draw.

    A truncated normal by the inverse of erf, as torch's was before 2.12, gives an infinity where
    its uniform draw hits an end, and clamps it to the bound: about one value in 16 million.
    """
    tensor, m = case.tensor, case.m
    reach = _FAR * m.std
    far = [end for end in (m.min, m.max) if abs(end - m.mean) > reach]
    if not far or len({abs(end) for end in far}) > 1:
        return None
    edges = m.grid.edges
    low, high = np.searchsorted(edges, (m.mean - reach, m.mean + reach))
    inside = m.cumulative[min(high, len(edges) - 1)] - m.cumulative[max(low - 1, 0)]
    count = m.finite - int(inside)
    wide = tensor if tensor.itemsize > 2 else tensor.float()  # a mean may be too small for 16 bits
    near = (wide - m.mean).abs() <= reach
    strays = tensor[~near].abs()
    if not len(strays) or count > _MOST_STRAYS * m.finite or not (strays == abs(far[0])).all():
        return None
    # Others in their places keep the matrix a matrix, and its scale.
    others = tensor.clone()
    others[~near] = tensor[near][: int((~near).sum())]
    rest = _identify(replace(case, tensor=others, m=measure(others), in_order=False))
    if rest.strays or rest.family not in ("uniform", "normal", "truncated_normal"):
        return None
    off = abs(far[0] - rest.measurement.mean) / rest.measurement.std
    sentence = (
        f"{count:,} of {case.n} values lie{'s' if count == 1 else ''} at "
        f"{' and '.join(number(end) for end in far)}, {number(off)} std away. "
        f"The rest: {rest.sentence}"
    )
    return replace(rest, sentence=sentence, strays=count)


_MOST_BLOCKS = 8


def _look_for_blocks(case: _Case) -> Identification | None:
    """Blocks of rows, or of columns, that are each a fresh initialisation of their own."""
    tensor = case.tensor
    axes = ("entry", "entries") if tensor.dim() == 1 else ("row", "rows")
    ways = [(tensor.reshape(len(tensor), -1), *axes)]
    if tensor.dim() > 1:
        ways.append((tensor.reshape(len(tensor), -1).T, "column", "columns"))
    for matrix, one, many in ways:
        cuts = _cuts(matrix)
        if not 1 <= len(cuts) < _MOST_BLOCKS:
            continue
        params: dict[str, Estimate] = {}
        names = []
        for start, end in itertools.pairwise((0, *cuts, len(matrix))):
            block = matrix[start:end]
            block = block.flatten() if tensor.dim() == 1 else block
            slot = _slot(tuple(block.shape), None)
            # Of a large block, rows from all over it: it need not be read a second time.
            some = block[:: -(-block.numel() // (4 * _SAMPLE))] if tensor.dim() > 1 else block
            part = _identify(_Case(some, slot, measure(some), whole=False))
            if part.family in ("none", "garbage"):
                break
            where = f"{one} {start:,}" if end == start + 1 else f"{many} {start:,}–{end - 1:,}"
            names.append(f"{where}: {_in_short(part)}")
            std = Estimate(part.measurement.std, 0.0)
            params[f"std of {where}"] = part.params.get("std", std)
        else:
            case.notes += names
            sentence = f"{len(names)} blocks of {many}, each of its own: {'; '.join(names)}."
            return case.found("mixture", sentence, params, (), "likely")
    return None


def _in_short(part: Identification) -> str:
    m = part.measurement
    scale = number(m.min) if m.min == m.max else f"std {number(m.std)}"
    label = f", {part.schemes[0].label}" if part.schemes and m.min != m.max else ""
    return f"{part.family.replace('_', ' ')}, {scale}{label}"


def _cuts(matrix: Tensor) -> list[int]:
    """Where, along the first axis, the mean, the scale or the shape of the entries changes."""
    x = matrix[:, : max(_SAMPLE * 4 // len(matrix), 16)].double().numpy()
    if x.shape[1] == 1:
        signals = [x[:, 0]]
    else:
        scale = np.sqrt((x * x).mean(axis=1, keepdims=True))
        unit = x / np.where(scale > 0, scale, 1)
        signals = [
            unit.mean(axis=1),
            np.log(scale[:, 0] + 1e-6 * scale.max()),
            np.abs(unit).mean(axis=1),
        ]
    cuts: set[int] = set()
    for signal in signals:
        noise = float(np.median(np.abs(np.diff(signal)))) / 0.954 if len(signal) > 2 else 0.0
        _split(signal, max(noise, 1e-9), 0, cuts)
    return sorted(cuts)


def _split(signal: Floats, noise: float, offset: int, cuts: set[int]) -> None:
    """Binary segmentation by the cumulated sum; adds the cuts found."""
    n = len(signal)
    if n < 2 or len(cuts) > _MOST_BLOCKS:
        return
    sums = np.cumsum(signal - signal.mean())[:-1]
    k = np.arange(1, n)
    jumps = np.abs(sums) / np.sqrt(k * (n - k) / n) / noise
    at = int(jumps.argmax()) + 1
    if jumps[at - 1] < 6:
        return
    if not any(abs(offset + at - cut) <= 1 for cut in cuts):
        cuts.add(offset + at)
    _split(signal[:at], noise, offset, cuts)
    _split(signal[at:], noise, offset + at, cuts)
