"""Mean field: what a layer does to a signal when the network is wide, by quadrature.

>>> tanh = get_activation("tanh")
>>> round(float(critical_weight_var(tanh, 0.05)), 2)  # Schoenholz et al. 2017
1.76
>>> theory = fixed_point(get_activation("relu"), 2.0, 0.0)
>>> float(theory.chi), float(theory.xi_c)
(1.0, inf)

Pre-activations of a wide layer are normal over the draw of its weights. Their second moment q
follows the length map, the correlation c of two inputs the correlation map, and a gradient's second
moment is multiplied by χ in each layer (Poole et al. 2016, arXiv 1606.05340, eq. 3-8; Schoenholz
et al. 2017, arXiv 1611.01232, eq. 5-10). Weights are independent, of mean 0 and variance
``weight_var``/fan_in (σ_w²), biases of mean 0 and variance ``bias_var`` (σ_b²). Every function
broadcasts over arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from initcore.activations import NODES, WEIGHTS, Activation, Array, get_activation
from initcore.laws import number

# --- moments under a normal of variance q --------------------------------------------------------


def second_moment(activation: Activation, q: npt.ArrayLike) -> Array:
    """E f(√q z)² for z ~ N(0, 1)."""
    return np.asarray(activation.values(_spread(q)) ** 2 @ WEIGHTS)


def first_moment(activation: Activation, q: npt.ArrayLike) -> Array:
    """E f(√q z)."""
    return np.asarray(activation.values(_spread(q)) @ WEIGHTS)


def slope_moment(activation: Activation, q: npt.ArrayLike) -> Array:
    """E f'(√q z)²: a gradient's second moment passes an activation by this factor."""
    return np.asarray(activation.slopes(_spread(q)) ** 2 @ WEIGHTS)


def _spread(q: npt.ArrayLike) -> Array:
    return np.sqrt(np.asarray(q, dtype=float))[..., None] * NODES  # type: ignore[no-any-return]


# Two normals of correlation cos φ are r·cos θ and r·cos(θ − φ), r² ~ χ²(2) and θ uniform. f's kink
# at 0 lies at four angles, whatever r; between them the integrand is smooth.
_R, _R_WEIGHTS = np.polynomial.legendre.leggauss(48)
_R, _R_WEIGHTS = 5.0 * (_R + 1), 5.0 * _R_WEIGHTS
_R_WEIGHTS = _R_WEIGHTS * _R * np.exp(-0.5 * _R**2)
_T, _T_WEIGHTS = np.polynomial.legendre.leggauss(24)


def product_moment(
    activation: Activation, q: npt.ArrayLike, c: npt.ArrayLike, *, slopes: bool = False
) -> Array:
    """E f(u)f(v) for normals u, v of variance q and correlation c; E f'(u)f'(v) if ``slopes``."""
    q, c = np.broadcast_arrays(np.asarray(q, dtype=float), np.asarray(c, dtype=float))
    phi = np.arccos(np.clip(c, -1.0, 1.0))[..., None]
    starts = np.concatenate([phi * 0 - math.pi / 2, phi - math.pi / 2], axis=-1)
    lengths = np.concatenate([phi, math.pi - phi], axis=-1)
    # The other two of the four intervals are these, turned by π: u and v change their signs.
    theta = starts[..., None] + lengths[..., None] * (_T + 1) / 2
    weights = lengths[..., None] * _T_WEIGHTS / 2 / (2 * math.pi)
    r = np.sqrt(q)[..., None] * _R
    at = activation.slopes if slopes else activation.values
    u = r[..., :, None, None] * np.cos(theta)[..., None, :, :]
    v = r[..., :, None, None] * np.cos(theta - phi[..., None])[..., None, :, :]
    total = at(u) * at(v) + at(-u) * at(-v)
    return np.einsum("...rit,r,...it->...", total, _R_WEIGHTS, weights)  # type: ignore[no-any-return]


# --- the maps and their fixed points -------------------------------------------------------------


def length_map(
    activation: Activation, q: npt.ArrayLike, weight_var: npt.ArrayLike, bias_var: npt.ArrayLike
) -> Array:
    """The next layer's q: σ_w² E f(√q z)² + σ_b²."""
    w, b = np.asarray(weight_var, dtype=float), np.asarray(bias_var, dtype=float)
    return np.asarray(w * second_moment(activation, q) + b)


# Where a fixed point is looked for; beyond these it is 0 or infinite.
_LOWEST, _HIGHEST = 1e-12, 1e12
_GRID = np.geomspace(_LOWEST, _HIGHEST, 481)
_START = 240  # q = 1


@cache
def _moments(slug: str) -> Array:
    """E f² on the grid."""
    return second_moment(get_activation(slug), _GRID)


def fixed_length(
    activation: Activation, weight_var: npt.ArrayLike, bias_var: npt.ArrayLike
) -> Array:
    """q*: where the length map leads from q = 1; 0 or infinite where it has no end on the way."""
    w, b = np.broadcast_arrays(
        np.asarray(weight_var, dtype=float), np.asarray(bias_var, dtype=float)
    )
    shape, w, b = w.shape, w.ravel(), b.ravel()
    change = w[:, None] * _moments(activation.slug) + b[:, None] - _GRID
    rising = change[:, _START] > 0
    # The first grid point, from q = 1 upwards or downwards, past which q moves the other way.
    up = np.argmax(change[:, _START:] <= 0, axis=1) + _START
    down = _START - np.argmax(change[:, _START::-1] >= 0, axis=1)
    found = np.where(rising, up, down) != _START
    end = np.where(rising, up, np.minimum(down + 1, len(_GRID) - 1))
    low, high = np.log(_GRID[np.maximum(end - 1, 0)]), np.log(_GRID[end])

    def excess(x: Array) -> Array:
        return length_map(activation, np.exp(x), w, b) / np.exp(x) - 1

    q = np.exp(_root(excess, low, high))
    q = np.where(found, q, np.where(rising, np.inf, 0.0))
    marginal = np.abs(change[:, _START]) <= 1e-12
    return np.where(marginal, 1.0, q).reshape(shape)


def _root(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Roots of functions that fall from above 0 at ``low`` to below at ``high``, each its own.

    By the Illinois rule: false position, with the end that stays counted half.
    """
    at_low, at_high = function(low), function(high)
    last = np.zeros_like(low, dtype=bool), np.zeros_like(low, dtype=bool)
    x = low
    for _ in range(16):
        gap = at_low - at_high
        share = np.divide(at_low, gap, out=np.full_like(gap, 0.5), where=gap != 0)
        x = low + np.clip(share, 0.0, 1.0) * (high - low)
        y = function(x)
        above, below = y > 0, y < 0  # where the root lies from here
        at_high = np.where(above, np.where(last[0], at_high / 2, at_high), y)
        at_low = np.where(above, y, np.where(last[1], at_low / 2, at_low))
        low, high = np.where(above, x, low), np.where(above, high, x)
        last = above, below
        if not (above | below).any():
            break
    return x


class FixedPoint(NamedTuple):
    """Where deep layers settle, and how fast; arrays of one shape.

    ``length`` is q*, ``correlation`` c*. ``chi`` is χ = σ_w² E f'(√q* z)²: under 1 the ordered
    phase, where inputs become alike and gradients vanish; over 1 the chaotic, where they explode.
    ``xi_q`` and ``xi_c`` are depth scales in layers: a deviation from q*, or from c*, falls by a
    factor e (where q* is infinite, q grows by it); infinite where that takes over 100,000.
    """

    length: Array
    correlation: Array
    chi: Array
    xi_q: Array
    xi_c: Array


def _within(q: Array) -> Array:
    """A length at which the moments can be computed: for 0 and ∞ one that is as good."""
    return np.clip(q, _LOWEST, _HIGHEST)


def chi(activation: Activation, weight_var: npt.ArrayLike, bias_var: npt.ArrayLike) -> Array:
    """χ = σ_w² E f'(√q* z)². Schoenholz et al. 2017, eq. 8 and 22."""
    q = _within(fixed_length(activation, weight_var, bias_var))
    return np.asarray(weight_var) * slope_moment(activation, q)


def fixed_point(
    activation: Activation, weight_var: npt.ArrayLike, bias_var: npt.ArrayLike
) -> FixedPoint:
    """q*, c*, χ and both depth scales. Schoenholz et al. 2017, eq. 10 and 13."""
    w = np.asarray(weight_var, dtype=float)
    length = fixed_length(activation, w, bias_var)
    q = _within(length)
    x = _spread(q)
    factor = w * slope_moment(activation, q)
    # The slope of the length map: d/dq E f(√q z)² = E f f' z/√q.
    growth = (activation.values(x) * activation.slopes(x) * NODES) @ WEIGHTS
    growth = w * growth / np.sqrt(q)
    # Where lengths settle the next q is q itself; where they grow for ever, correlations follow
    # the map of angles, in which σ_b² no longer counts.
    settled = np.isfinite(length)
    b = np.where(settled, bias_var, 0.0)
    after = np.where(settled, q, w * second_moment(activation, q))

    def drift(c: Array) -> Array:
        return (w * product_moment(activation, q, c) + b) / after - c

    splits = settled & (length > 0) & (factor > 1 + 1e-9)  # else every pair becomes alike
    # The map is convex and ends at c = 1: it has at most one other fixed point, below.
    c = np.ones_like(q)
    if splits.any():
        c = np.where(splits, _root(drift, c * 0.0, c * (1 - 1e-7)), 1.0)
    closing = np.where(
        splits,
        w * product_moment(activation, q, c, slopes=True),
        np.where(settled, factor, factor * q / after),
    )
    return FixedPoint(length, c, np.asarray(factor), _scale(growth), _scale(closing))


def _scale(slope: Array) -> Array:
    """Layers in which what is multiplied by ``slope`` in each changes by a factor e."""
    with np.errstate(divide="ignore"):
        rate = np.abs(np.log(slope))
        return np.where(rate > 1e-5, 1 / rate, np.inf)


# sigmoid, whose slope is at most 1/4, needs the most: over 100.
_LEAST, _MOST = 1e-3, 1e4


def critical_weight_var(activation: Activation, bias_var: npt.ArrayLike) -> Array:
    """σ_w² at which χ comes to 1, as a function of σ_b²: the critical line.

    Where the length jumps there, as for GELU without a bias, χ jumps over 1.
    """
    low = np.full(np.shape(bias_var), math.log(_LEAST))
    high = np.full(np.shape(bias_var), math.log(_MOST))
    for _ in range(45):
        middle = (low + high) / 2
        over = chi(activation, np.exp(middle), bias_var) > 1
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return np.asarray(np.exp((low + high) / 2))


# --- the plane of σ_w and σ_b ------------------------------------------------------------------

_LOWEST_WEIGHT, _HIGHEST_BIAS = 0.05, 2.0


class PhasePlane(NamedTuple):
    """χ on a grid of σ_w (columns) and σ_b (rows), and the critical σ_w of each row."""

    weight_std: Array
    bias_std: Array
    chi: Array
    critical: Array


class DepthScales(NamedTuple):
    """ξ_q and ξ_c along σ_w, at one σ_b."""

    weight_std: Array
    bias_std: float
    xi_q: Array
    xi_c: Array


def highest_weight(activation: Activation) -> float:
    """Where the σ_w axis ends: at twice the critical value without a bias, or so."""
    critical = math.sqrt(float(critical_weight_var(activation, 0.0)))
    return max(4.0, math.ceil(2 * critical))


def phase_plane(activation: Activation, cells: int = 61) -> PhasePlane:
    """χ and the critical line, by quadrature."""
    weight_std = np.linspace(_LOWEST_WEIGHT, highest_weight(activation), cells)
    bias_std = np.linspace(0, _HIGHEST_BIAS, cells)
    critical = np.sqrt(critical_weight_var(activation, bias_std**2))
    # Row by row: the quadrature of all points at once would take 100 MB.
    rows = [chi(activation, weight_std**2, np.full(cells, b)) for b in bias_std**2]
    return PhasePlane(weight_std, bias_std, np.stack(rows), critical)


def depth_scales(activation: Activation, bias_std: float, points: int = 81) -> DepthScales:
    """Both depth scales along σ_w."""
    weight_std = np.linspace(_LOWEST_WEIGHT, highest_weight(activation), points)
    point = fixed_point(activation, weight_std**2, np.full(points, bias_std**2))
    return DepthScales(weight_std, bias_std, point.xi_q, point.xi_c)


def phase_sentence(activation: Activation, weight_std: float, bias_std: float) -> str:
    """In which phase a point lies, to what depth a signal survives there, and the way out."""
    point = fixed_point(activation, weight_std**2, bias_std**2)
    critical = math.sqrt(float(critical_weight_var(activation, bias_std**2)))
    factor, xi = float(point.chi), float(point.xi_c)
    change = f"χ = {number(factor)}: a gradient's std is multiplied by {number(math.sqrt(factor))}"
    if abs(factor - 1) < 1e-3:
        text = f"Critical, {change} per layer: it keeps its size"
    elif factor < 1:
        text = f"Ordered, {change} per layer and vanishes; two inputs become alike"
    else:
        text = f"Chaotic, {change} per layer and explodes"
    if math.isinf(point.length):
        text += "; the signal grows without end"
    elif factor > 1:
        text += "; two near inputs part"
    if math.isfinite(xi):
        text += f". What tells inputs apart survives to about layer {math.ceil(6 * xi):,}, 6 ξ_c"
    return f"{text}. At this σ_b the critical σ_w is {number(critical)}."
