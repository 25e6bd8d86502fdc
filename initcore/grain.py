"""Grain: whether values are, bit for bit, such as one of torch's generators draws.

>>> import torch
>>> from initcore.laws import Normal
>>> drawn = torch.empty(64, 64).normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
>>> law = Normal(0.0, 0.02)
>>> Grain(drawn).is_draw_of(law), Grain(drawn + 1e-6).is_draw_of(law)
(True, False)

The CPU generator's uniforms are multiples of 2⁻²⁴, and its normals come from pairs of them (Box and
Muller 1958), eight places apart in runs of sixteen: inverted, the values fall on that lattice. So
little as 10⁻⁵ of a std, from training or another generator, takes them off it. The order of the
pairs is a detail of torch, which a test guards.

The CUDA generator's uniforms have all the digits of a float32: their lattice is twice as fine from
1/4 to 1/2 as from 1/2 to 1, and so on. Each thread of the GPU draws its normals by pairs, of which
the second lies as many places further on as there are threads; a tensor of fewer values has only
the first of each, which nothing can tell. The sine that CUDA takes of an angle is coarse, so that
angles tell nothing, and radii only where they are small.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import bdtr, bdtrc
from torch import Tensor

from initcore.laws import Law, Normal, TruncatedNormal, Uniform

Array = npt.NDArray[np.float64]

_STEPS = 2.0**24
# torch's normal_ fills a tensor in runs of this many values.
RUN = 16
# Runs looked at, from all over a large tensor; and for each of the means that are tried.
_RUNS, _RUNS_FOR_MEANS = 1024, 128
# A value counts as on the lattice within this distance from a point of it, in steps; and the share
# of all values that does.
_NEAR, _BY_CHANCE = 0.1, 0.2
# What is rarer than that by chance is not by chance.
_REFUSED = 1e-9
# Where rounding to float32 moves the values by less than that.
_UNIFORM_PART, _RADIUS, _ANGLE = 1 / 8, 0.05, 0.05
# Of CUDA's pairs: those that its sine does no harm; how many are looked at; and how many threads a
# GPU may run at once, which are a multiple of 512 on all of them.
_CUDA_RADIUS, _CUDA_PAIRS = 0.01, 256
_FEWEST_THREADS, _MOST_THREADS, _THREADS = 2**13, 2**19, 512


class Grain:
    """The grain of a tensor of any shape, whole, and in memory in the order it was drawn in.

    Nothing can be told of types other than float32, of views into something larger, and of too few
    values: the answers are None.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._flat = _in_order(tensor)
        self._runs = _runs(self._flat)

    def is_draw_of(self, law: Law) -> bool | None:
        """Whether the values are, bit for bit, a draw of torch's CPU generator from a law.

        None, too, for laws other than the uniform and, of mean 0, the normal and the truncated
        normal.
        """
        if self._runs is None:
            return None
        if isinstance(law, Uniform):
            return _fills_lattice(_uniform_steps(self._runs, law))
        pairs = _pairs_of(law)
        if pairs is None:
            return None
        if _on_lattice(self._angles) is False:
            return False
        x, y = np.split(self._runs, 2, axis=1)
        radii = _radius_steps(x, y, pairs.std)
        if _on_lattice(radii) is False:
            return False
        return _on_lattice(np.concatenate([radii, self._angles]), pairs.kept)

    def is_cuda_draw_of(self, law: Law) -> bool:
        """Whether they are, bit for bit, a draw of torch's CUDA generator; False if none can tell.

        Of a uniform whose range holds 0 in its lower half, the middle included; and of a normal
        about 0, cut or not, of more values than the GPU runs threads at once.
        """
        if self._runs is None:
            return False
        if isinstance(law, Uniform):
            return bool(_fills_lattice(_cuda_uniform_steps(self._runs, law)))
        pairs = _pairs_of(law)
        if pairs is None:
            return False
        return bool(_on_lattice(_cuda_radius_steps(self._flat, pairs.std), pairs.kept))

    def is_normal(self, mean: float, error: float) -> bool | None:
        """The same for a normal of whatever std: the angles of the pairs know none.

        Its mean may be 0, or a round number as near to the observed ``mean`` as chance allows.
        """
        if self._runs is None:
            return None
        about_zero = _on_lattice(self._angles)
        if about_zero is not False:
            return about_zero
        some = self._runs[:_RUNS_FOR_MEANS]
        if abs(mean) > 0.6 * some.std():  # adding it rounded the values too far
            return None
        means = _round_numbers(mean, 4 * error)
        return any(_on_lattice(_angle_steps(some - _single(about))) for about in means)

    @cached_property
    def _angles(self) -> Array:
        assert self._runs is not None
        return _angle_steps(self._runs)


def _in_order(tensor: Tensor) -> Tensor:
    """The values in the order they were drawn in; none where that is not known."""
    if tensor.dim() == 2 and not tensor.is_contiguous():
        tensor = tensor.T
    if tensor.dtype != torch.float32 or not tensor.is_contiguous() or tensor.storage_offset():
        return torch.empty(0)
    return tensor.reshape(-1)


def _runs(flat: Tensor) -> Array | None:
    """Runs of sixteen values from all over a tensor; None where there are too few values."""
    # The end of a tensor that no run fills is drawn anew, over the last run.
    count = len(flat) // RUN - (1 if len(flat) % RUN else 0)
    if count < 1:
        return None
    runs = flat[: count * RUN].reshape(-1, RUN)[:: -(-count // _RUNS)]
    values: Array = runs.double().numpy()
    return values


class _Pairs(NamedTuple):
    """The std of the normals that are drawn by pairs, and the share of pairs that stay whole."""

    std: float
    kept: float


def _pairs_of(law: Law) -> _Pairs | None:
    """None for laws that torch draws otherwise, and those whose mean rounded the values."""
    if not isinstance(law, Normal | TruncatedNormal) or law.loc:
        return None
    if isinstance(law, Normal):
        return _Pairs(law.scale, 1.0)
    # Values outside are drawn again, unless too many are.
    return _Pairs(law.scale, law.mass**2) if law.mass > 0.3 else None


def _is_whole(steps: Array) -> npt.NDArray[np.bool_]:
    whole: npt.NDArray[np.bool_] = np.abs(steps - np.round(steps)) < _NEAR
    return whole


def _on_lattice(steps: Array, kept: float = 1.0) -> bool | None:
    """Whether numbers are whole but for rounding: a share of them, and the others by chance."""
    hits = int(_is_whole(steps).sum())
    least = 0.8 * (kept + (1 - kept) * _BY_CHANCE)
    if hits > least * len(steps) and bdtrc(hits - 1, len(steps), _BY_CHANCE) < _REFUSED:
        return True
    return False if len(steps) >= 8 and hits < 0.4 * len(steps) else None


def _fills_lattice(steps: Array) -> bool | None:
    """The same, with as many odd numbers as even ones: others draw from coarser lattices."""
    fits = _on_lattice(steps)
    odd = int((np.round(steps) % 2).sum())
    return False if fits and bdtr(odd, len(steps), 0.5) < _REFUSED else fits


def _round_numbers(about: float, within: float) -> set[float]:
    """Numbers of one and two digits so near to another; not those closer together than that."""
    found = set()
    step = 10.0 ** math.ceil(math.log10(abs(about) + within))
    while step > within / 8:
        first, last = math.ceil((about - within) / step), math.floor((about + within) / step)
        found |= {float(f"{k * step:.2g}") for k in range(first, last + 1) if 0 < abs(k) < 100}
        if abs(about) - within > 100 * step:
            break
        step /= 10
    return found


def _single(value: float) -> Any:
    return np.float64(np.float32(value))


def _uniform_steps(runs: Array, law: Uniform) -> Array:
    span = _single(_single(law.high) - _single(law.low))
    near_zero = runs[np.abs(runs) < _UNIFORM_PART * span]
    steps: Array = (near_zero - _single(law.low)) / span * _STEPS
    return steps


def _cuda_uniform_steps(runs: Array, law: Uniform) -> Array:
    low, span = _single(law.low), _single(_single(law.high) - _single(law.low))
    # In the upper half of its range the lattice is that of the CPU's generator.
    lower = runs[(runs > low) & (runs < low + span / 2)]
    shares = (lower - low) / span
    grid = np.exp2(np.floor(np.log2(shares))) / (_STEPS / 2)
    fine = np.spacing(np.abs(lower), dtype=np.float32) < _NEAR * span * grid
    steps: Array = (shares / grid)[fine]
    return steps


def _radius_steps(x: Array, y: Array, std: float) -> Array:
    """Of each pair the uniform of its radius r, 1 − exp(−r²/2), where r is small."""
    half = (x * x + y * y) / (2 * _single(std) ** 2)
    steps: Array = -np.expm1(-half[half < _RADIUS]) * _STEPS
    return steps


def _cuda_radius_steps(flat: Tensor, std: float) -> Array:
    """The same for pairs that lie as far apart as suits them best: a GPU's number of threads."""
    values = flat.numpy()
    threads = np.arange(
        _FEWEST_THREADS, min(_MOST_THREADS, len(values) - _FEWEST_THREADS) + 1, _THREADS
    )
    near = math.sqrt(2 * _CUDA_RADIUS) * std
    firsts = np.flatnonzero(np.abs(values[:_FEWEST_THREADS]) < near)[:_CUDA_PAIRS]
    seconds = values[firsts + threads[:, np.newaxis]]
    which, small = np.nonzero(np.abs(seconds) < near)
    x, y = values[firsts[small]].astype(float), seconds[which, small].astype(float)
    steps = _radius_steps(x, y, std)  # of all of them: such radii are small
    if not len(steps):
        return steps
    best = np.bincount(which, _is_whole(steps) - 0.5).argmax()
    found: Array = steps[which == best]
    return found


def _angle_steps(runs: Array) -> Array:
    """Of each pair the uniform of its angle, the angle ÷ 2π, where that is small."""
    x, y = np.split(runs, 2, axis=1)
    angle = np.arctan2(y, x) / (2 * np.pi)
    steps: Array = angle[(angle > 0) & (angle < _ANGLE)] * _STEPS
    return steps
