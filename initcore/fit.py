"""Fit: a measurement against a law, as an effect size, a significance and a sentence.

>>> from initcore.draw import draw
>>> from initcore.laws import Uniform
>>> from initcore.layers import Layer
>>> from initcore.measure import grid_for, measure
>>> law = Uniform(-0.5, 0.5)
>>> w = draw(Layer("linear", (64, 64)), "uniform", a=-0.5, b=0.5).weight
>>> result = fit(measure(w, grid_for(law, 4096, "float32")), law)
>>> result.agrees, result.ks_low <= result.ks_high
(True, True)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import kolmogorov

from initcore.draw import DTYPES
from initcore.laws import (
    SMALLEST,
    Array,
    Constant,
    HaarCoordinate,
    Law,
    Normal,
    Uniform,
    ZeroInflated,
    distance,
    number,
)
from initcore.measure import CRITICAL_5, HalfGrid, Measurement

# A law is rejected where fewer than one draw in a thousand lies as far away: in a class of thirty
# that draws a hundred matrices, a false alarm a day rather than one a minute.
ALPHA = 0.001
# Gaps smaller than these are of no consequence, however surely many values reveal them.
NEGLIGIBLE_KS = 0.002
NEGLIGIBLE_STD = 0.005


@dataclass(frozen=True)
class Fit:
    """How a measurement agrees with a law.

    ks_low, ks_high: bracket of the Kolmogorov-Smirnov distance (share of the values); the fine
        histogram's binning and rounding are inside it.
    p_value: chance that a draw of the law lies at least ks_low away; None for a deterministic law.
    std_ratio: measured std ÷ the law's; nan where the law has none.
    std_error: one standard error of std_ratio by chance alone.
    outside_xavier: share of the values beyond ±Xavier's uniform bound; None without one.
    agrees: the law is not rejected, or differs by too little to matter.
    verdict: all this in a sentence or three.
    """

    ks_low: float
    ks_high: float
    p_value: float | None
    std_ratio: float
    std_error: float
    outside_xavier: float | None
    agrees: bool
    verdict: str


def ks_bracket(measurement: Measurement, law: Law) -> tuple[float, float]:
    """Bounds on the Kolmogorov-Smirnov distance sup |Fn - F|: lower <= exact <= upper.

    Fn is known at the edges of the grid, up to the slack of the bin index; inside a bin both cdfs
    rise from one edge's value to the next. For 16-bit types the law is rounded to the type, as the
    values were, and for a pattern to the grid: then the edges decide and the bracket closes.
    """
    edges, slack = measurement.grid.edges, measurement.grid.slack
    empirical = measurement.cumulative / measurement.finite
    if isinstance(measurement.grid, HalfGrid):  # between values that occur nothing can be farthest
        present = measurement.counts > 0
        beside = np.append(present, False) | np.append(False, present)
        edges, empirical = edges[beside], empirical[beside]
    below = law.cdf(edges - slack)
    above = law.cdf(edges + slack) if slack else below
    lower = float(np.max(np.maximum(empirical - above, below - empirical), initial=0.0))
    if law.is_discrete or isinstance(measurement.grid, HalfGrid):
        return lower, lower
    cut = int(np.searchsorted(edges, 0.0))
    start, end = np.zeros(1), np.ones(1)
    if not law.atoms or cut == len(edges) or edges[cut] != 0.0:
        chain = (np.concatenate([start, points, end]) for points in (empirical, below, above))
        return lower, _largest_gap(*chain)
    # The atom at zero is a jump of both cdfs at an edge: compare on either side of it.
    zero_below, zero = law.cdf_below([0.0]), law.cdf([0.0])
    at_below = empirical[cut : cut + 1]
    at_zero = at_below + measurement.zeros / measurement.finite
    lower = max(
        float(np.max(np.maximum(empirical - above, below - empirical)[edges != 0.0], initial=0.0)),
        abs(float(at_below[0] - zero_below[0])),
        abs(float(at_zero[0] - zero[0])),
    )
    left, right = slice(0, cut), slice(cut + 1, None)
    upper = max(
        _largest_gap(
            np.concatenate([start, empirical[left], at_below]),
            np.concatenate([start, below[left], zero_below]),
            np.concatenate([start, above[left], zero_below]),
        ),
        _largest_gap(
            np.concatenate([at_zero, empirical[right], end]),
            np.concatenate([zero, below[right], end]),
            np.concatenate([zero, above[right], end]),
        ),
    )
    return lower, upper


def _largest_gap(empirical: Array, below: Array, above: Array) -> float:
    """The largest |Fn - F| possible between the points, both rising from one to the next."""
    gaps = np.maximum(empirical[1:] - below[:-1], above[1:] - empirical[:-1])
    return float(np.max(gaps, initial=0.0))


def std_error(law: Law, count: int) -> float:
    """One standard error of (sample std ÷ law's std) over draws of ``count`` entries.

    For independent entries √((κ−1)/(4n)) to first order, κ the law's kurtosis. An orthogonal matrix
    has a fixed sum of squares, and a sparse one a fixed number of zeros, which leaves less.
    """
    if count < 2 or not law.std > 0:
        return math.nan
    if isinstance(law, HaarCoordinate):
        return math.sqrt(0.5) / (count - 1)
    if isinstance(law, ZeroInflated):
        return math.sqrt(0.5 / (count * (1 - law.zero_share)))
    return math.sqrt((law.kurtosis - 1) / (4 * count))


def fit(measurement: Measurement, law: Law, xavier_bound: float | None = None) -> Fit:
    """Compare a measurement with the law it should follow.

    ``xavier_bound`` adds the share of the values beyond it. The p-value uses Stephens' correction
    of the asymptotic Kolmogorov law (Stephens 1970), conservative by taking the bracket's lower
    end; entries of orthogonal and sparse matrices are not independent, there it is approximate.
    """
    n = measurement.finite
    low, high = ks_bracket(measurement, law) if n else (0.0, 1.0)
    p_value = None
    if not law.is_discrete and n:
        root = math.sqrt(n)
        p_value = float(kolmogorov((root + 0.12 + 0.11 / root) * low))
    ratio = measurement.std / law.std if law.std > 0 else math.nan
    error = std_error(law, n)
    if measurement.nonfinite or not n:
        agrees = False
    elif n == 1:
        agrees = _possible(measurement.min, law, measurement.dtype)
    elif law.is_discrete:
        agrees = low <= 1e-9
    else:
        agrees = _agrees(measurement, law, low, p_value or 0.0)
    outside = None
    if xavier_bound is not None and n:
        outside = measurement.outside(xavier_bound) / n
    result = Fit(low, high, p_value, ratio, error, outside, agrees, "")
    return replace(result, verdict=_verdict(measurement, law, result))


def _possible(value: float, law: Law, dtype: str) -> bool:
    """Whether one value can come from the law, up to the dtype's rounding."""
    info = torch.finfo(DTYPES[dtype])
    slack = info.eps * max(abs(value), info.tiny)
    if law.is_discrete:
        return any(abs(value - atom) <= slack for atom, _ in law.atoms)
    return law.low - slack <= value <= law.high + slack


def _agrees(m: Measurement, law: Law, low: float, p_value: float) -> bool:
    """Whether neither the shape nor the std speaks against the law by an amount that matters."""
    rounded = rounded_law(m, law)
    shape = p_value >= ALPHA or low <= max(NEGLIGIBLE_KS, rounded.coarsest)
    if not rounded.std:
        return shape and not m.std
    spread = abs(m.std / rounded.std - 1)
    # Small samples have a longer upper tail than a normal: 4 standard errors, and more for them.
    # An orthogonal matrix has a fixed sum of squares: its std strays by the square of its mean.
    errors = 8 if isinstance(law, HaarCoordinate) else 4
    usual = errors * rounded.error * (1 + rounded.error)
    return shape and spread <= max(NEGLIGIBLE_STD, usual)


class Rounded(NamedTuple):
    """A law after rounding to a dtype: std, std_error, the largest share of one single value."""

    std: float
    error: float
    coarsest: float


def rounded_law(m: Measurement, law: Law) -> Rounded:
    """The law as the measured tensor's dtype holds it; the law itself for 32 bits and more."""
    if not isinstance(m.grid, HalfGrid):
        return Rounded(law.std, std_error(law, m.finite), 0.0)
    share = np.diff(law.cdf(m.grid.edges))
    values = m.grid.values
    deviation = values - share @ values
    variance = float(share @ deviation**2)
    if variance < SMALLEST:  # all values round to one
        return Rounded(0.0, 0.0, float(share.max()))
    kurtosis = float(share @ deviation**4) / variance**2
    # Rounding adds to the sampling error where it leaves few values to choose from.
    error = max(std_error(law, m.finite), math.sqrt(max(kurtosis - 1, 0) / (4 * m.finite)))
    coarsest = float(np.where(values == 0, share - dict(law.atoms).get(0.0, 0.0), share).max())
    return Rounded(math.sqrt(variance), error, coarsest)


def _verdict(m: Measurement, law: Law, result: Fit) -> str:
    n = f"{m.count:,}"
    if m.nonfinite:
        return f"{m.nonfinite:,} of {n} values are nan or infinite: nothing can be said of a law."
    if isinstance(law, Constant):
        if result.agrees:
            subject = "The value equals" if m.count == 1 else f"All {n} values equal"
            return f"{subject} {number(law.value)}."
        ends = f"{number(m.min)} to {number(m.max)}"
        return f"Not all {n} values equal {number(law.value)}: they run from {ends}."
    if m.count == 1:
        fits = "is possible under" if result.agrees else "is impossible under"
        return f"One value, {number(m.min)}, {fits} {law.notation}; it cannot say more."
    if law.is_discrete:
        fits = "are" if result.agrees else "are not"
        return f"The {n} values {fits} the pattern set: {law.notation}."
    assert result.p_value is not None
    fits = "fit" if result.agrees else "do not fit"
    sentence = (
        f"These {n} values {fits} {law.notation}: std {number(m.std)} is "
        f"{number(result.std_ratio)} × the law's {number(law.std)} (chance alone moves it by "
        f"±{number(result.std_error, 2)}), KS distance {number(result.ks_low, 3)} "
        f"({_chance(result.p_value)})."
    )
    rounded = rounded_law(m, law)
    if abs(rounded.std / law.std - 1) > 0.01:
        sentence += f" Rounding to {m.dtype} alone turns the law's std into {number(rounded.std)}."
    if result.agrees and result.p_value < ALPHA:
        rest = f"rounding to {m.dtype} leaves" if rounded.coarsest else "matters in training"
        sentence += f" So many values reveal even a gap this small; it is below what {rest}."
    return sentence + _power(law, m.finite)


def values_needed(law: Law, rival: Law) -> float:
    """About how many values tell a law from its rival: where their distance becomes critical."""
    gap = distance(law, rival)
    return (CRITICAL_5 / gap) ** 2 if gap >= 1e-4 else math.inf


def round_count(count: float) -> str:
    """A count to two significant digits, for people."""
    return f"{round(count, 1 - math.floor(math.log10(count))):,.0f}"


def _chance(p: float) -> str:
    if p < 1e-6:
        return "p < 10⁻⁶"
    return f"p = {number(p, 2)}"


def _power(law: Law, n: int) -> str:
    """What this many values cannot tell; empty where they are enough."""
    rival: Law = Normal(law.mean, law.std)
    name = "normal"
    if isinstance(law, Normal):
        half = math.sqrt(3) * law.std
        rival, name = Uniform(law.mean - half, law.mean + half), "uniform"
    needed = values_needed(law, rival)
    if n >= needed or math.isinf(needed):
        return ""
    if isinstance(law, HaarCoordinate) and law.dimension > 20:
        return " Entry by entry it looks like a normal: only its singular values tell."
    return (
        f" {n:,} are too few to tell it from a {name} of the same std: "
        f"that takes about {round_count(needed)}."
    )
