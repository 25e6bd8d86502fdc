"""Spectrum: singular values of a weight, of a product of layers, of a network's Jacobian.

>>> spectra = measure_spectra(SpectrumSpec(Init("orthogonal"), 32, 32, 4, "linear"))
>>> [round(part.condition, 4) for part in (spectra.weight, spectra.product, spectra.jacobian)]
[1.0, 1.0, 1.0]

The laws are those of large matrices: Marchenko and Pastur's for independent entries, whose square
case is the quarter circle, and Fuss and Catalan's for a product of square Gaussian matrices. An
orthogonal matrix has one singular value, its gain, and so has a product of them: a deep linear
network keeps every direction (dynamical isometry: Saxe et al. 2013, arXiv 1312.6120; Pennington
et al. 2017, arXiv 1711.04735).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import digamma
from torch import Tensor

from initcore import meanfield
from initcore.activations import NODES, WEIGHTS, Activation, get_activation
from initcore.draw import Spec, draw_spec
from initcore.errors import InitError, check_whole
from initcore.fit import ks_bracket
from initcore.laws import (
    Array,
    Constant,
    HaarCoordinate,
    Law,
    Pattern,
    Uniform,
    constant,
    number,
)
from initcore.layers import Layer
from initcore.measure import Progress, grid_for, measure, workers
from initcore.report import finite
from initcore.schemes import Init, Slot

MAX_SIZE = 1024
MAX_DEPTH = 100
MAX_SEED = 2**32 - 1
# Depth × side³, the multiply-adds of all products: some seconds.
MAX_WORK = 3e10
# More depths than this are not decomposed, but spread evenly over the logarithm of the depth.
_MOST_DEPTHS = 16
# Below this share of the largest, a singular value's square is lost in the rounding of the Gram
# matrix; and below the other one, the value itself in that of the matrix.
_GRAM_LIMIT, _FLOAT_LIMIT = 1e-6, 1e-14
_LARGEST = 1e300
_BAND = 128


# --- singular values ----------------------------------------------------------------------------


def singular_values(matrix: Tensor) -> Array:
    """The singular values of a matrix (rows, columns), the largest first, in float64.

    By the eigenvalues of the float64 Gram matrix of the smaller side, several times as fast as
    ``torch.linalg.svdvals`` in float32 and exact to 1e-9 of the largest. Squaring costs half of the
    digits: where the smallest is under 1e-6 of the largest, that is not good enough, and float64
    ``svdvals`` is taken. Raises InitError for an empty matrix, or one with nan or infinity.
    """
    if matrix.ndim != 2 or not matrix.numel():
        raise InitError(f"shape {list(matrix.shape)}: singular values need a matrix with entries")
    values = matrix.detach().double()
    largest = max(abs(float(end)) for end in torch.aminmax(values))
    if not math.isfinite(largest):
        raise InitError("a matrix with nan or infinity has no singular values")
    if not largest:
        return np.zeros(min(values.shape))
    if 1e-100 < largest < 1e100:
        largest = 1.0
    else:
        values = values / largest  # so that no square over- or underflows
    wide = values if values.shape[0] <= values.shape[1] else values.mT
    squares = torch.linalg.eigvalsh(_lower_gram(wide))
    if squares[0] < _GRAM_LIMIT**2 * squares[-1]:
        found = torch.linalg.svdvals(values)
    else:
        found = squares.flip(0).sqrt()
    return np.asarray(largest * found.cpu().numpy())


def _lower_gram(wide: Tensor) -> Tensor:
    """The lower triangle of A Aᵀ, in bands: the other is never looked at."""
    rows = wide.shape[0]
    gram = wide.new_zeros(rows, rows)
    for start in range(0, rows, _BAND):
        end = min(start + _BAND, rows)
        torch.mm(wide[start:end], wide[:end].mT, out=gram[start:end, :end])
    return gram


# --- laws of singular values --------------------------------------------------------------------


class _Curve(Law):
    """A law known along a curve: the value x(t) and its mass density in t, both smooth."""

    @property
    @abstractmethod
    def _along(self) -> tuple[Array, Array]:
        """At the middles of even steps in t: x ascending, and the mass of each step."""

    @cached_property
    def _table(self) -> tuple[Array, Array, Array]:
        """Values x, their masses, and the cdf at x; the midpoint rule, exact to 1e-7."""
        x, mass = self._along
        return x, mass, np.cumsum(mass) - mass / 2

    def _moment(self, order: int, about: float = 0.0) -> float:
        x, mass, _ = self._table
        return float(mass @ (x - about) ** order)

    @property
    def mean(self) -> float:
        return self._moment(1)

    @property
    def std(self) -> float:
        return math.sqrt(self._moment(2, self.mean))

    @property
    def kurtosis(self) -> float:
        return self._moment(4, self.mean) / self.std**4

    @property
    def _ends(self) -> tuple[Array, Array]:
        """The values and the cdf, with both edges of the support."""
        x, _, cdf = self._table
        return np.concatenate([[self.low], x, [self.high]]), np.concatenate([[0.0], cdf, [1.0]])

    def cdf(self, x: npt.ArrayLike) -> Array:
        values, cdf = self._ends
        return np.asarray(np.interp(np.asarray(x, dtype=float), values, cdf))

    def quantile(self, p: npt.ArrayLike) -> Array:
        values, cdf = self._ends
        return np.asarray(np.interp(np.asarray(p, dtype=float), cdf, values))


# Middles of even steps in (0, 1).
_MIDDLES = (np.arange(8192) + 0.5) / 8192


@dataclass(frozen=True)
class MarchenkoPastur(_Curve):
    """The min(rows, columns) singular values of a large matrix of independent entries of mean 0.

    ``spread`` is the std of the entries. Edges spread·(√larger ± √smaller side); for a square
    matrix the quarter circle. Source: Marchenko & Pastur 1967, for squares of singular values.
    """

    rows: int
    columns: int
    spread: float
    family: ClassVar[str] = "Marchenko-Pastur"

    @property
    def _sides(self) -> tuple[float, float]:
        return math.sqrt(max(self.rows, self.columns)), math.sqrt(min(self.rows, self.columns))

    @property
    def low(self) -> float:
        large, small = self._sides
        return self.spread * (large - small)

    @property
    def high(self) -> float:
        large, small = self._sides
        return self.spread * (large + small)

    @property
    def _along(self) -> tuple[Array, Array]:
        # The square is spread²·(r² + s² − 2rs·cos t), 0 < t < π, r and s the roots of the sides;
        # 1 − cos t = 2 sin²(t/2) keeps its digits where they are equal.
        large, small = self._sides
        t = math.pi * _MIDDLES
        square = (large - small) ** 2 + 4 * large * small * np.sin(t / 2) ** 2
        density = 2 * (large * np.sin(t)) ** 2 / (math.pi * square)
        return self.spread * np.sqrt(square), density * math.pi / len(t)

    def pdf(self, x: npt.ArrayLike) -> Array:
        x = np.asarray(x, dtype=float)
        inside = (x > self.low) & (x < self.high)
        safe = np.where(inside, x, self.high)
        # √((high² − x²)(x² − low²)) / (π x s²), s = spread · the root of the smaller side.
        root = np.sqrt(np.maximum((self.high**2 - safe**2) * (safe**2 - self.low**2), 0.0))
        density = root / (math.pi * safe * (self.spread * self._sides[1]) ** 2)
        # At 0 the quarter circle has its peak.
        peak = 2 / (math.pi * self.spread * self._sides[1]) if self.rows == self.columns else 0.0
        return np.where(inside, density, np.where(x == 0, peak, 0.0))

    @property
    def notation(self) -> str:
        name = "quarter circle" if self.rows == self.columns else "Marchenko–Pastur law"
        return f"{name} on [{number(self.low)}, {number(self.high)}]"


@dataclass(frozen=True)
class FussCatalan(_Curve):
    """The singular values of a product of ``depth`` large square matrices of independent entries.

    ``scale`` is std·√side, to the power of the depth. The squares have the Fuss-Catalan numbers for
    moments, and (depth+1)^(depth+1)/depth^depth for upper edge, in units of scale². Source:
    Penson & Życzkowski 2011, arXiv 1103.3453; density along a curve: Forrester & Liu 2014, arXiv
    1404.5759, eq. 2.11.
    """

    depth: int
    scale: float
    family: ClassVar[str] = "Fuss-Catalan"

    @property
    def low(self) -> float:
        return 0.0

    @property
    def high(self) -> float:
        m = self.depth
        return self.scale * math.sqrt((m + 1) ** (m + 1) / m**m)

    @cached_property
    def _curve(self) -> tuple[Array, Array, Array]:
        """Angles φ from π/(depth+1) down to 0, ln x(φ) ascending, and ln of the density of x.

        For a scale of 1. The steps, even in u with φ = π/(depth+1)·(1 − u²), are finest near x = 0.
        """
        m = self.depth
        phi = math.pi / (m + 1) * (1 - _MIDDLES**2)
        one, most = np.log(np.sin(phi)), np.log(np.sin(m * phi))
        full = np.log(np.sin(math.pi * _MIDDLES**2))  # sin((m + 1)φ), with all its digits
        log_x = ((m + 1) * full - one - m * most) / 2
        # The density of the square, times d(square)/dx = 2x.
        of_square = 2 * one + (m - 1) * most - m * full - math.log(math.pi)
        return phi, log_x, of_square + math.log(2) + log_x

    @property
    def _along(self) -> tuple[Array, Array]:
        phi, log_x, log_density = self._curve
        m = self.depth
        # |dx/dφ| = x/2 · |d ln x²/dφ|, where tan((m + 1)φ) = −tan(πu²), and dφ = 2πu/(m + 1) du.
        slope = (m + 1) ** 2 / np.tan(math.pi * _MIDDLES**2) + 1 / np.tan(phi)
        slope += m**2 / np.tan(m * phi)
        step = 2 * math.pi * _MIDDLES / (m + 1) / len(phi)
        return self.scale * np.exp(log_x), np.exp(log_density + log_x) / 2 * np.abs(slope) * step

    def pdf(self, x: npt.ArrayLike) -> Array:
        _, log_x, log_density = self._curve
        x = np.asarray(x, dtype=float)
        inside = (x > self.low) & (x < self.high)
        # Near 0 the density is a power of x: interpolated in logarithms.
        at = np.log(np.where(inside, x, self.high)) - math.log(self.scale)
        density = np.exp(np.minimum(np.interp(at, log_x, log_density), 600.0)) / self.scale
        return np.where(inside, density, 0.0)

    @property
    def notation(self) -> str:
        return f"Fuss–Catalan law of {self.depth} factors on [0, {number(self.high)}]"


def weight_law(init: Init, layer: Layer) -> Law:
    """The law of the singular values of a Linear's weight, exact or for large sizes.

    Entries of a mean other than 0 add one singular value of |mean|·√(rows·columns) beside the law.
    """
    rows, columns = layer.matrix_shape
    law = init.law(Slot(layer, "weight"))
    if isinstance(law, HaarCoordinate):
        return constant(law.scale)
    if init.slug == "eye":
        return constant(1.0)
    if isinstance(law, Constant):
        count = min(rows, columns)
        largest = abs(law.value) * math.sqrt(rows * columns)
        if count == 1 or not largest:
            return constant(largest)
        return Pattern(((0.0, 1 - 1 / count), (largest, 1 / count)))
    return MarchenkoPastur(rows, columns, law.std)


def outlier(init: Init, layer: Layer) -> float:
    """The singular value that a mean other than 0 adds beside ``weight_law``; 0 without one."""
    rows, columns = layer.matrix_shape
    law = init.law(Slot(layer, "weight"))
    return 0.0 if law.is_discrete or _centred(law) else abs(law.mean) * math.sqrt(rows * columns)


def _centred(law: Law) -> bool:
    return abs(law.mean) <= 1e-9 * law.std


def product_law(spec: SpectrumSpec, depth: int) -> Law | None:
    """The law of the singular values of W_depth … W_1.

    None where none is known in closed form: rectangular factors of independent entries, or entries
    of a mean other than 0.
    """
    layers = [spec.draws(layer).layer for layer in range(1, depth + 1)]
    laws = [weight_law(spec.weight, layer) for layer in layers]
    if depth == 1:
        return laws[0]
    if all(isinstance(law, Constant) for law in laws):
        return constant(math.prod(law.mean for law in laws))
    entries = spec.weight.law(Slot(layers[0], "weight"))
    if spec.inputs != spec.width or not isinstance(laws[0], MarchenkoPastur):
        return None
    scale = (entries.std * math.sqrt(spec.width)) ** depth
    return FussCatalan(depth, scale) if _centred(entries) else None


def lyapunov_gap(side: int) -> float:
    """How much ln(condition number) of a product of square Gaussian matrices grows per factor.

    The gap of the largest and smallest Lyapunov exponent, (ψ(n/2) − ψ(1/2))/2, ψ the digamma
    function: where many factors lead. Source: Newman 1986, Comm. Math. Phys. 103.
    """
    return float(digamma(side / 2) - digamma(0.5)) / 2


# --- what is measured ---------------------------------------------------------------------------

Kind = Literal["weight", "product", "jacobian"]
KINDS: tuple[Kind, ...] = ("weight", "product", "jacobian")


@dataclass(frozen=True)
class SpectrumSpec:
    """A network of ``depth`` layers without biases, at init: inputs → width → … → width.

    Hashable and small. The input is white noise, N(0, 1). Raises InitError for values out of range,
    and for work beyond ``MAX_WORK``, before anything is drawn.
    """

    weight: Init
    inputs: int = 256
    width: int = 256
    depth: int = 10
    activation: str = "tanh"
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("inputs", self.inputs, 1, MAX_SIZE)
        check_whole("width", self.width, 1, MAX_SIZE)
        check_whole("depth", self.depth, 1, MAX_DEPTH)
        check_whole("seed", self.seed, 0, MAX_SEED)
        get_activation(self.activation)
        work = self.depth * self.width**2 * self.inputs
        if work > MAX_WORK:
            raise InitError(
                f"depth {self.depth} × width {self.width}² × {self.inputs} inputs are "
                f"{work:.2g} multiply-adds: at most {MAX_WORK:.2g}; choose fewer layers"
            )
        self.draws(1)

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.inputs, *[self.width] * self.depth)

    def draws(self, number: int) -> Spec:
        """The draw of layer ``number``, from 1; its bias is not used."""
        sizes = self.sizes[number - 1 : number + 1]
        return Spec(Layer("linear", sizes), self.weight, seed=self.seed * 2**16 + number)

    @property
    def counterpart(self) -> Init | None:
        """Orthogonal with the same mean square, or for orthogonal a normal; None for a pattern."""
        layer = self.draws(1).layer
        law = self.weight.law(Slot(layer, "weight"))
        if law.is_discrete:
            return None
        if self.weight.slug == "orthogonal":
            return Init("normal", {"std": law.std})
        root = math.sqrt(law.std**2 + law.mean**2)
        return Init("orthogonal", {"gain": root * math.sqrt(max(layer.matrix_shape))})


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The singular values of one matrix, the largest first, and the law they should follow.

    ``distance`` is the Kolmogorov-Smirnov distance to the law; where the law fixes each value, the
    largest deviation in units of the largest value; nan without a law. Singular values repel each
    other, so that they lie much closer to their law than independent values would: p of them
    within about 1/p.
    """

    kind: Kind
    depth: int
    values: Array
    law: Law | None
    distance: float

    @property
    def largest(self) -> float:
        return float(self.values[0])

    @property
    def smallest(self) -> float:
        """The smallest; nan where float64 cannot resolve it beside the largest."""
        value = float(self.values[-1])
        return value if value > _FLOAT_LIMIT * self.largest else math.nan

    @property
    def condition(self) -> float:
        """Largest ÷ smallest; nan where the smallest is 0 or not resolved."""
        return self.largest / self.smallest

    @property
    def mean_square(self) -> float:
        return self.largest * (self.largest * float(self._relative.mean()))

    @property
    def dispersion(self) -> float:
        """The relative variance of the squares: mean of s⁴ ÷ (mean of s²)², minus 1."""
        if not self.largest:
            return math.nan
        return float((self._relative**2).mean() / self._relative.mean() ** 2) - 1

    @property
    def _relative(self) -> Array:
        """Squares, in units of the largest, so that none overflows."""
        return np.asarray((self.values / (self.largest or 1.0)) ** 2)


@dataclass(frozen=True)
class Expected:
    """What theory says of a Jacobian: mean and relative variance of the squared singular values.

    ``dispersion`` is None where the layers are not square. Source: Pennington et al. 2017, eq. 15
    to 22, with each layer's own length of the signal.
    """

    mean_square: float
    dispersion: float | None


@dataclass(frozen=True, eq=False)
class Spectra:
    """All spectra of a spec: of the first weight, and of products and Jacobians by depth.

    ``overflow`` is the layer at which float64 overflowed, if one did; they end before it.
    """

    spec: SpectrumSpec
    weight: Spectrum
    products: tuple[Spectrum, ...]
    jacobians: tuple[Spectrum, ...]
    overflow: int | None

    @property
    def product(self) -> Spectrum:
        return self.products[-1]

    @property
    def jacobian(self) -> Spectrum:
        return self.jacobians[-1]

    def of(self, kind: Kind) -> Spectrum:
        return {"weight": self.weight, "product": self.product, "jacobian": self.jacobian}[kind]

    def growth(self, kind: Kind) -> float:
        """The factor per layer by which the condition number grows with depth.

        Least squares of ln(condition) over the depths at which it is resolved; nan for under two.
        """
        part = self.jacobians if kind == "jacobian" else self.products
        points = [(one.depth, one.condition) for one in part if not math.isnan(one.condition)]
        if len(points) < 2:
            return math.nan
        depths, conditions = np.array(points).T
        return float(math.exp(np.polynomial.polynomial.polyfit(depths, np.log(conditions), 1)[1]))


def depths_of(depth: int) -> tuple[int, ...]:
    """Which depths are decomposed: all of a few, or else about evenly spread in the logarithm."""
    if depth <= _MOST_DEPTHS:
        return tuple(range(1, depth + 1))
    spread = np.geomspace(1, depth, 2 * _MOST_DEPTHS).round().astype(int)
    return tuple(sorted({int(n) for n in spread}))


def measure_spectra(spec: SpectrumSpec, progress: Progress | None = None) -> Spectra:
    """Draw the layers and decompose the weight, the products and the Jacobians.

    The Jacobian of layer ℓ's activations with respect to the input is D_ℓ W_ℓ … D_1 W_1, where D
    holds the activation's slopes at one input. ``progress`` is told of the share of layers done;
    what it raises ends the work.
    """
    chain, depths = _Chain(spec), depths_of(spec.depth)
    parts: list[tuple[Spectrum, Spectrum]] = []
    overflow = None
    # Matrices this small gain little from several threads, which other visitors need.
    with workers(1) as worker:
        weight = worker.submit(chain.weight).result()
        for layer in range(1, spec.depth + 1):
            if progress:
                progress((layer - 1) / spec.depth, f"layer {layer} of {spec.depth}")
            if not worker.submit(chain.add, layer).result():
                overflow = layer
                break
            if layer in depths:
                parts.append(worker.submit(chain.spectra, layer).result())
    products, jacobians = zip(*parts, strict=True)
    return Spectra(spec, weight, products, jacobians, overflow)


class _Chain:
    """The product and the Jacobian of the layers so far, at one input of white noise."""

    def __init__(self, spec: SpectrumSpec) -> None:
        self._spec, self._activation = spec, get_activation(spec.activation)
        generator = torch.Generator().manual_seed(spec.seed * 2**16)
        self._signal = torch.randn(spec.inputs, generator=generator, dtype=torch.float64)
        self._product = self._jacobian = torch.eye(spec.inputs, dtype=torch.float64)

    def weight(self) -> Spectrum:
        draw = self._spec.draws(1)
        return spectrum_of("weight", 1, draw_spec(draw).weight, weight_law(draw.weight, draw.layer))

    def add(self, layer: int) -> bool:
        """Multiply a layer in; False where that overflows."""
        weight = draw_spec(self._spec.draws(layer)).weight.double()
        before = weight @ self._signal
        self._signal = self._activation.function(before)
        slopes = torch.from_numpy(self._activation.slopes(before.numpy()))
        self._product = weight @ self._product
        self._jacobian = slopes[:, None] * (weight @ self._jacobian)
        both = (float(matrix.abs().max()) for matrix in (self._product, self._jacobian))
        return all(largest < _LARGEST for largest in both)

    def spectra(self, depth: int) -> tuple[Spectrum, Spectrum]:
        law = product_law(self._spec, depth)
        of_jacobian = law if self._spec.activation == "linear" else None
        return (
            spectrum_of("product", depth, self._product, law),
            spectrum_of("jacobian", depth, self._jacobian, of_jacobian),
        )


def spectrum_of(kind: Kind, depth: int, matrix: Tensor, law: Law | None) -> Spectrum:
    """A matrix's singular values, and how far from a law; raises as ``singular_values``."""
    values = singular_values(matrix)
    distance = math.nan
    if law is not None and law.is_discrete:
        exact = law.quantile((np.arange(len(values), 0, -1) - 0.5) / len(values))
        distance = float(np.abs(values - exact).max()) / (float(exact[0]) or 1.0)
    elif law is not None:
        # The law's own cdf makes its values uniform, whatever their scale and however skew.
        even = torch.from_numpy(law.cdf(values))
        uniform = Uniform(0.0, 1.0)
        distance = ks_bracket(measure(even, grid_for(uniform, len(values), "float64")), uniform)[0]
    return Spectrum(kind, depth, values, law, distance)


def expected_jacobian(spec: SpectrumSpec, depth: int) -> Expected | None:
    """What theory says of the Jacobian of the first ``depth`` layers, for large widths.

    Squared singular values of independent factors multiply: their means do, and for square factors
    their relative variances add. None for a pattern, and for entries of a mean other than 0.
    """
    activation = get_activation(spec.activation)
    length, total, dispersion = 1.0, 1.0, 0.0
    for layer in range(1, depth + 1):
        slot = Slot(spec.draws(layer).layer, "weight")
        law = spec.weight.law(slot)
        if law.is_discrete or not _centred(law):
            return None
        rows, columns = slot.layer.matrix_shape
        q = columns * law.std**2 * length
        mean, squared = _slopes(activation, q)
        if not mean > 0:
            return None
        total *= rows * law.std**2 * mean
        dispersion += squared / mean**2 - 1 + (0 if isinstance(law, HaarCoordinate) else 1)
        length = float(meanfield.second_moment(activation, q))
    smaller = min(spec.inputs, spec.width)
    square = spec.inputs == spec.width
    return Expected(total * spec.inputs / smaller, dispersion if square else None)


def _slopes(activation: Activation, q: float) -> tuple[float, float]:
    """E f'(√q z)² and E f'(√q z)⁴."""
    slopes = activation.slopes(math.sqrt(q) * NODES)
    return float(slopes**2 @ WEIGHTS), float(slopes**4 @ WEIGHTS)


# --- in words and as plain data -----------------------------------------------------------------


def verdict(spectra: Spectra, kind: Kind) -> str:
    """What the spectrum shows, in a few sentences with its numbers."""
    part, spec = spectra.of(kind), spectra.spec
    what = {
        "weight": "the weight",
        "product": f"the product of {part.depth} layers",
        "jacobian": f"the Jacobian of {part.depth} {spec.activation} layers",
    }[kind]
    text = f"The {len(part.values):,} singular values of {what} "
    if isinstance(part.law, Constant) and part.distance < 1e-4:
        text += f"all equal {number(part.law.value)}, within {number(part.distance, 2)} of it."
    elif part.largest == 0:
        text += "are all 0: nothing passes."
    elif isinstance(part.law, Pattern):
        text += f"are 0 but for one of {number(part.largest)}: the matrix has rank 1."
    else:
        text += f"run from {number(float(part.values[-1]))} to {number(part.largest)}"
        text += ", the smallest lost in float64" if math.isnan(part.condition) else ""
        text += (
            "."
            if part.law is None
            else (
                f"; their law is the {part.law.notation}, at a KS distance of "
                f"{number(part.distance, 2)}."
            )
        )
    alone = outlier(spec.weight, spec.draws(1).layer) if kind == "weight" else 0.0
    if alone:
        text += f" One stands apart: the entries' mean alone makes {number(alone)}."
    if not math.isnan(part.condition):
        text += f" Condition number {number(part.condition)}."
    growth = math.nan if kind == "weight" else spectra.growth(kind)
    if growth < 1.001:
        text += " Depth leaves it as it is: every direction passes alike."
    elif not math.isnan(growth):
        text += f" Each layer multiplies the condition number by about {number(growth, 3)}."
    if spectra.overflow and kind != "weight":
        text += f" Layer {spectra.overflow} overflows float64."
    return text


def as_dict(spectra: Spectra) -> dict[str, Any]:
    """The spectra as plain data for JSON, in full precision; what is not finite is None."""
    spec = spectra.spec

    def plain(part: Spectrum) -> dict[str, Any]:
        return {
            "depth": part.depth,
            "values": part.values.tolist(),
            "law": part.law.notation if part.law else None,
            "distance": part.distance,
            "condition": part.condition,
            "mean_square": part.mean_square,
        }

    expected = expected_jacobian(spec, spec.depth)
    data = {
        "scheme": spec.weight.slug,
        "params": dict(spec.weight.params),
        "inputs": spec.inputs,
        "width": spec.width,
        "depth": spec.depth,
        "activation": spec.activation,
        "seed": spec.seed,
        "torch_version": torch.__version__,
        "weight": plain(spectra.weight),
        "products": [plain(part) for part in spectra.products],
        "jacobians": [plain(part) for part in spectra.jacobians],
        "overflow": spectra.overflow,
        "growth": {kind: spectra.growth(kind) for kind in ("product", "jacobian")},
        "expected_jacobian": asdict(expected) if expected else None,
    }
    result = finite(data)
    assert isinstance(result, dict)
    return result


def csv(spectra: Spectra) -> str:
    """All singular values, a line each, below a line of names."""
    lines = ["matrix,depth,index,singular_value"]
    for part in (spectra.weight, *spectra.products, *spectra.jacobians):
        head = f"{part.kind},{part.depth}"
        lines += [f"{head},{index},{float(v)!r}" for index, v in enumerate(part.values)]
    return "\n".join([*lines, ""])


def snippet(spec: SpectrumSpec, kind: Kind) -> str:
    """Code that measures the same spectrum, without a final newline."""
    params = f", {dict(spec.weight.params)}" if spec.weight.params else ""
    names = ("inputs", "width", "depth", "activation", "seed")
    values = [f"{name}={getattr(spec, name)!r}".replace("'", '"') for name in names]
    return "\n".join(
        [
            "from initcore import Init",
            "from initcore.spectrum import SpectrumSpec, measure_spectra",
            "",
            f'weight = Init("{spec.weight.slug}"{params})',
            f"spec = SpectrumSpec(weight, {', '.join(values)})",
            f'spectrum = measure_spectra(spec).of("{kind}")',
            "print(spectrum.values, spectrum.condition)",
        ]
    )
