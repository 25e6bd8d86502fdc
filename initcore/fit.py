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

import numpy as np
import torch
from scipy.special import kolmogorov

from initcore.draw import DTYPES
from initcore.laws import (
    Constant,
    HaarCoordinate,
    Law,
    Normal,
    Uniform,
    ZeroInflated,
    distance,
    number,
)
from initcore.measure import HalfGrid, Measurement

# A law is rejected where fewer than one draw in a thousand lies as far away: in a class of thirty
# that draws a hundred matrices, a false alarm a day rather than one a minute.
ALPHA = 0.001
# Gaps smaller than these are of no consequence, however surely many values reveal them.
NEGLIGIBLE_KS = 0.002
NEGLIGIBLE_STD = 0.005
# √n·D of the 5 % critical value of the Kolmogorov-Smirnov test.
CRITICAL_5 = 1.358


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
    below, above = law.cdf(edges - slack), law.cdf(edges + slack)
    lower = float(np.max(np.maximum(empirical - above, below - empirical), initial=0.0))
    if law.is_discrete or isinstance(measurement.grid, HalfGrid):
        return lower, lower
    cut = int(np.searchsorted(edges, 0.0))
    if not law.atoms or cut == len(edges) or edges[cut] != 0.0:
        return lower, _largest_gap([0.0, *empirical, 1.0], [0.0, *below, 1.0], [0.0, *above, 1.0])
    # The atom at zero is a jump of both cdfs at an edge: compare on either side of it.
    zero_below, zero = float(law.cdf_below(0.0)), float(law.cdf(0.0))
    at_zero = float(empirical[cut]), float(empirical[cut]) + measurement.zeros / measurement.finite
    lower = max(
        float(np.max(np.maximum(empirical - above, below - empirical)[edges != 0.0], initial=0.0)),
        abs(at_zero[0] - zero_below),
        abs(at_zero[1] - zero),
    )
    left, right = slice(0, cut), slice(cut + 1, None)
    upper = max(
        _largest_gap(
            [0.0, *empirical[left], at_zero[0]],
            [0.0, *below[left], zero_below],
            [0.0, *above[left], zero_below],
        ),
        _largest_gap(
            [at_zero[1], *empirical[right], 1.0],
            [zero, *below[right], 1.0],
            [zero, *above[right], 1.0],
        ),
    )
    return lower, upper


def _largest_gap(empirical: list[float], below: list[float], above: list[float]) -> float:
    """The largest |Fn - F| possible between the points, both rising from one to the next."""
    fn, low, high = np.array(empirical), np.array(below), np.array(above)
    return float(np.max(np.maximum(fn[1:] - low[:-1], high[1:] - fn[:-1]), initial=0.0))


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
    finest = torch.finfo(DTYPES[measurement.dtype]).eps / 2
    if measurement.nonfinite or not n:
        agrees = False
    elif n == 1:
        agrees = float(law.cdf(measurement.max * (1 + np.sign(measurement.max) * finest))) > 0
        agrees = (
            agrees and float(law.cdf_below(measurement.min - abs(measurement.min) * finest)) < 1
        )
    elif law.is_discrete:
        agrees = low <= finest
    else:
        spread = abs(ratio - 1) if n > 1 else 0.0
        agrees = (p_value is None or p_value >= ALPHA or low <= max(NEGLIGIBLE_KS, finest)) and (
            n < 2 or spread <= 4 * error or spread <= max(NEGLIGIBLE_STD, finest)
        )
    outside = None
    if xavier_bound is not None and n:
        outside = measurement.outside(xavier_bound) / n
    result = Fit(low, high, p_value, ratio, error, outside, agrees, "")
    return replace(result, verdict=_verdict(measurement, law, result))


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
    if result.agrees and result.p_value < ALPHA:
        rest = f"rounding to {m.dtype} leaves" if m.dtype.endswith("16") else "matters in training"
        sentence += f" So many values reveal even a gap this small; it is below what {rest}."
    return sentence + _power(law, m.finite)


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
    needed = (CRITICAL_5 / distance(law, rival)) ** 2
    if n >= needed:
        return ""
    if isinstance(law, HaarCoordinate) and law.dimension > 20:
        return " Entry by entry it looks like a normal: only its singular values tell."
    return (
        f" {n:,} are too few to tell it from a {name} of the same std: "
        f"that takes about {round(needed, 1 - math.floor(math.log10(needed))):,.0f}."
    )
