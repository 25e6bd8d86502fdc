"""Ratios: what an observed scale ÷ the expected one says of the mistake behind it.

>>> from initcore.laws import Normal
>>> from initcore.roles import Dims, places
>>> [place] = places({"h.3.mlp.c_proj.weight": ((64, 256), "float32")})
>>> case = Case(place, Dims(d=64, L=8), Normal(0.0, 0.006), "normal")
>>> [match.cause.slug for match in decode(4.0, 0.001, case)]
['depth_missing']

Each cause is a record of ``CAUSES``: the ratio it leaves, as a function of the tensor's place, and
the mend. Where several leave the same ratio, all of them are named: the numbers cannot choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from initcore.fit import NEGLIGIBLE_STD
from initcore.laws import Law, TruncatedNormal, Uniform
from initcore.layers import Layer, Role
from initcore.roles import MATRICES, Dims, Place
from initcore.schemes import Slot, get_scheme, xavier_bound

# Std of a standard normal cut at ±2.
TRUNCATED = TruncatedNormal(0.0, 1.0, -2.0, 2.0).std


@dataclass(frozen=True)
class Case:
    """A tensor, or a part of one, whose scale is off.

    expected: the law it should have; family: that of the values, as ``identify`` names it.
    """

    place: Place
    dims: Dims
    expected: Law
    family: str

    @property
    def layer(self) -> Layer | None:
        return self.place.layer

    @property
    def ends_residual(self) -> bool:
        """Whether it writes to the residual stream, whose variance grows with depth."""
        return self.place.role in ("attention_out", "mlp_out")


@dataclass(frozen=True)
class Cause:
    """A mistake that scales a tensor: a record of ``CAUSES``.

    ratio: observed std ÷ expected, nan where the mistake is impossible here. sentence: what went
    wrong. mend: what to do. families: those the values must have where their family is known.
    """

    slug: str
    ratio: Callable[[Case], float]
    sentence: str
    mend: str
    families: tuple[str, ...] = ()

    def fits(self, family: str) -> bool:
        return not self.families or family in (*self.families, "cannot_tell", "none")


@dataclass(frozen=True)
class Match:
    """A cause that fits: the ratio it predicts, and observed ÷ predicted."""

    cause: Cause
    ratio: float
    off: float


# --- the ratios ---------------------------------------------------------------------------------

Ratio = Callable[[Case], float]


def _flat(value: float) -> Ratio:
    return lambda case: value


def _root(quantity: Callable[[Case], float | None], power: float = 0.5) -> Ratio:
    """A power of a quantity; nan where it is unknown or 1."""

    def ratio(case: Case) -> float:
        value = quantity(case)
        return value**power if value and value > 0 and value != 1 else math.nan

    return ratio


def _fans(case: Case) -> tuple[float, float]:
    """(fan_in, fan_out) of a layer's weight, which its bias is drawn by, too.

    nan for anything else, as for an embedding, a lookup.
    """
    layer = case.layer
    fanned = case.place.role in (*MATRICES, "bias") or case.place.role.startswith("conv")
    if layer is None or not fanned:
        return math.nan, math.nan
    return float(layer.fan_in), float(layer.fan_out)


def _swapped(case: Case) -> float:
    fan_in, fan_out = _fans(case)
    return fan_in / fan_out


def _mean_of(axis: int) -> Callable[[Case], float]:
    """The mean of both fans ÷ one of them."""

    def quantity(case: Case) -> float:
        fans = _fans(case)
        return sum(fans) / (2 * fans[axis])

    return quantity


def _kernel(case: Case) -> float:
    return math.prod(case.layer.kernel) if case.layer and case.layer.kind.spatial else math.nan


def _groups(case: Case) -> float:
    return case.layer.groups if case.layer else math.nan


def _packed(case: Case) -> float:
    """Xavier's fans where q, k and v are one matrix ÷ those where each is its own."""
    if case.place.role != "qkv" or case.layer is None:
        return math.nan
    fan_in, fan_out = case.layer.fan_in, case.layer.fan_out
    return (fan_in + fan_out) / (fan_in + fan_out / 3)


def _stored(case: Case) -> float:
    """The fan_in that torch reads off the stored shape ÷ that of the product."""
    layer, shape = case.layer, case.place.shape
    if layer is None or len(shape) < 2 or shape == layer.weight_shape:
        return math.nan
    return math.prod(shape[1:]) / layer.fan_in


def _width(case: Case) -> float | None:
    if case.place.role not in ("head", "embedding", "positions"):
        return None
    return case.dims.d or (case.place.shape[-1] if case.place.shape else None)


def _additions(case: Case) -> float | None:
    """2L: what is added to the residual stream."""
    return 2 * case.dims.L if case.dims.L and case.place.depth is not None else None


def _so_far(case: Case) -> float | None:
    """2(ℓ + 1): what has been added up to this block."""
    return 2 * (case.place.depth + 1) if case.place.depth is not None else None


def _share(case: Case) -> float | None:
    """(ℓ + 1) ÷ L."""
    whole, now = _additions(case), _so_far(case)
    return now / whole if whole and now and case.ends_residual else None


def _next(case: Case) -> float | None:
    """(ℓ + 1) ÷ (ℓ + 2), of a projection into the residual stream."""
    depth = case.place.depth
    return (depth + 1) / (depth + 2) if depth is not None and case.ends_residual else None


def _last(case: Case) -> float | None:
    """(ℓ + 1) ÷ ℓ, with 1 for the first block, which 0 would make infinite."""
    depth = case.place.depth
    return (depth + 1) / max(depth, 1) if depth is not None and case.ends_residual else None


def _attention(quantity: Callable[[Dims], int | None]) -> Callable[[Case], float | None]:
    roles = ("q", "k", "v", "qkv", "attention_out")
    return lambda case: quantity(case.dims) if case.place.role in roles else None


def _default_law(case: Case) -> Law | None:
    layer, place = case.layer, case.place
    if place.hidden and place.role.startswith("recurrent"):
        bound = 1 / math.sqrt(place.hidden)
        return Uniform(-bound, bound)
    if layer is None or place.role in ("norm", "norm_bias", "buffer"):
        return None
    if place.name.endswith("in_proj_weight"):  # of MultiheadAttention
        return Uniform(-xavier_bound(layer), xavier_bound(layer))
    role: Role = "bias" if "bias" in place.role else "weight"
    return get_scheme("default").law(Slot(layer, role), {}) if _has(layer, role) else None


def _has(layer: Layer, role: Role) -> bool:
    return role == "weight" or layer.bias_shape is not None


def _default(case: Case) -> float:
    law = _default_law(case)
    return law.std / case.expected.std if law else math.nan


def _fixed(std: float) -> Ratio:
    """A std that ignores the fans; nothing to say where the expected one is as round."""
    return lambda case: std / case.expected.std


def _uncut(case: Case) -> float:
    law = case.expected
    return law.scale / law.std if isinstance(law, TruncatedNormal) else math.nan


def _within(roles: tuple[str, ...], ratio: Ratio) -> Ratio:
    return lambda case: ratio(case) if case.place.role in roles else math.nan


_OUT = ("attention_out", "mlp_out")
_UNIFORM = ("uniform",)
_NORMAL = ("normal", "truncated_normal")

CAUSES: tuple[Cause, ...] = (
    Cause(
        "torch_default",
        _default,
        "torch's default was never replaced",
        "apply the initialisation after the module is built, and check that it reaches this module",
        (*_UNIFORM, "normal"),
    ),
    Cause(
        "packed_qkv",
        _root(_packed, -0.5),
        "q, k and v are packed in one matrix, and the fan counts all three",
        "initialise each third on its own, or pass gain √2",
    ),
    Cause(
        "depth_missing",
        _within(_OUT, _root(_additions)),
        "the depth scaling 1/√(2L) was never applied",
        "divide the std of the projections into the residual stream by √(2L)",
    ),
    Cause(
        "depth_extra",
        _root(_additions, -0.5),
        "it is scaled by 1/√(2L), which is not meant here",
        "scale only the projections into the residual stream",
    ),
    Cause(
        "depth_index_missing",
        _within(_OUT, _root(_so_far)),
        "the depth scaling 1/√(2(ℓ+1)) was never applied",
        "divide the std by √(2(ℓ+1)) in block ℓ",
    ),
    Cause(
        "depth_index_extra",
        _root(_so_far, -0.5),
        "it is scaled by 1/√(2(ℓ+1)), which is not meant here",
        "scale only the projections into the residual stream",
    ),
    Cause(
        "depth_total_for_index",
        _root(_share),
        "it is scaled by 1/√(2L) where 1/√(2(ℓ+1)) is meant",
        "use the index of the block, counted from 1, instead of the number of blocks",
    ),
    Cause(
        "depth_index_for_total",
        _root(_share, -0.5),
        "it is scaled by 1/√(2(ℓ+1)) where 1/√(2L) is meant",
        "use the number of blocks instead of the index of the block",
    ),
    Cause(
        "depth_index_high",
        _root(_next),
        "the index of the block is off by one: it counts from 2",
        "count the blocks from 1: √(2(ℓ+1)), ℓ from 0",
    ),
    Cause(
        "depth_index_low",
        _root(_last),
        "the index of the block is off by one: it counts from 0",
        "count the blocks from 1: √(2(ℓ+1)), ℓ from 0",
    ),
    Cause(
        "depth_halved",
        _within(_OUT, _flat(math.sqrt(2))),
        "the depth scaling counts L additions, and a block makes two",
        "divide by √(2L) instead of √L",
    ),
    Cause(
        "embedding_scale",
        _root(_width),
        "it has an embedding's std of 1, which is √d too large for a matrix product",
        "give the head a std of 1/√d, or scale the logits, where it is tied to the embedding",
    ),
    Cause(
        "head_scale",
        _root(_width, -0.5),
        "it has a head's std of 1/√d, which is √d too small for a lookup",
        "give the embedding its own std",
    ),
    Cause(
        "all_groups",
        _root(_groups, -0.5),
        "the fan counts all groups, though a unit is connected within its own group only",
        "divide the fan by groups: std grows by √groups",
    ),
    Cause(
        "one_group",
        _root(_groups),
        "the fan counts one group where all are meant",
        "multiply the fan by groups",
    ),
    Cause(
        "fan_out_for_fan_in",
        _root(_swapped),
        "the scale is that of fan_out, not fan_in: the matrix is used transposed, or mode is wrong",
        "use the other fan: std changes by √(out/in)",
    ),
    Cause(
        "fan_in_for_fan_out",
        _root(_swapped, -0.5),
        "the scale is that of fan_in, not fan_out: the matrix is used transposed, or mode is wrong",
        "use the other fan: std changes by √(in/out)",
    ),
    Cause(
        "xavier_for_fan_in",
        _root(_mean_of(0), -0.5),
        "the scale is that of the mean of both fans (Xavier), not of fan_in",
        "use mode='fan_in'",
    ),
    Cause(
        "fan_in_for_xavier",
        _root(_mean_of(0)),
        "the scale is that of fan_in, not of the mean of both fans (Xavier)",
        "use Xavier's formula",
    ),
    Cause(
        "xavier_for_fan_out",
        _root(_mean_of(1), -0.5),
        "the scale is that of the mean of both fans (Xavier), not of fan_out",
        "use mode='fan_out'",
    ),
    Cause(
        "fan_out_for_xavier",
        _root(_mean_of(1)),
        "the scale is that of fan_out, not of the mean of both fans (Xavier)",
        "use Xavier's formula",
    ),
    Cause(
        "kernel_left_out",
        _root(_kernel),
        "the fan leaves the kernel's area out",
        "multiply the fan by the product of the kernel",
    ),
    Cause(
        "kernel_twice",
        _root(_kernel, -0.5),
        "the fan counts the kernel's area where it should not",
        "divide the fan by the product of the kernel",
    ),
    Cause(
        "stored_shape",
        _root(_stored, -0.5),
        "the fan was read off the shape as stored, which is not that of one matrix product",
        "initialise each matrix on its own, as (out, in)",
    ),
    Cause(
        "bound_as_std",
        _flat(math.sqrt(3)),
        "a uniform's bound was used as a normal's std",
        "divide by √3, or draw uniformly",
        _NORMAL,
    ),
    Cause(
        "std_as_bound",
        _flat(1 / math.sqrt(3)),
        "a std was used as a uniform's bound",
        "multiply by √3, or draw a normal",
        _UNIFORM,
    ),
    Cause(
        "cut_absent",
        _uncut,
        "the truncation never happened: its bounds are absolute, such as ±2, far outside",
        "give the bounds in units of the std: a=-2*std, b=2*std",
        ("normal",),
    ),
    Cause(
        "cut_uncorrected",
        _flat(TRUNCATED),
        "a normal cut at ±2σ keeps 0.8796 of its std, and nothing makes up for it",
        "divide the std by 0.8796 before the cut",
        ("truncated_normal",),
    ),
    Cause(
        "cut_corrected_for_nothing",
        _flat(1 / TRUNCATED),
        "the std was divided by 0.8796 for a cut that is not made",
        "leave the division out, or cut at ±2σ",
        ("normal",),
    ),
    Cause(
        "relu_gain",
        _flat(math.sqrt(2)),
        "He's gain √2 (ReLU) where gain 1 (LeCun, Xavier) is meant",
        "pass nonlinearity='linear', or gain 1",
    ),
    Cause(
        "no_relu_gain",
        _flat(1 / math.sqrt(2)),
        "gain 1 (LeCun, Xavier) where He's √2 (ReLU) is meant",
        "pass nonlinearity='relu', or gain √2",
    ),
    Cause(
        "tanh_gain",
        _flat(5 / 3),
        "tanh's gain 5/3 where gain 1 is meant",
        "pass gain 1",
    ),
    Cause(
        "no_tanh_gain",
        _flat(3 / 5),
        "gain 1 where tanh's 5/3 is meant",
        "pass gain 5/3",
    ),
    Cause(
        "selu_gain",
        _flat(3 / 4),
        "torch's SELU gain 3/4 where gain 1 is meant",
        "pass nonlinearity='linear', as the paper has it",
    ),
    Cause(
        "two_over_root",
        _flat(math.sqrt(2)),
        "2/√n was written for √(2/n)",
        "take the root of the 2, too",
        _NORMAL,
    ),
    Cause(
        "variance_as_std",
        lambda case: case.expected.std,
        "the variance was passed where a std is asked for",
        "take the root",
    ),
    Cause(
        "std_as_variance",
        lambda case: case.expected.std**-0.5,
        "the std was passed where a variance is asked for",
        "square it",
    ),
    Cause(
        "fan_of_a_head",
        _root(_attention(lambda dims: dims.heads)),
        "the fan is that of one attention head",
        "use the fan of all heads together",
    ),
    Cause(
        "head_dim_left_out",
        _root(_attention(lambda dims: dims.head_dim)),
        "the factor 1/√head_dim is missing",
        "divide by √head_dim",
    ),
    Cause(
        "head_dim_extra",
        _root(_attention(lambda dims: dims.head_dim), -0.5),
        "a factor 1/√head_dim too many: the scores are scaled by it already",
        "leave it out of the initialisation",
    ),
    Cause(
        "std_one",
        _fixed(1.0),
        "a std of 1: nn.Embedding's default, randn, or normal_(weight, 0.02), which sets the mean",
        "set the std",
        ("normal",),
    ),
    Cause(
        "std_002",
        _fixed(0.02),
        "a std of 0.02, whatever the sizes",
        "use the law in terms of the fans",
        _NORMAL,
    ),
    Cause("ten_times", _flat(10.0), "a decimal place: ten times too large", "check the digits"),
    Cause("a_tenth", _flat(0.1), "a decimal place: ten times too small", "check the digits"),
)


def decode(ratio: float, error: float, case: Case) -> tuple[Match, ...]:
    """The causes that leave this ratio, the closest first; equal ones in the order of ``CAUSES``.

    ``error`` is one standard error of the ratio, relative to it. A cause fits within 4 of them, or
    within half a per cent; one that would be no mistake here, a ratio of 1, never does. Values that
    were not cut where a cut is expected may also be a mistake times the law before its cut.
    """
    allowed = max(NEGLIGIBLE_STD, 4 * error)
    uncut = _uncut(case) if case.family == "normal" else math.nan
    ratios = [ratio] if math.isnan(uncut) else [ratio, ratio / uncut]
    found = []
    for cause in CAUSES:
        predicted = cause.ratio(case)
        if not (math.isfinite(predicted) and predicted > 0 and ratio > 0):
            continue
        if not cause.fits(case.family) or abs(math.log(predicted)) <= 2 * allowed:
            continue
        off = min((one / predicted for one in ratios), key=lambda one: abs(math.log(one)))
        if abs(math.log(off)) <= allowed:
            found.append(Match(cause, predicted, off))
    # Predictions that no tensor could tell apart are equally close.
    return tuple(sorted(found, key=lambda match: round(abs(math.log(match.off)) / allowed)))


def decode_together(seen: Sequence[tuple[float, float, Case]]) -> tuple[Cause, ...]:
    """The causes that explain every one of several tensors: (ratio, error, case) each.

    Tensors of one kind at several depths tell apart what one of them cannot, such as 1/√(2L) from
    1/√(2(ℓ+1)).
    """
    if not seen:
        return ()
    each = [decode(*one) for one in seen]
    shared = {cause.slug for cause in CAUSES}
    for matches in each:
        shared &= {match.cause.slug for match in matches}
    return tuple(match.cause for match in each[0] if match.cause.slug in shared)
