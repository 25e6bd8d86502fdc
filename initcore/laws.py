"""Laws: the distribution of one entry of an initialised tensor.

>>> law = Uniform(-0.5, 0.5)
>>> round(law.std, 4), float(law.cdf(0.0))
(0.2887, 0.5)

A law is a frozen record. ``pdf`` is the density of its continuous part and ``atoms`` holds the
values that have a probability of their own, so that the density integrates to one minus the mass
of the atoms. Functions take and return float64 arrays of one shape; units are those of the
weights.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, gammaln, ndtr, ndtri

from initcore.errors import InitError

Array = npt.NDArray[np.float64]

# Magnitudes whose fourth powers, and so their kurtosis, stay within float64.
SMALLEST, LARGEST = 1e-60, 1e60


def number(x: float, digits: int = 4) -> str:
    """A number for people: 4 significant digits, half rounded up, and a true minus sign."""
    if x == 0:
        return "0"
    # Python rounds halves to even, but tables and charts up; 1/64 would be 0.01562 and 0.01563.
    text = f"{math.nextafter(x, math.copysign(math.inf, x)):.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


class Law(ABC):
    """The distribution of one entry.

    Attributes: ``mean``, ``std`` (population), ``kurtosis`` (fourth standardised moment, 3 for a
    normal; nan where std is 0), ``low`` and ``high`` (ends of the support, may be infinite).
    """

    family: ClassVar[str]

    @property
    @abstractmethod
    def mean(self) -> float: ...

    @property
    @abstractmethod
    def std(self) -> float: ...

    @property
    @abstractmethod
    def kurtosis(self) -> float: ...

    @property
    @abstractmethod
    def low(self) -> float: ...

    @property
    @abstractmethod
    def high(self) -> float: ...

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Values with a probability of their own, as (value, probability)."""
        return ()

    @property
    def is_discrete(self) -> bool:
        """Whether the atoms carry all the mass, so that nothing is left for a density."""
        return math.isclose(sum(mass for _, mass in self.atoms), 1.0)

    @abstractmethod
    def pdf(self, x: npt.ArrayLike) -> Array: ...

    @abstractmethod
    def cdf(self, x: npt.ArrayLike) -> Array:
        """P(X <= x)."""

    @abstractmethod
    def quantile(self, p: npt.ArrayLike) -> Array:
        """The smallest x with cdf(x) >= p, for p in [0, 1]."""

    def cdf_below(self, x: npt.ArrayLike) -> Array:
        """P(X < x): the cdf without the atom that may sit at x."""
        x = np.asarray(x, dtype=float)
        below = self.cdf(x)
        for value, mass in self.atoms:
            below = np.where(x == value, below - mass, below)
        return below

    @property
    @abstractmethod
    def notation(self) -> str:
        """The law in the field's notation, with its numbers: ``U(−0.7746, 0.7746)``."""

    def expected_max(self, count: int) -> float:
        """The median of the largest of ``count`` independent entries."""
        return float(self.quantile(0.5 ** (1.0 / count)))

    def expected_min(self, count: int) -> float:
        """The median of the smallest of ``count`` independent entries."""
        return float(self.quantile(-math.expm1(-math.log(2.0) / count)))


@dataclass(frozen=True)
class Uniform(Law):
    """Uniform on [a, b)."""

    a: float
    b: float
    family: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        if not self.a < self.b:
            raise InitError(f"uniform on [{self.a}, {self.b}): a must be smaller than b")

    @property
    def low(self) -> float:
        return self.a

    @property
    def high(self) -> float:
        return self.b

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def std(self) -> float:
        return (self.high - self.low) / math.sqrt(12.0)

    @property
    def kurtosis(self) -> float:
        return 1.8

    def pdf(self, x: npt.ArrayLike) -> Array:
        x = np.asarray(x, dtype=float)
        return np.where((x >= self.low) & (x <= self.high), 1.0 / (self.high - self.low), 0.0)

    def cdf(self, x: npt.ArrayLike) -> Array:
        x = np.asarray(x, dtype=float)
        return np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    def quantile(self, p: npt.ArrayLike) -> Array:
        return self.low + np.asarray(p, dtype=float) * (self.high - self.low)

    @property
    def notation(self) -> str:
        return f"U({number(self.low)}, {number(self.high)})"


@dataclass(frozen=True)
class Normal(Law):
    """Normal of mean ``loc`` and standard deviation ``scale``."""

    loc: float
    scale: float
    family: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise InitError(f"normal of std {self.scale}: std must be greater than 0")

    @property
    def mean(self) -> float:
        return self.loc

    @property
    def std(self) -> float:
        return self.scale

    @property
    def low(self) -> float:
        return -math.inf

    @property
    def high(self) -> float:
        return math.inf

    @property
    def kurtosis(self) -> float:
        return 3.0

    def pdf(self, x: npt.ArrayLike) -> Array:
        z = (np.asarray(x, dtype=float) - self.mean) / self.std
        return np.exp(-0.5 * z * z) / (self.std * math.sqrt(2 * math.pi))

    def cdf(self, x: npt.ArrayLike) -> Array:
        return ndtr((np.asarray(x, dtype=float) - self.mean) / self.std)  # type: ignore[no-any-return]

    def quantile(self, p: npt.ArrayLike) -> Array:
        return self.mean + self.std * ndtri(np.asarray(p, dtype=float))  # type: ignore[no-any-return]

    @property
    def notation(self) -> str:
        return f"N({number(self.mean)}, {number(self.std)}²)"


# Nodes and weights of Gauss-Legendre quadrature on [-1, 1]: spectral accuracy for the smooth
# densities below, whose effective support is at most 18 standard deviations wide.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(128)


@dataclass(frozen=True)
class TruncatedNormal(Law):
    """A normal (loc, scale) conditioned on [a, b].

    ``loc`` and ``scale`` are those of the parent normal; ``mean`` and ``std`` those of the law.
    """

    loc: float
    scale: float
    a: float
    b: float
    family: ClassVar[str] = "truncated normal"

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise InitError(f"truncated normal of std {self.scale}: std must be greater than 0")
        if not self.a < self.b:
            raise InitError(f"truncated to [{self.a}, {self.b}]: a must be smaller than b")
        if not self.mass > 0:
            raise InitError(f"[{self.a}, {self.b}] holds no mass of {self._parent.notation}")

    @property
    def low(self) -> float:
        return self.a

    @property
    def high(self) -> float:
        return self.b

    @property
    def _parent(self) -> Normal:
        return Normal(self.loc, self.scale)

    @property
    def _ends(self) -> tuple[float, float, float]:
        # In units of the parent's std, mirrored so that the lower end is the one nearer the
        # mode: ndtr keeps its relative precision in the lower tail only.
        alpha, beta = (self.a - self.loc) / self.scale, (self.b - self.loc) / self.scale
        return (-beta, -alpha, -1.0) if alpha > 0 else (alpha, beta, 1.0)

    @cached_property
    def mass(self) -> float:
        """The share of the parent normal inside [a, b]."""
        alpha, beta, _ = self._ends
        return float(ndtr(beta) - ndtr(alpha))

    @cached_property
    def _moments(self) -> tuple[float, float, float]:
        """Mean, std and kurtosis by quadrature where the density exceeds e^-40 of its peak."""
        alpha, beta, sign = self._ends
        mode = min(max(0.0, alpha), beta)
        reach = math.sqrt(mode * mode + 80.0)
        lo, hi = max(alpha, -reach), min(beta, reach)
        z = lo + (hi - lo) * (NODES + 1) / 2
        weight = WEIGHTS * np.exp(-0.5 * (z * z - mode * mode))
        weight /= weight.sum()
        mean = float(weight @ z)
        deviation = z - mean
        var = float(weight @ deviation**2)
        fourth = float(weight @ deviation**4)
        return self.loc + sign * self.scale * mean, self.scale * math.sqrt(var), fourth / var**2

    @property
    def mean(self) -> float:
        return self._moments[0]

    @property
    def std(self) -> float:
        return self._moments[1]

    @property
    def kurtosis(self) -> float:
        return self._moments[2]

    def pdf(self, x: npt.ArrayLike) -> Array:
        x = np.asarray(x, dtype=float)
        inside = (x >= self.low) & (x <= self.high)
        return np.where(inside, self._parent.pdf(x) / self.mass, 0.0)

    def cdf(self, x: npt.ArrayLike) -> Array:
        alpha, beta, sign = self._ends
        z = sign * (np.asarray(x, dtype=float) - self.loc) / self.scale
        share = np.clip((ndtr(z) - ndtr(alpha)) / (ndtr(beta) - ndtr(alpha)), 0.0, 1.0)
        return share if sign > 0 else 1.0 - share  # type: ignore[no-any-return]

    def quantile(self, p: npt.ArrayLike) -> Array:
        alpha, _, sign = self._ends
        p = np.asarray(p, dtype=float)
        z = ndtri(ndtr(alpha) + (p if sign > 0 else 1.0 - p) * self.mass)
        return np.clip(self.loc + sign * self.scale * z, self.low, self.high)  # type: ignore[no-any-return]

    @property
    def notation(self) -> str:
        return f"{self._parent.notation} cut to [{number(self.low)}, {number(self.high)}]"


@dataclass(frozen=True)
class Pattern(Law):
    """A deterministic tensor: each value holds a known share of the entries.

    ``shares`` is ((value, share), ...) with shares that add to 1: constants, eye, dirac.
    """

    shares: tuple[tuple[float, float], ...]
    family: ClassVar[str] = "pattern"

    def __post_init__(self) -> None:
        if not math.isclose(sum(share for _, share in self.shares), 1.0):
            raise InitError(f"shares of a pattern must add to 1: {self.shares}")

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        return tuple(sorted(self.shares))

    def _moment(self, order: int, about: float) -> float:
        return math.fsum(share * (value - about) ** order for value, share in self.shares)

    @property
    def mean(self) -> float:
        return self._moment(1, 0.0)

    @property
    def std(self) -> float:
        return math.sqrt(self._moment(2, self.mean))

    @property
    def kurtosis(self) -> float:
        # Of two equal parts it is 1, the least there is, which rounding must not undercut.
        return max(self._moment(4, self.mean) / self.std**4, 1.0) if self.std else math.nan

    @property
    def low(self) -> float:
        return self.atoms[0][0]

    @property
    def high(self) -> float:
        return self.atoms[-1][0]

    def pdf(self, x: npt.ArrayLike) -> Array:
        return np.zeros_like(np.asarray(x, dtype=float))

    def cdf(self, x: npt.ArrayLike) -> Array:
        x = np.asarray(x, dtype=float)
        return np.minimum(sum(share * (x >= value) for value, share in self.shares), 1.0)

    def quantile(self, p: npt.ArrayLike) -> Array:
        values = np.array([value for value, _ in self.atoms])
        steps = np.cumsum([share for _, share in self.atoms])
        index = np.searchsorted(steps + 1e-12, np.asarray(p, dtype=float), side="left")
        return values[np.minimum(index, len(values) - 1)]

    @property
    def notation(self) -> str:
        return " · ".join(f"{number(100 * s)} % {number(v)}" for v, s in self.atoms)


def constant(value: float) -> Pattern:
    """The law of a tensor whose entries all equal ``value``."""
    return Constant(((value, 1.0),))


@dataclass(frozen=True)
class Constant(Pattern):
    """Every entry the same; made by ``constant(value)``."""

    family: ClassVar[str] = "constant"

    @property
    def value(self) -> float:
        return self.shares[0][0]

    @property
    def notation(self) -> str:
        return f"all {number(self.value)}"


@dataclass(frozen=True)
class HaarCoordinate(Law):
    """One coordinate of a uniformly random vector of length ``scale`` in R^dimension.

    This is the law of each entry of ``scale`` times a Haar-distributed (semi-)orthogonal matrix of
    shape (r, c) with dimension = max(r, c): its longer side holds unit vectors. (x/scale)² follows
    Beta(1/2, (dimension-1)/2). Source: Mezzadri 2007, math-ph/0609050.
    """

    dimension: int
    scale: float
    family: ClassVar[str] = "orthogonal coordinate"

    def __post_init__(self) -> None:
        if self.dimension < 2 or not self.scale > 0:
            raise InitError(
                f"dimension {self.dimension}, scale {self.scale}: need at least 2 and more than 0"
            )

    @property
    def mean(self) -> float:
        return 0.0

    @property
    def std(self) -> float:
        return self.scale / math.sqrt(self.dimension)

    @property
    def kurtosis(self) -> float:
        return 3.0 * self.dimension / (self.dimension + 2.0)

    @property
    def low(self) -> float:
        return -self.scale

    @property
    def high(self) -> float:
        return self.scale

    def pdf(self, x: npt.ArrayLike) -> Array:
        n = self.dimension
        z = np.asarray(x, dtype=float) / self.scale
        log_peak = gammaln(n / 2) - gammaln((n - 1) / 2) - 0.5 * math.log(math.pi)
        # Dimension 2 is the arcsine law, infinite at its ends; dimension 3 is uniform, see below.
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.exp(log_peak + (n - 3) / 2 * np.log1p(-np.minimum(z * z, 1.0)))
        if n == 3:
            inside = np.full_like(z, math.exp(log_peak))
        return np.where(np.abs(z) <= 1, inside / self.scale, 0.0)

    def cdf(self, x: npt.ArrayLike) -> Array:
        z = np.clip(np.asarray(x, dtype=float) / self.scale, -1.0, 1.0)
        half = 0.5 * betainc(0.5, (self.dimension - 1) / 2, z * z)
        return 0.5 + np.sign(z) * half  # type: ignore[no-any-return]

    def quantile(self, p: npt.ArrayLike) -> Array:
        p = np.asarray(p, dtype=float)
        square = betaincinv(0.5, (self.dimension - 1) / 2, np.abs(2 * p - 1))
        return self.scale * np.sign(p - 0.5) * np.sqrt(square)  # type: ignore[no-any-return]

    @property
    def notation(self) -> str:
        return f"{number(self.scale)} × coordinate on the sphere in {self.dimension} dimensions"


@dataclass(frozen=True)
class ZeroInflated(Law):
    """Exactly zero with probability ``zero_share``, else drawn from ``base`` (sparse matrices)."""

    zero_share: float
    base: Normal
    family: ClassVar[str] = "sparse mixture"

    def __post_init__(self) -> None:
        if not 0 < self.zero_share < 1:
            raise InitError(f"share of zeros {self.zero_share}: must be between 0 and 1")

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        return ((0.0, self.zero_share),)

    @property
    def mean(self) -> float:
        return (1 - self.zero_share) * self.base.mean

    def _raw(self, order: int) -> float:
        m, s = self.base.mean, self.base.std
        raw = {2: m**2 + s**2, 3: m**3 + 3 * m * s**2, 4: m**4 + 6 * m**2 * s**2 + 3 * s**4}
        return (1 - self.zero_share) * raw[order]

    @property
    def std(self) -> float:
        return math.sqrt(self._raw(2) - self.mean**2)

    @property
    def kurtosis(self) -> float:
        m = self.mean
        fourth = self._raw(4) - 4 * m * self._raw(3) + 6 * m**2 * self._raw(2) - 3 * m**4
        return fourth / self.std**4

    @property
    def low(self) -> float:
        return self.base.low

    @property
    def high(self) -> float:
        return self.base.high

    def pdf(self, x: npt.ArrayLike) -> Array:
        return (1 - self.zero_share) * self.base.pdf(x)

    def cdf(self, x: npt.ArrayLike) -> Array:
        x = np.asarray(x, dtype=float)
        return self.zero_share * (x >= 0) + (1 - self.zero_share) * self.base.cdf(x)

    def quantile(self, p: npt.ArrayLike) -> Array:
        p = np.asarray(p, dtype=float)
        rest = 1 - self.zero_share
        below = rest * float(self.base.cdf(0.0))
        q = np.where(p < below, p, np.maximum(p - self.zero_share, 0.0)) / rest
        in_atom = (p >= below) & (p <= below + self.zero_share)
        return np.where(in_atom, 0.0, self.base.quantile(np.clip(q, 0.0, 1.0)))

    @property
    def notation(self) -> str:
        return f"{number(100 * self.zero_share)} % zeros, rest {self.base.notation}"


@lru_cache(maxsize=1024)
def distance(first: Law, second: Law) -> float:
    """The Kolmogorov-Smirnov distance between two laws: sup over x of |F1(x) - F2(x)|.

    Evaluated at 2,001 quantiles of each law and at both sides of every atom, which is within
    0.0005 of the supremum.
    """
    p = np.linspace(0.0005, 0.9995, 2001)
    atoms = [value for law in (first, second) for value, _ in law.atoms]
    x = np.concatenate([first.quantile(p), second.quantile(p), atoms])
    sides: tuple[Callable[[Law], Array], ...] = (lambda w: w.cdf(x), lambda w: w.cdf_below(x))
    return max(float(np.max(np.abs(side(first) - side(second)))) for side in sides)
