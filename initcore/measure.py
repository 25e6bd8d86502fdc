"""Measure: everything anyone wants to know of a tensor's values, from one exact pass.

>>> import torch
>>> m = measure(torch.arange(5.0))
>>> m.count, m.min, m.max, round(m.mean, 4), round(m.std, 4)
(5, 0.0, 4.0, 2.0, 1.5811)

A measurement holds counts, extremes, central power sums and a fine histogram on edges known in
advance. Two measurements on the same edges merge, in any order, so that blocks, threads, shards and
machines give one answer. Quantiles, the display histogram and the Kolmogorov-Smirnov distance
(``initcore.fit``) are derived from it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from threading import Barrier, Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d

from initcore.counting import Counter, Counts, FloatCounter, LateCounter, PatternCounter
from initcore.draw import DTYPES, Stream
from initcore.errors import InitError
from initcore.laws import LARGEST, SMALLEST, Law

Floats = npt.NDArray[np.floating[Any]]
Array = npt.NDArray[np.float64]
_Ends = tuple[float, float]  # the smallest value and the largest

# √n·D of the 5 % critical value of the Kolmogorov-Smirnov test.
CRITICAL_5 = 1.358

# Rows of up to these lengths are summed in float32, and the rows in float64: kurtosis is within
# 1e-8. Of more than 500 rows np.vecdot lets other threads run, and waiting for one that does not
# costs them more than the shorter rows do.
_LONG_ROW, _ROW = 1024, 256
# Below and above these magnitudes a fourth power leaves float32: such values are rescaled first.
_TINY, _HUGE = 1e-6, 1e6
# So many values stay in the processor's cache from the first look at them to the last; twice as
# many have rows enough for other threads.
_PART, _THREADED_PART = 2**16, 2**17
_BLOCK = 2**22
# The most bins that are counted fast, with room for the ones that edges at ±mark and rounding add.
_FAST_BINS = 2**15 - 8


# --- grids: the edges a histogram is counted on --------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """``bins`` equal bins from ``first * width`` on. Values outside are counted apart.

    The edges are multiples of the width, so that zero is one of them wherever the grid spans it.
    """

    first: int
    bins: int
    width: float

    @property
    def low(self) -> float:
        return self.first * self.width

    @property
    def high(self) -> float:
        return (self.first + self.bins) * self.width

    @property
    def edges(self) -> Array:
        return np.arange(self.first, self.first + self.bins + 1, dtype=np.float64) * self.width

    @property
    def slack(self) -> float:
        """How far rounding of the float32 bin index can carry a value across an edge."""
        return 4 * 2.0**-24 * (max(abs(self.low), abs(self.high)) + self.high - self.low)

    def fits(self, dtype: str) -> bool:
        return DTYPES[dtype].itemsize > 2

    def reaching(self, low: float, high: float) -> Grid:
        """The same edges and more of them, so that both values lie inside.

        Where that makes too many to count fast, every other edge is left out, again and again.
        """
        first, last = math.floor(low / self.width), math.floor(high / self.width)
        # The quotients are rounded.
        first -= first * self.width > low
        last += (last + 1) * self.width <= high
        return self._over(min(first, self.first), max(last + 1, self.first + self.bins))

    def joined(self, other: Grid) -> Grid | None:
        """The edges that two grids share, if both have grown out of one; else None."""
        fine, wide = sorted((self, other), key=lambda grid: grid.width)
        times = wide.width / fine.width
        if math.frexp(times)[0] != 0.5:  # no power of two
            return None
        first, end = fine.first // int(times), -(-(fine.first + fine.bins) // int(times))
        return wide._over(min(first, wide.first), max(end, wide.first + wide.bins))

    def _over(self, first: int, end: int) -> Grid:
        width = self.width
        while end - first > _FAST_BINS:
            first, end, width = first // 2, -(-end // 2), 2 * width
        return Grid(first, end - first, width)

    @classmethod
    def spanning(cls, low: float, high: float, count: int, mark: float | None = None) -> Grid:
        """The grid for ``count`` values in [low, high], fine enough for a tight KS bracket.

        Each bin adds its share of the law to the bracket's gap, which must be small beside the 5 %
        critical value: a twentieth of it, or a tenth where that makes bins few enough to count
        fast. ``±mark``, if wider than a bin, are made edges, so that what lies beyond is counted
        exactly.
        """
        # A little wider, so that no value sits on the last edge; a point still needs a width, of
        # which float32 can hold the reciprocal.
        margin = max(1e-6 * (high - low) or 1e-3 * abs(low), 1e-33)
        low, high = low - margin, high + margin
        for_gap = math.sqrt(count) / CRITICAL_5
        bins = max(min(for_gap / 0.05, _FAST_BINS), for_gap / 0.095)
        width = (high - low) / min(max(math.ceil(bins), 2**12), 2**17)
        if mark and mark > width:
            width = mark / math.ceil(mark / width)
        first = math.floor(low / width)
        return cls(first, math.ceil(high / width) - first, width)

    @classmethod
    def of_law(cls, law: Law, count: int, mark: float | None = None) -> Grid:
        """The grid known from the law alone, before any value is drawn."""
        low, high = law.low, law.high
        # A support far wider than the mass, infinite or not, would waste the bins.
        if low < law.mean - 8 * law.std:
            low = float(law.quantile(1e-10))
        if high > law.mean + 8 * law.std:
            high = float(law.quantile(1 - 1e-10))
        return cls.spanning(low, high, count, mark)


@dataclass(frozen=True)
class HalfGrid:
    """One bin for each finite value of a 16-bit float type: its histogram loses nothing."""

    dtype: str

    @property
    def values(self) -> Array:
        return _half_table(self.dtype)[0]

    @property
    def edges(self) -> Array:
        """The midpoints between neighbouring values: where rounding to the type turns over."""
        values = self.values
        inner = (values[1:] + values[:-1]) / 2
        return np.concatenate([[values[0]], inner, [np.nextafter(values[-1], np.inf)]])

    @property
    def slack(self) -> float:
        return 0.0

    def fits(self, dtype: str) -> bool:
        return dtype == self.dtype


@lru_cache(maxsize=2)
def _half_table(dtype: str) -> tuple[Array, npt.NDArray[np.int64]]:
    """The sorted finite values of a 16-bit type, and each bit pattern's place among them.

    Patterns are read as uint16; the place of nan and the infinities is -1.
    """
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    all_values = bits.view(DTYPES[dtype]).double().numpy()
    finite = np.isfinite(all_values)
    values, inverse = np.unique(all_values[finite], return_inverse=True)
    place = np.full(2**16, -1, dtype=np.int64)
    place[finite] = inverse
    return values, place


# --- the measurement ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Measurement:
    """Statistics of a tensor's values.

    ``count`` is the number of entries and ``nonfinite`` how many of them are nan or infinite;
    everything else is of the finite ones. ``sums`` are the central power sums
    Σ(x−mean)² , Σ(x−mean)³, Σ(x−mean)⁴. ``counts`` is the histogram on ``grid``, ``below`` and
    ``above`` what lies outside it. Units are those of the weights.
    """

    grid: Grid | HalfGrid
    dtype: str
    count: int
    nonfinite: int
    zeros: int
    min: float
    max: float
    mean: float
    sums: tuple[float, float, float]
    counts: Counts
    below: int = 0
    above: int = 0

    @property
    def finite(self) -> int:
        return self.count - self.nonfinite

    @property
    def std(self) -> float:
        """Sample standard deviation (n − 1), as ``tensor.std()``; nan for fewer than 2 values."""
        return math.sqrt(self.sums[0] / (self.finite - 1)) if self.finite > 1 else math.nan

    @property
    def skewness(self) -> float:
        """Third standardised moment: 0 for a symmetric law; nan where all values are equal."""
        if not self.sums[0]:
            return math.nan
        return self.sums[1] / self.finite / math.pow(self.sums[0] / self.finite, 1.5)

    @property
    def kurtosis(self) -> float:
        """Fourth standardised moment: 1.8 for a uniform, 3 for a normal; nan if all are equal."""
        if not self.sums[0]:
            return math.nan
        # Of two equal parts it is 1, the least there is, which rounding must not undercut.
        return max(self.sums[2] / self.finite / (self.sums[0] / self.finite) ** 2, 1.0)

    def merge(self, other: Measurement) -> Measurement:
        """The measurement of both tensors together. Source of the sums: Pébay 2008, SAND2008-6212.

        Raises InitError when dtypes differ, or edges that have not grown out of one grid.
        """
        if self.grid != other.grid or self.dtype != other.dtype:
            grid = None
            if isinstance(self.grid, Grid) and isinstance(other.grid, Grid):
                grid = self.grid.joined(other.grid)
            outside = self.below or self.above or other.below or other.above
            if grid is None or outside or self.dtype != other.dtype:
                raise InitError(f"cannot merge measurements on {self.grid} and {other.grid}")
            return self.on(grid).merge(other.on(grid))
        mean, sums = _merge_moments(
            (self.finite, self.mean, self.sums), (other.finite, other.mean, other.sums)
        )
        return Measurement(
            grid=self.grid,
            dtype=self.dtype,
            count=self.count + other.count,
            nonfinite=self.nonfinite + other.nonfinite,
            zeros=self.zeros + other.zeros,
            min=float(np.fmin(self.min, other.min)),
            max=float(np.fmax(self.max, other.max)),
            mean=mean,
            sums=sums,
            counts=self.counts + other.counts,
            below=self.below + other.below,
            above=self.above + other.above,
        )

    def on(self, grid: Grid) -> Measurement:
        """The same measurement on a grid that reaches as far, of some of the edges."""
        assert isinstance(self.grid, Grid)
        times, first = int(grid.width / self.grid.width), self.grid.first
        held = np.flatnonzero(self.counts)
        counts = np.zeros(grid.bins, np.int64)
        # Of a grid that grew out of a single value, the numbers of edges leave 64 bits.
        places = [(first + at) // times - grid.first for at in held.tolist()]
        np.add.at(counts, places, self.counts[held])
        return replace(self, grid=grid, counts=counts)

    def coarser(self, bins: int) -> Measurement:
        """The same measurement on about ``bins`` bins, each a whole number of the old ones.

        What is derived from it costs less and stays true, if less sharp. 16-bit types keep theirs.
        """
        if not isinstance(self.grid, Grid) or (times := self.grid.bins // bins) < 2:
            return self
        skip = -self.grid.first % times
        bins = (self.grid.bins - skip) // times
        end = skip + bins * times
        return replace(
            self,
            grid=Grid((self.grid.first + skip) // times, bins, self.grid.width * times),
            counts=self.counts[skip:end].reshape(bins, times).sum(axis=1),
            below=self.below + int(self.counts[:skip].sum()),
            above=self.above + int(self.counts[end:].sum()),
        )

    @cached_property
    def cumulative(self) -> Counts:
        """How many values lie below each edge of the grid; one longer than ``counts``."""
        return self.below + np.concatenate([[0], np.cumsum(self.counts)])

    def quantile(self, p: npt.ArrayLike) -> Array:
        """Quantiles, exact to the width of one bin of the grid."""
        steps = np.concatenate([self.cumulative, [self.finite]])
        edges = np.concatenate([self.grid.edges, [self.max]])
        at = np.searchsorted(steps, np.asarray(p, dtype=float) * self.finite, side="left")
        return np.clip(edges[np.minimum(at, len(edges) - 1)], self.min, self.max)  # type: ignore[no-any-return]

    def outside(self, bound: float) -> int:
        """How many values lie beyond ±bound.

        Exact where the bound is an edge (see ``Grid.spanning``), but for values within the grid's
        slack of it; else exact to one bin.
        """
        edges, slack = self.grid.edges, self.grid.slack
        above = int(np.searchsorted(edges, bound - slack))
        below = int(np.searchsorted(edges, -bound + slack, side="right")) - 1
        count = 0
        # A value equal to the bound, after rounding to the dtype, is inside.
        rounded = float(torch.tensor(bound, dtype=DTYPES[self.dtype]))
        if self.max > rounded:
            count += self.finite - int(self.cumulative[min(above, len(edges) - 1)])
        if self.min < -rounded:
            count += int(self.cumulative[max(below, 0)])
        return count

    def histogram(self, low: float, high: float, bins: int) -> tuple[Array, Counts]:
        """The histogram for display: (edges, counts) on about ``bins`` bins of [low, high].

        Its edges are edges of the fine grid, so that every count is exact.
        """
        fine = self.grid.edges
        inner = np.searchsorted(fine, np.linspace(low, high, bins + 1)[1:-1])
        first = min(max(int(np.searchsorted(fine, low, side="right")) - 1, 0), len(fine) - 2)
        last = max(min(int(np.searchsorted(fine, high)), len(fine) - 1), first + 1)
        at = np.unique([first, *np.clip(inner, first, last), last])
        return fine[at], np.diff(self.cumulative[at])


_Moments = tuple[int, float, tuple[float, float, float]]


def _central(n: int, raw: Array, shift: float, unit: float) -> _Moments:
    """The moments of ``n`` values from the raw ones of (values − shift) ÷ unit, first to fourth."""
    m1, m2, m3, m4 = raw.tolist()
    second = max(m2 - m1**2, 0.0)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = max(m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4, 0.0)
    return n, shift + unit * m1, (n * second * unit**2, n * third * unit**3, n * fourth * unit**4)


def _merge_moments(a: _Moments, b: _Moments) -> tuple[float, tuple[float, float, float]]:
    (n1, mean1, (s1, t1, u1)), (n2, mean2, (s2, t2, u2)) = a, b
    if not n1 or not n2:
        return (mean1, a[2]) if n1 else (mean2, b[2])
    n = n1 + n2
    d = mean2 - mean1
    second = s1 + s2 + d**2 * n1 * n2 / n
    third = t1 + t2 + d**3 * n1 * n2 * (n1 - n2) / n**2 + 3 * d * (n1 * s2 - n2 * s1) / n
    fourth = (
        u1
        + u2
        + d**4 * n1 * n2 * (n1**2 - n1 * n2 + n2**2) / n**3
        + 6 * d**2 * (n1**2 * s2 + n2**2 * s1) / n**2
        + 4 * d * (n1 * t2 - n2 * t1) / n
    )
    return mean1 + d * n2 / n, (second, third, fourth)


class Room:
    """Memory for intermediate values, kept from block to block: to take it anew costs time.

    It begins on a cache line, which numpy's own does not: 20 % faster.
    """

    def __init__(self) -> None:
        self._held: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def shaped(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Floats:
        size = math.prod(shape) * dtype.itemsize
        if len(self._held) < size:
            self._held = torch.empty(size, dtype=torch.uint8).numpy()
        return self._held[:size].view(dtype).reshape(shape)


# --- the heat map: a matrix reduced so that its extremes survive ---------------------------------


@dataclass
class Heat:
    """A matrix of any size as at most ``side`` × ``side`` cells, with its extremes kept.

    Each cell holds the sum, the smallest and the largest of its entries (nan where one is nan);
    ``argmin`` and ``argmax`` are the flat positions of the extremes in the matrix. Heats of parts
    of one matrix merge in any order.
    """

    rows: int
    columns: int
    cell: tuple[int, int]
    total: Floats
    low: Floats
    high: Floats
    argmin: tuple[float, int] = (math.inf, -1)
    argmax: tuple[float, int] = (-math.inf, -1)

    @classmethod
    def empty(cls, shape: tuple[int, int], side: int) -> Heat:
        rows, columns = shape
        cell = (-(-rows // side), -(-columns // side))
        size = (-(-rows // cell[0]), -(-columns // cell[1]))
        return cls(
            rows,
            columns,
            cell,
            np.zeros(size, np.float32),
            np.full(size, np.inf, np.float32),
            np.full(size, -np.inf, np.float32),
        )

    @property
    def is_exact(self) -> bool:
        """Whether every cell is one entry."""
        return self.cell == (1, 1)

    @property
    def mean(self) -> Floats:
        """The mean of each cell."""
        heights = np.full(self.total.shape[0], self.cell[0])
        heights[-1] = self.rows - self.cell[0] * (len(heights) - 1)
        widths = np.full(self.total.shape[1], self.cell[1])
        widths[-1] = self.columns - self.cell[1] * (len(widths) - 1)
        return (self.total / np.outer(heights, widths)).astype(np.float32)

    @property
    def extreme(self) -> Floats:
        """The entry of each cell that lies farthest from zero, with its sign."""
        return np.where(np.abs(self.low) > np.abs(self.high), self.low, self.high)

    def position(self, flat: int) -> tuple[int, int]:
        return divmod(flat, self.columns)

    def whole_bands(self, size: int) -> int:
        """The most entries up to ``size`` that end where cells do, which is faster to take in."""
        band = self.cell[0] * self.columns
        return size // band * band or size

    def merge(self, other: Heat) -> Heat:
        return Heat(
            self.rows,
            self.columns,
            self.cell,
            self.total + other.total,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            min(self.argmin, other.argmin),
            max(self.argmax, other.argmax, key=lambda end: (end[0], -end[1])),
        )

    @np.errstate(over="ignore", invalid="ignore")  # as in ``add``
    def coarser(self, side: int) -> Heat:
        """The same on at most ``side`` × ``side`` cells, each a whole number of the old ones."""
        down, across = (-(-count // side) for count in self.total.shape)

        def reduced(reduce: np.ufunc, cells: Floats) -> Floats:
            bands = reduce.reduceat(cells, np.arange(0, len(cells), down), axis=0)
            return reduce.reduceat(bands, np.arange(0, cells.shape[1], across), axis=1)

        return replace(
            self,
            cell=(self.cell[0] * down, self.cell[1] * across),
            total=reduced(np.add, self.total),
            low=reduced(np.minimum, self.low),
            high=reduced(np.maximum, self.high),
        )

    @np.errstate(over="ignore", invalid="ignore")  # the sum of a cell may be infinite or nan
    def add(
        self,
        offset: int,
        values: Floats,
        then: Callable[[Floats], None] | None = None,
        room: Room | None = None,
    ) -> tuple[float, float, float]:
        """Take in a flat run of entries that starts at ``offset`` in the matrix.

        Returns the run's sum and its smallest and largest entry, nan if one is nan. ``then`` is
        called with each part of the run while it is in the processor's cache.
        """
        total, low, high = 0.0, math.inf, -math.inf
        at = 0
        height = self.cell[0]
        while at < len(values):
            row, column = divmod(offset + at, self.columns)
            rows = (len(values) - at) // self.columns
            if column or not rows:  # part of a row
                size = min(self.columns - column, len(values) - at)
                run = values[at : at + size]
                part = self._add_run(row, column, run)
                self._track_extremes(offset + at, run, *part[1:])
                if then:
                    then(run)
            else:  # whole bands of cells, or the rows up to the next band
                in_band = height - row % height
                rows = rows - rows % height if in_band == height <= rows else min(rows, in_band)
                size = rows * self.columns
                block = values[at : at + size].reshape(rows, -1)
                part = self._add_rows(row, block, then, room or Room())
            total += part[0]
            low, high = float(np.minimum(low, part[1])), float(np.maximum(high, part[2]))
            at += size
        return total, low, high

    def _track_extremes(self, offset: int, values: Floats, low: float, high: float) -> None:
        argmin, argmax = np.argmin, np.argmax
        if math.isnan(low):
            if np.isnan(values).all():
                return
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            argmin, argmax = np.nanargmin, np.nanargmax  # three times as slow
        # The position is looked up only when the extreme moves, which becomes rare quickly.
        if (low, offset) < self.argmin:
            self.argmin = (low, offset + int(argmin(values)))
        if (-high, offset) < (-self.argmax[0], self.argmax[1]):
            self.argmax = (high, offset + int(argmax(values)))

    def _add_rows(
        self, first: int, block: Floats, then: Callable[[Floats], None] | None, room: Room
    ) -> tuple[float, float, float]:
        height = min(self.cell[0], len(block))
        bands = block.reshape(-1, height, self.columns)
        if height == 1:
            total, extremes = block, np.stack([block, block])
            if then:
                then(block.reshape(-1))
        else:
            columns = room.shaped((3, len(bands), self.columns), block.dtype)
            total, extremes = columns[0], columns[1:]
            # A product with ones sums faster than add.reduce and add.reduceat.
            ones = np.ones((1, height), block.dtype)
            step = max(_PART // bands[0].size, 1)
            for at in range(0, len(bands), step):
                part, to = bands[at : at + step], slice(at, at + step)
                np.matmul(ones, part, out=total[to, None])
                np.minimum.reduce(part, axis=1, out=extremes[0, to])
                np.maximum.reduce(part, axis=1, out=extremes[1, to])
                if then:
                    then(part.reshape(-1))
        if self.cell[1] > 1:
            total, extremes = self._sum_across(total), self._extremes_across(extremes)
        low, high = extremes
        band = first // self.cell[0]
        ends = self._combine(slice(band, band + len(bands)), slice(None), total, low, high)
        offset = first * self.columns
        if math.isnan(ends[1]):
            self._track_extremes(offset, block.reshape(-1), *ends[1:])
            return ends
        # Where an extreme is, is looked for in its band alone.
        lowest, highest = low.argmin() // low.shape[1], high.argmax() // high.shape[1]
        for at, only in ((int(lowest), (ends[1], -math.inf)), (int(highest), (math.inf, ends[2]))):
            values = bands[at].reshape(-1)
            self._track_extremes(offset + at * len(values), values, *only)
        return ends

    def _sum_across(self, bands: Floats) -> Floats:
        width = self.cell[1]
        whole = self.columns - self.columns % width
        cells = bands[:, :whole].reshape(len(bands), -1, width) @ np.ones(width, bands.dtype)
        if whole == self.columns:
            return cells
        return np.concatenate([cells, bands[:, whole:].sum(axis=1, keepdims=True)], axis=1)

    def _extremes_across(self, bands: Floats) -> Floats:
        """The smallest and the largest of each cell, from those of its columns: they are used up.

        Of both in one call, which is four times as fast as maximum.reduceat.
        """
        np.negative(bands[0], out=bands[0])
        columns = torch.from_numpy(bands.reshape(-1, self.columns))
        cells: Floats = max_pool1d(columns, self.cell[1], ceil_mode=True).numpy()
        cells = cells.reshape(2, bands.shape[1], -1)
        np.negative(cells[0], out=cells[0])
        return cells

    def _add_run(self, row: int, column: int, run: Floats) -> tuple[float, float, float]:
        width = self.cell[1]
        first = column // width
        starts = np.arange(first * width, column + len(run), width) - column
        starts[0] = 0
        cells = [f.reduceat(run, starts)[None] for f in (np.add, np.minimum, np.maximum)]
        band = row // self.cell[0]
        return self._combine(slice(band, band + 1), slice(first, first + len(starts)), *cells)

    def _combine(
        self, bands: slice, cells: slice, total: Floats, low: Floats, high: Floats
    ) -> tuple[float, float, float]:
        self.total[bands, cells] += total
        self.low[bands, cells] = np.minimum(self.low[bands, cells], low)
        self.high[bands, cells] = np.maximum(self.high[bands, cells], high)
        return float(total.sum(dtype=np.float64)), float(low.min()), float(high.max())


# --- one pass -----------------------------------------------------------------------------------


class _Tally:
    """The power sums, the zeros, the ends and the bins of one block's values, taken in by parts.

    summed: whether their sum is known from elsewhere, and computed here only of scaled values.
    bounded: whether their ends are. threaded: as in ``measure``.
    low, high: the ends of all values so far, since the last ``forget``; nan if one is nan.
    counter: of the values in each bin, and in one more on either side: rounding can carry those
    near an end past it.
    """

    def __init__(
        self, grid: Grid, dtype: str, *, summed: bool, bounded: bool, threaded: bool
    ) -> None:
        self._grid, self._dtype = grid, np.dtype(dtype)
        self._summed, self._bounded, self._threaded = summed, bounded, threaded
        half_width = (grid.high - grid.low) / 2
        self._in_float32 = _TINY < half_width < _HUGE
        # Far from zero the rounding of an index may be wider than a bin.
        self._is_near_zero = abs(grid.low + grid.high) / 2 <= 0.25 * half_width
        self.counter = self._counter()
        self._type = self._dtype
        self._scale = self._dtype.type(1 / grid.width)
        self._start = self._dtype.type(self.counter.origin + 1 - grid.first)
        self._room = Room()
        self._scratch: dict[tuple[int, ...], tuple[Floats, Floats, Floats]] = {}
        self._about: tuple[float, float] | None = None
        self.forget()

    def forget(self) -> None:
        """Look for the ends anew."""
        self.low, self.high = math.inf, -math.inf
        self._inside = self._dtype.type(0)  # the square of what neither end can lie within

    def clear(self, values: Floats, ends: _Ends | None = None) -> None:
        """Begin anew, for these values, finite and from end to end; None: inside the grid."""
        self._powers: list[Floats] = []
        self.taken = self.zeros = 0
        self.counter.clear(len(values))
        low, high = ends or (self._grid.low, self._grid.high)
        self._has_zeros = low <= 0 <= high
        self._clipped = not self._is_near_zero or ends is not None
        # Of the first block alone: others about elsewhere would widen the spread of the whole.
        self._about = self._about or _middle_and_spread(values)
        middle, spread = self._about or (0.0, 0.0)
        self._scaled = not self._in_float32 or abs(middle) > spread / 2 or max(-low, high) > _HUGE
        self._shift, self._unit, dtype = 0.0, 1.0, self._dtype
        if self._scaled:
            # Centre and scale, so that no power over- or underflows or cancels.
            reach = max(high - middle, middle - low)
            if max(abs(middle), reach) > 1e38:
                dtype = np.dtype(np.float64)
            # Both as the dtype holds them, so that they can be undone exactly. The unit is no power
            # of two: x would stay on the dtype's lattice, whose squares round with a bias.
            self._shift = float(dtype.type(middle))
            self._unit = float(dtype.type(reach)) or 1.0
        if dtype != self._type:
            self._type, self._scratch = dtype, {}

    def take(self, values: Floats) -> None:
        """Take in some of the values. Others than ``clear`` was told of spoil the tally."""
        for part in _parts(values, self._threaded):
            self.take_part(part)

    def take_part(self, part: Floats, *, inside: bool = False) -> bool:
        """Take in rows of values, see ``_parts``; if ``inside``, only those inside the grid.

        Returns whether it has.
        """
        x, squares, ones = self._scratch_for(part.shape)
        if self._scaled:
            np.subtract(part, self._shift, out=x, dtype=x.dtype)
            np.divide(x, self._unit, out=x)
        else:
            x = part
        np.square(x, out=squares)
        if not self._bounded:
            low, high = self._ends_with(part, squares)
            if inside and not (self._grid.low <= low and high < self._grid.high):
                return False
            if (low, high) != (self.low, self.high):
                self.low, self.high = low, high
                within = self._dtype.type(min(-low, high))
                self._inside = np.square(max(within, self._dtype.type(0)))
        # Σx to Σx⁴ of each row; the first is left unset where the sum is known from elsewhere.
        powers = np.empty((4, len(x)), self._type)
        if self._scaled or not self._summed:
            np.matmul(x, ones, out=powers[0])
        np.matmul(squares, ones, out=powers[1])
        np.vecdot(squares, x, out=powers[2])
        np.vecdot(squares, squares, out=powers[3])
        self._powers.append(powers)
        if self._has_zeros and (self._scaled or not np.minimum.reduce(squares, axis=None)):
            self.zeros += part.size - int(np.count_nonzero(part))
        self._bins_of(part, out=squares)  # no longer needed
        self.counter.add(squares.reshape(-1))
        self.taken += part.size
        return True

    def _bins_of(self, values: Floats, out: Floats) -> None:
        """The bin each value is counted in, with a fraction."""
        # Each rounds to the dtype, see Grid.slack. In one call, torch.add takes twice as long.
        np.multiply(values, self._scale, out=out)
        np.add(out, self._start, out=out)
        if self._clipped:  # rounding may be wider than a bin
            np.clip(out, self.counter.origin, self.counter.origin + self._grid.bins + 1, out=out)

    def _ends_with(self, part: Floats, squares: Floats) -> _Ends:
        """The ends of all values so far and of a part."""
        # Nearly always a look at the squares tells that they are the same.
        if not self._scaled and np.maximum.reduce(squares, axis=None) < self._inside:
            return self.low, self.high
        low, high = np.minimum.reduce(part, axis=None), np.maximum.reduce(part, axis=None)
        return float(np.minimum(self.low, low)), float(np.maximum(self.high, high))

    def _scratch_for(self, shape: tuple[int, ...]) -> tuple[Floats, Floats, Floats]:
        """Room for two arrays of a shape, kept from part to part, and ones to sum a row with."""
        if shape not in self._scratch:
            x, squares = self._room.shaped((2, *shape), self._type)
            self._scratch[shape] = x, squares, np.ones(shape[1], self._type)
        return self._scratch[shape]

    def moments(self, total: float) -> _Moments:
        """Of all that was taken in, whose sum this is if ``summed``; not finite if one is not."""
        raw = np.concatenate(self._powers, axis=1).sum(axis=1, dtype=np.float64)
        if self._summed and not self._scaled:
            raw[0] = total
        return _central(self.taken, raw / self.taken, self._shift, self._unit)

    def counts_of(self, values: Floats) -> Counts:
        """How many of some values have been counted in each bin, inside the grid or not."""
        bins, counter = np.empty_like(values), self._counter()
        self._bins_of(values, out=bins)
        counter.clear(len(values))
        counter.add(bins)
        return counter.counts

    def _counter(self) -> Counter:
        size = self._grid.bins + 2
        return LateCounter(size) if self._threaded else FloatCounter(size)


class _Pass:
    """The running state of one measurement; ``add`` takes the blocks, ``result`` ends it.

    ends: the extremes of all finite values, if they are known. grows, threaded: as in ``measure``.
    """

    def __init__(
        self,
        grid: Grid | HalfGrid,
        dtype: str,
        heat: Heat | None = None,
        ends: _Ends | None = None,
        grows: bool = False,
        threaded: bool = False,
    ) -> None:
        self.dtype, self.heat, self.ends = dtype, heat, ends
        self.grows, self.threaded = grows, threaded
        self.count = self.nonfinite = self.zeros = self.below = self.above = 0
        self.min, self.max = math.inf, -math.inf
        self.moments: _Moments = (0, 0.0, (0.0, 0.0, 0.0))
        self._room = Room()
        self._patterns: Counter | None = None
        self.counts: Counts
        if isinstance(grid, Grid):
            self._count_on(grid)
        else:
            self.grid: Grid | HalfGrid = grid
            self._patterns = LateCounter(2**16) if threaded else PatternCounter()
            self.counts = np.zeros(2**16, np.int64)

    def _count_on(self, grid: Grid) -> None:
        summed, bounded = self.heat is not None, self.heat is not None or self.ends is not None
        self.grid = grid
        self._tally = _Tally(
            grid, self.dtype, summed=summed, bounded=bounded, threaded=self.threaded
        )
        self.counts = np.zeros(grid.bins + 2, np.int64)

    def add(self, block: Tensor, offset: int) -> None:
        """Take in a flat, contiguous block that starts at ``offset`` of the tensor."""
        self.count += block.numel()
        if self._patterns is None:
            if self.grows:
                self._add_growing(block.numpy())
            else:
                self._add_floats(block.numpy(), offset)
            return
        self._patterns.clear(len(block))
        self._patterns.add(block.view(torch.int16).numpy().view(np.uint16))
        self.counts += self._patterns.counts
        if self.heat:
            self.heat.add(offset, block.float().numpy(), room=self._room)

    @np.errstate(over="ignore", invalid="ignore")  # of values that are sorted out afterwards
    def _add_floats(self, values: Floats, offset: int) -> None:
        grid, tally, total = self.grid, self._tally, 0.0
        assert isinstance(grid, Grid)
        # Nearly always all are finite and inside the grid; to look first would cost a pass.
        tally.clear(values)
        if self.nonfinite or self.below or self.above:
            tally.forget()  # such ends, which these values may not have
        if self.heat:
            total, low, high = self.heat.add(offset, values, tally.take, self._room)
        else:
            tally.take(values)
            low, high = self.ends or (tally.low, tally.high)
        moments = tally.moments(total)
        inside = grid.low <= low and high < grid.high
        if not (inside and math.isfinite(moments[1])):
            finite = values[np.isfinite(values)]
            self.nonfinite += len(values) - len(finite)
            if not len(finite):
                return
            low, high = float(finite.min()), float(finite.max())
            tally.clear(finite, (low, high))
            tally.take(finite)
            moments = tally.moments(float(finite.sum(dtype=np.float64)))
            # In float64: the ends of a grid may lie between two values of the dtype.
            below, above = finite < np.float64(grid.low), finite >= np.float64(grid.high)
            self.below += int(below.sum())
            self.above += int(above.sum())
            self.counts -= tally.counts_of(finite[below | above])
        self._settle(moments, low, high)

    def _settle(self, moments: _Moments, low: float, high: float) -> None:
        """Add up what the tally holds, of values from low to high."""
        self.min, self.max = min(self.min, low), max(self.max, high)
        self.zeros += self._tally.zeros
        self.counts += self._tally.counter.counts
        if low == high:  # no rounding
            moments = moments[0], low, (0.0, 0.0, 0.0)
        self.moments = (self.moments[0] + moments[0], *_merge_moments(self.moments, moments))

    @np.errstate(over="ignore", invalid="ignore")  # as above
    def _add_growing(self, values: Floats) -> None:
        """As ``_add_floats``, part by part: before one that it does not hold, the grid grows."""
        tally = self._tally
        tally.clear(values)
        for part in _parts(values, self.threaded):
            if tally.take_part(part, inside=True):
                continue
            finite = part[np.isfinite(part)]
            self.nonfinite += part.size - len(finite)
            if not len(finite):
                continue
            low, high = float(finite.min()), float(finite.max())
            grid = self.grid
            assert isinstance(grid, Grid)
            if not (grid.low <= low and high < grid.high):
                _check_magnitude(max(-low, high))
                self._settle_growing()
                self._grow(grid.reaching(low, high))
                tally = self._tally
                tally.clear(values)
            tally.take(finite)
        self._settle_growing()

    def _settle_growing(self) -> None:
        tally = self._tally
        if tally.taken:
            self._settle(tally.moments(0.0), tally.low, tally.high)

    def _grow(self, grid: Grid) -> None:
        so_far = self.result()
        self._count_on(grid)
        self.counts[1:-1] = so_far.on(grid).counts

    def result(self) -> Measurement:
        if self._patterns is not None:
            return self._half_result()
        seen = self.moments[0] > 0
        counts = self.counts[1:-1].copy()
        counts[[0, -1]] += self.counts[[0, -1]]
        return Measurement(
            grid=self.grid,
            dtype=self.dtype,
            count=self.count,
            nonfinite=self.nonfinite,
            zeros=self.zeros,
            min=self.min if seen else math.nan,
            max=self.max if seen else math.nan,
            mean=self.moments[1] if seen else math.nan,
            sums=self.moments[2],
            counts=counts,
            below=self.below,
            above=self.above,
        )

    def _half_result(self) -> Measurement:
        values, place = _half_table(self.dtype)
        finite = place >= 0
        counts = np.bincount(
            place[finite], weights=self.counts[finite].astype(float), minlength=len(values)
        ).astype(np.int64)
        n = int(counts.sum())
        present = np.flatnonzero(counts)
        mean = float(counts @ values) / n if n else math.nan
        deviation = values[present] - mean
        second, third, fourth = (float(counts[present] @ deviation**power) for power in (2, 3, 4))
        return Measurement(
            grid=self.grid,
            dtype=self.dtype,
            count=self.count,
            nonfinite=self.count - n,
            zeros=int(counts[values == 0].sum()),
            min=float(values[present[0]]) if n else math.nan,
            max=float(values[present[-1]]) if n else math.nan,
            mean=mean,
            sums=(second, third, fourth),
            counts=counts,
        )


def _parts(values: Floats, threaded: bool) -> list[Floats]:
    """Values as rows to be summed, in parts for the processor's cache; a shorter row comes last."""
    if threaded and len(values) >= _THREADED_PART:
        row, part = _ROW, _THREADED_PART
    else:
        row, part = _row(len(values)), _PART
    if len(values) <= part and not len(values) % row:
        return [values.reshape(-1, row)]
    whole = len(values) - len(values) % row
    rows, size = values[:whole].reshape(-1, row), part // row
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    if whole < len(values):
        parts.append(values[whole:][None])
    return parts


@lru_cache(maxsize=64)
def _row(count: int) -> int:
    """The length of rows that leave nothing of ``count`` values over, if there is one."""
    return next((row for row in range(_LONG_ROW, _ROW // 2, -1) if not count % row), _ROW)


def _middle_and_spread(values: Floats) -> tuple[float, float] | None:
    """The mean, and the mean distance from it, of some of the values; without the extreme ones.

    None where none of them is finite.
    """
    if len(values) >= 64:  # eight runs of eight
        values = values[: len(values) // 8 * 8].reshape(8, -1)[:, :8].ravel()
    # So few are faster in Python.
    some = sorted(value for value in values.tolist() if math.isfinite(value))
    cut = len(some) // 16
    some = some[cut : len(some) - cut]
    if not some:
        return None
    middle = sum(some) / len(some)
    return middle, sum(abs(value - middle) for value in some) / len(some)


def _dtype_name(tensor: Tensor) -> str:
    for name, dtype in DTYPES.items():
        if tensor.dtype == dtype:
            return name
    raise InitError(
        f"dtype {tensor.dtype} cannot be measured: it must be one of {', '.join(DTYPES)}"
    )


def grid_for(law: Law, count: int, dtype: str, mark: float | None = None) -> Grid | HalfGrid:
    """The edges on which ``count`` values of a law are counted."""
    return HalfGrid(dtype) if DTYPES[dtype].itemsize == 2 else Grid.of_law(law, count, mark)


def finite_ends(tensor: Tensor) -> _Ends:
    """The smallest and the largest finite value; (inf, -inf) where there is none."""
    ends = _aminmax(tensor)
    if all(math.isfinite(end) for end in ends):
        return ends
    finite = tensor[torch.isfinite(tensor)]
    return _aminmax(finite) if finite.numel() else (math.inf, -math.inf)


def _aminmax(tensor: Tensor) -> _Ends:
    low, high = torch.aminmax(tensor)
    return float(low), float(high)


def grid_between(low: float, high: float, count: int, dtype: str) -> Grid | HalfGrid:
    """The edges on which ``count`` values from low to high are counted, see ``finite_ends``.

    Raises InitError for magnitudes whose powers leave float64.
    """
    if DTYPES[dtype].itemsize == 2:
        return HalfGrid(dtype)
    if low > high:
        return Grid.spanning(-1.0, 1.0, count)
    _check_magnitude(max(-low, high))
    return Grid.spanning(low, high, count)


def _check_magnitude(largest: float) -> None:
    if largest and not SMALLEST <= largest <= LARGEST:
        raise InitError(
            f"values up to {largest:g} cannot be measured: their fourth powers leave float64; "
            f"scale them into {SMALLEST:g} to {LARGEST:g}"
        )


def grid_to_grow(head: Tensor) -> Grid:
    """A grid for the float32 or float64 values that some of them begin, see ``measure``.

    Half as many bins as are counted fast, somewhat wider than the head: it need seldom grow.
    Raises InitError as ``grid_between`` does.
    """
    low, high = finite_ends(head)
    if low > high:
        low, high = -1.0, 1.0
    _check_magnitude(max(-low, high))
    reach = 0.15 * (high - low)
    return Grid.spanning(low - reach, high + reach, 2**20)


def measure(
    tensor: Tensor,
    grid: Grid | HalfGrid | None = None,
    *,
    heat: Heat | None = None,
    grows: bool = False,
    threaded: bool = False,
) -> Measurement:
    """Measure a tensor of any shape in float32, float64, bfloat16 or float16, on any device.

    The edges are those of ``grid`` (see ``grid_for``), else come from one pass over the extremes.
    ``heat`` (of the tensor as a matrix) is filled in the same pass. ``grows``: where values lie
    outside, the grid grows to reach them (see ``Grid.reaching``); not with a heat map. The parts of
    a tensor merge if their grids have grown out of one. ``threaded``: other threads measure
    meanwhile; let them run more often, at some cost to this one. Raises InitError for other dtypes,
    for an empty tensor and for one on the meta device.
    """
    dtype = _dtype_name(tensor)
    if tensor.is_meta:
        raise InitError("a tensor on the meta device has no values to measure: materialise it")
    if not tensor.numel():
        raise InitError("an empty tensor has no values to measure")
    if grid and not grid.fits(dtype):
        raise InitError(f"a {dtype} tensor cannot be counted on the edges of {grid}")
    flat, ends = tensor.detach().reshape(-1), None
    if grid is None and DTYPES[dtype].itemsize == 2:
        grid = HalfGrid(dtype)
    elif grid is None:
        ends = finite_ends(flat)
        grid = grid_between(*ends, len(flat), dtype)
    run = _Pass(grid, dtype, heat, ends, grows, threaded)
    size = heat.whole_bands(_BLOCK) if heat else _BLOCK
    for start in range(0, len(flat), size):
        run.add(flat[start : start + size].cpu(), start)
    measured = run.result()
    if grows and measured.finite:
        _check_magnitude(max(-measured.min, measured.max))
    return measured


class Progress(Protocol):
    """Is told of the share done, from 0 to 1, and of what is being done ("": as before)."""

    def __call__(self, share: float, now: str = "") -> None: ...


_thread_settings = Lock()
# How long, in seconds, a thread that comes back from numpy may have to wait for one that is in
# Python. The interpreter's 5 ms are a tenth of an audit.
_SWITCH = 1e-4


class _Switching:
    """Shortens that wait while at least one of several has entered."""

    def __init__(self) -> None:
        self._entered, self._before = 0, 0.0

    def __enter__(self) -> None:
        with _thread_settings:
            if not self._entered:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, _SWITCH))
            self._entered += 1

    def __exit__(self, *_: object) -> None:
        with _thread_settings:
            self._entered -= 1
            if not self._entered:
                sys.setswitchinterval(self._before)


_switching = _Switching()


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in which torch starts no others: those would take the cores from one another.

    While they are there, all threads hand on the interpreter's lock sooner.
    """

    def one_thread(_: int) -> None:
        ready.wait()  # so that each thread takes one
        # torch resets the number at a thread's first use: ask for it, then set it.
        torch.get_num_threads()
        torch.set_num_threads(1)

    ready = Barrier(count)
    with _switching, ThreadPoolExecutor(count) as pool:
        with _thread_settings:
            threads = torch.get_num_threads()
            list(pool.map(one_thread, range(count)))
            # It is the default of every new thread, too, unlike the worker's own: restore it.
            torch.set_num_threads(threads)
        yield pool


def measure_stream(
    stream: Stream,
    grid: Grid | HalfGrid,
    *,
    heat: Heat | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Draw and measure a weight that is never held whole.

    Each block is measured in a second thread while the next is drawn. ``progress`` is called with
    the share done, in the caller's thread.
    """
    spec = stream.spec
    run = _Pass(grid, spec.dtype, heat)
    waiting: Future[None] | None = None
    with workers(1) as worker:
        for offset, block in stream:
            if waiting is not None:
                waiting.result()
            waiting = worker.submit(run.add, block, offset)
            if progress:
                progress(offset / spec.layer.count)
        if waiting is not None:
            waiting.result()
    return run.result()
