"""Grain: whether values are, bit for bit, such as torch's CPU generator draws.

>>> import torch
>>> from initcore.laws import Normal
>>> drawn = torch.empty(64, 64).normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
>>> law = Normal(0.0, 0.02)
>>> Grain(drawn).is_draw_of(law), Grain(drawn + 1e-6).is_draw_of(law)
(True, False)

The generator's uniforms are multiples of 2⁻²⁴, and its normals come from pairs of them (Box and
Muller 1958), eight places apart in runs of sixteen: inverted, the values fall on that lattice. So
little as 10⁻⁵ of a std, from training or another generator, takes them off it. The order of the
pairs is a detail of torch, which a test guards.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import bdtrc
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
# Where rounding to float32 moves the values by less than that.
_UNIFORM_PART, _RADIUS, _ANGLE = 1 / 8, 0.05, 0.05


class Grain:
    """The grain of a tensor of any shape, whole, and in memory in the order it was drawn in.

    Nothing can be told of types other than float32, of views into something larger, and of too few
    values: the answers are None.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._runs = _runs(tensor)

    def is_draw_of(self, law: Law) -> bool | None:
        """Whether the values are, bit for bit, a draw of torch's CPU generator from a law.

        None, too, for laws other than the uniform and, of mean 0, the normal and the truncated
        normal.
        """
        if self._runs is None:
            return None
        if isinstance(law, Uniform):
            return _on_lattice(_uniform_steps(self._runs, law))
        if not isinstance(law, Normal | TruncatedNormal) or law.loc:
            return None
        kept = 1.0
        if isinstance(law, TruncatedNormal):
            if law.mass <= 0.3:  # torch draws these otherwise
                return None
            kept = law.mass**2  # pairs of which neither is drawn again
        if _on_lattice(self._angles) is False:
            return False
        radii = _radius_steps(self._runs, law.scale)
        if _on_lattice(radii) is False:
            return False
        return _on_lattice(np.concatenate([radii, self._angles]), kept)

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


def _runs(tensor: Tensor) -> Array | None:
    """Runs of sixteen values from all over a tensor; None where their order is not known."""
    if tensor.dim() == 2 and not tensor.is_contiguous():
        tensor = tensor.T
    if tensor.dtype != torch.float32 or not tensor.is_contiguous() or tensor.storage_offset():
        return None
    # The end of a tensor that no run fills is drawn anew, over the last run.
    count = tensor.numel() // RUN - (1 if tensor.numel() % RUN else 0)
    if count < 1:
        return None
    runs = tensor.reshape(-1)[: count * RUN].reshape(-1, RUN)[:: -(-count // _RUNS)]
    values: Array = runs.double().numpy()
    return values


def _on_lattice(steps: Array, kept: float = 1.0) -> bool | None:
    """Whether numbers are whole but for rounding: a share of them, and the others by chance."""
    hits = int((np.abs(steps - np.round(steps)) < _NEAR).sum())
    least = 0.8 * (kept + (1 - kept) * _BY_CHANCE)
    if hits > least * len(steps) and bdtrc(hits - 1, len(steps), _BY_CHANCE) < 1e-9:
        return True
    return False if len(steps) >= 8 and hits < 0.4 * len(steps) else None


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


def _radius_steps(runs: Array, std: float) -> Array:
    """Of each pair the uniform of its radius r, 1 − exp(−r²/2), where r is small."""
    x, y = np.split(runs / _single(std), 2, axis=1)
    half = (x * x + y * y) / 2
    steps: Array = -np.expm1(-half[half < _RADIUS]) * _STEPS
    return steps


def _angle_steps(runs: Array) -> Array:
    """Of each pair the uniform of its angle, the angle ÷ 2π, where that is small."""
    x, y = np.split(runs, 2, axis=1)
    angle = np.arctan2(y, x) / (2 * np.pi)
    steps: Array = angle[(angle > 0) & (angle < _ANGLE)] * _STEPS
    return steps
