"""Survey: every tensor of a source measured and identified, piece by piece, on any executor.

>>> from torch import nn
>>> study = survey(nn.Linear(64, 64))[0]
>>> study.place.role, study.identification.family, study.measurement.count
('linear', 'uniform', 4096)

The unit of work is a tensor, or a piece of a large one: a path with a place in the file, or the
values themselves. The pieces depend on the shapes alone and their measurements merge in order, so
that threads, processes and machines give one answer. A worker holds one piece.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import betainc
from torch import Tensor, nn

from initcore.checkpoint import PIECE, Entry, Source, Values, entries, in_pieces
from initcore.draw import DTYPES
from initcore.errors import InitError
from initcore.identify import Identification, identify
from initcore.layers import Layer
from initcore.measure import (
    Grid,
    HalfGrid,
    Measurement,
    Progress,
    finite_ends,
    grid_between,
    grid_to_grow,
    measure,
    workers,
)
from initcore.roles import Index, Place, places

Array = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

# Bins of the histograms that a study keeps: thousands of tensors have one each.
BINS = 256
# Tensors of more values than this are counted on a grid that grows: one pass less. So many of them
# are looked at first.
_LARGE, _HEAD = 2**20, 2**17
# Values kept from the start of a tensor: draws of one seed share them, up to a factor.
_START = 64
# Values of a row or a column that stand for all of it until a full comparison.
_KEY = 8
# Values of a large tensor that its structure is judged by; and of one part of it.
_SAMPLE = 2**19
_PART = 2**20
# Pieces handed to an executor at a time: each may travel with its values.
_WINDOW = 32


@dataclass(frozen=True)
class Block:
    """A part of a tensor that is judged on its own: ``tensor[index]``.

    identification: where the parts differ; None where they are alike, and the tensor's own holds.
    """

    name: str
    index: Index
    measurement: Measurement
    identification: Identification | None = None


@dataclass(frozen=True)
class Repeats:
    """Rows or columns (``axis`` 0 or 1) that equal an earlier one, value by value.

    copies of ``count`` do; the most usual distance between two equal ones is ``lag``; ``pair`` is
    the first two.
    """

    axis: int
    count: int
    copies: int
    lag: int
    pair: tuple[int, int]


@dataclass(frozen=True)
class Study:
    """One tensor after the survey. ``measurement`` is None where it was not measured.

    note: why it was not. absurd: because of magnitudes that leave float64. tied: name of the
    earlier tensor that is the same one in memory. start: the first values that are not zero.
    segments: runs of rows of different scales, where there are several. spikes: how many values
    lie exactly at the smallest and at the largest, where that is more than the law beside them.
    """

    entry: Entry
    place: Place
    measurement: Measurement | None = None
    identification: Identification | None = None
    blocks: tuple[Block, ...] = ()
    segments: tuple[Block, ...] = ()
    repeats: tuple[Repeats, ...] = ()
    start: Array = field(default_factory=lambda: np.empty(0))
    spikes: tuple[int, int] = (0, 0)
    tied: str | None = None
    note: str = ""
    absurd: bool = False

    @property
    def name(self) -> str:
        return self.entry.name


# --- the unit of work ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """What a worker needs: the values start to stop of a tensor, and what the tensor is.

    head: where the first values of the tensor are, if the piece is not all of it.
    """

    number: int
    place: Place
    values: Values
    start: int
    stop: int
    head: Values | None = None

    @property
    def whole(self) -> bool:
        return self.stop - self.start == math.prod(self.place.shape)

    @property
    def row(self) -> int:
        return math.prod(self.place.shape[1:])

    def read(self) -> Tensor:
        return self.values.read(0, self.stop - self.start)

    def read_head(self) -> Tensor:
        return (self.head or self.values).read(0, min(_HEAD, math.prod(self.place.shape)))


@dataclass(frozen=True)
class _Seen:
    """What a worker saw of a piece."""

    measurement: Measurement
    blocks: tuple[Measurement | None, ...]
    start: Array
    row_keys: Keys
    column_keys: Keys
    energies: Array
    rows: Tensor
    columns: Tensor


def _look(piece: _Piece, values: Tensor) -> _Seen:
    """One pass over a piece."""
    place, row = piece.place, piece.row
    binned = DTYPES[place.dtype].itemsize > 2
    grows = binned and (not piece.whole or len(values) > _LARGE)
    grid: Grid | HalfGrid | None = None
    if grows:
        grid = grid_to_grow(piece.read_head())
    elif binned and place.blocks:
        grid = grid_between(*finite_ends(values), len(values), place.dtype)
    parts = [_part(piece, values, index) for _, index in place.blocks]

    def measured_of(part: Tensor) -> Measurement:
        return measure(part, grid, grows=grows, threaded=True)

    blocks = tuple(measured_of(part) if part.numel() else None for part in parts)
    seen = [block for block in blocks if block]
    if seen and sum(part.numel() for part in parts) == len(values):
        measured = reduce(Measurement.merge, seen)
    else:
        measured = measured_of(values)
    nothing: Any = np.empty(0, np.uint64), np.empty(0)
    row_keys = column_keys = nothing[0]
    energies = nothing[1]
    rows, columns = values[:0], values[:0]
    if len(place.shape) > 1 and piece.start % row == 0 and len(values) % row == 0:
        matrix = values.reshape(-1, row)
        row_keys = _keys(matrix)
        if piece.start == 0:
            column_keys = _keys(matrix[:_KEY].T)
        if place.role in _VOCABULARIES:
            wide = matrix if matrix.itemsize > 2 else matrix.float()
            energies = np.vecdot(wide.numpy(), wide.numpy()).astype(np.float64)
        if not piece.whole:
            rows = matrix[_sampled_rows(piece)]
            # A view would keep the whole piece.
            columns = matrix[:, : max(_SAMPLE // place.shape[0], 4)].clone()
    elif piece.start == 0:
        rows = values[:_SAMPLE].clone()
    return _Seen(measured, blocks, _first(values), row_keys, column_keys, energies, rows, columns)


# Tensors whose rows may have been added later.
_VOCABULARIES = ("embedding", "head", "positions")


def _part(piece: _Piece, values: Tensor, index: Index) -> Tensor:
    """The values of a piece that belong to ``tensor[index]``, flat; may be none."""
    row = piece.row
    low, high, _ = index[0].indices(piece.place.shape[0])
    if all(at == slice(None) for at in index[1:]):
        low, high = (min(max(end * row - piece.start, 0), len(values)) for end in (low, high))
        return values[low:high]
    if piece.start % row or len(values) % row:
        return values[:0]
    first = piece.start // row
    matrix = values.reshape(-1, *piece.place.shape[1:])
    low, high = (min(max(end - first, 0), len(matrix)) for end in (low, high))
    return matrix[(slice(low, high), *index[1:])].reshape(-1)


def _sampled_rows(piece: _Piece) -> list[int]:
    """Those of about ``_SAMPLE`` values' worth of rows, from all over the tensor, in this piece."""
    count = piece.place.shape[0]
    step = max(count // max(_SAMPLE // piece.row, 8), 1)
    first, last = piece.start // piece.row, piece.stop // piece.row
    return [at - first for at in range(-(-first // step) * step, last, step)]


def _first(values: Tensor) -> Array:
    head: Array = values[:4096].double().numpy()
    first: Array = head[head != 0][:_START].copy()
    return first


_ODD = np.random.default_rng(0).integers(0, 2**63, _KEY, dtype=np.uint64) * 2 + 1
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def _keys(matrix: Tensor) -> Keys:
    """A number for each row, equal for equal rows; 0 for rows that are short or constant."""
    if matrix.shape[1] < _KEY:
        return np.zeros(len(matrix), np.uint64)
    bits = matrix[:, :_KEY].contiguous().view(_BITS[matrix.itemsize]).numpy()
    keys = (bits.astype(np.uint64) * _ODD).sum(axis=1)
    return np.where((bits == bits[:, :1]).all(axis=1), np.uint64(0), keys | np.uint64(1))


def _study(piece: _Piece) -> Study:
    """A whole tensor, measured and identified."""
    values = piece.read()
    tensor = values.reshape(piece.place.shape)
    seen = _look(piece, values)
    return _conclude(piece.place, seen, tensor, lambda at: tensor[at])


def _conclude(place: Place, seen: _Seen, tensor: Tensor, part: Callable[[Index], Tensor]) -> Study:
    """What was seen of all of a tensor, judged. ``tensor`` may be some of its rows."""
    measured = seen.measurement
    identified = _identify(place, tensor, measured, seen.columns)
    blocks = [
        Block(name, index, one)
        for (name, index), one in zip(place.blocks, seen.blocks, strict=True)
        if one
    ]
    if _differ([block.measurement for block in blocks]):
        blocks = [replace(b, identification=_small(identify(part(b.index)))) for b in blocks]
    runs = _runs(seen.energies, math.prod(place.shape[1:]))
    segments = []
    for low, high in runs if len(runs) > 1 else ():
        index = (slice(low, high),)
        one = identify(part(index))
        segments.append(
            Block(f"rows {low:,} to {high - 1:,}", index, _coarse(one.measurement), _small(one))
        )
    repeats = [_repeats(keys, axis) for axis, keys in enumerate((seen.row_keys, seen.column_keys))]
    return Study(
        entry=Entry(place.name, place.shape, place.dtype, None),
        place=place,
        measurement=_coarse(measured),
        identification=_small(identified),
        blocks=tuple(replace(block, measurement=_coarse(block.measurement)) for block in blocks),
        segments=tuple(segments),
        repeats=tuple(one for one in repeats if one),
        start=seen.start,
        # Of a narrower type where that holds all values.
        spikes=_spikes(measured, _bins_apart(measured, identified.measurement.dtype)),
    )


# The chance below which values at an end are no accident: a model has thousands of tensors.
_PILED = 1e-7


def _bins_apart(m: Measurement, dtype: str) -> tuple[int, int]:
    """How many bins on one value of a type is from the next, at the smallest and at the largest."""
    if not isinstance(m.grid, Grid) or not m.finite:
        return 1, 1
    steps = torch.finfo(DTYPES[dtype]).eps / (math.ulp(1.0) * m.grid.width)
    low, high = (max(math.ceil(steps * math.ulp(end)), 1) for end in (m.min, m.max))
    return low, high


def _spikes(m: Measurement, apart: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    """Values at the smallest and the largest, 0 where they continue what lies beside them.

    apart: how many bins on the next value is; those between are empty.
    """
    filled = np.flatnonzero(m.counts)
    if len(filled) < 32:
        return 0, 0
    held = m.counts[filled[0] : filled[-1] + 1]
    ends = []
    for run, step in zip((held, held[::-1]), apart, strict=True):
        count, beside = int(run[0]), int(run[1 : 16 * step + 1].sum())
        piled = count >= 5 and count > 10 * max(beside / 16, 0.1)
        # The extreme is there in any case; by chance the others would spread over all 17 bins.
        ends.append(count if piled and betainc(count - 1, beside + 1, 1 / 17) < _PILED else 0)
    return ends[0], ends[1]


def _identify(
    place: Place, tensor: Tensor, measured: Measurement, columns: Tensor
) -> Identification:
    shape, layer = place.shape, place.layer
    if place.transposed and len(shape) == 2:
        tensor, shape = tensor.T, shape[::-1]
    if layer and shape not in (layer.weight_shape, layer.bias_shape):
        layer = None
    if layer is None and len(shape) > 2 and shape[0] == 1:  # positions or tokens of one batch
        tensor, shape = tensor[0], shape[1:]
    found = identify(tensor, layer, measurement=measured, shape=shape)
    if columns.numel() and place.shape[0] > math.prod(place.shape[1:]):
        # A few of the columns of a tall orthogonal matrix are one, too; a few rows are not.
        tall = identify(columns)
        if tall.family == "orthogonal":
            return replace(tall, measurement=measured)
    return found


def _small(found: Identification) -> Identification:
    return replace(found, measurement=_coarse(found.measurement))


def _coarse(m: Measurement) -> Measurement:
    """The measurement with a histogram for display only; everything else as it was."""
    if isinstance(m.grid, Grid):
        return m.coarser(BINS)
    if not m.finite:
        return replace(m, grid=Grid.spanning(-1.0, 1.0, 1), counts=np.zeros(2**12, np.int64))
    # Between the values of a 16-bit type nothing is lost on edges of any kind.
    grid = Grid.spanning(m.min, m.max, 1)
    at = np.searchsorted(grid.edges, m.grid.values, side="right") - 1
    held = m.counts > 0
    counts = np.bincount(at[held], weights=m.counts[held], minlength=grid.bins).astype(np.int64)
    return replace(m, grid=grid, counts=counts).coarser(BINS)


def _differ(parts: Sequence[Measurement]) -> bool:
    """Whether parts of a tensor differ in location or scale by more than chance, and than 2 %."""
    known = [m for m in parts if m.finite > 1]
    if len(known) < 2:
        return False
    if any((m.min == m.max) != (known[0].min == known[0].max) for m in known):
        return True
    total = reduce(lambda a, b: a + b, (m.finite for m in known))
    mean = sum(m.mean * m.finite for m in known) / total
    std = math.sqrt(sum(m.std**2 * m.finite for m in known) / total)
    if not std:
        return any(m.mean != known[0].mean for m in known)
    for m in known:
        error = spread_error(m)
        if abs(m.std / std - 1) > max(0.02, 5 * error * (1 + error)):
            return True
        if abs(m.mean - mean) > max(0.02, 5 / math.sqrt(m.finite)) * std:
            return True
    return False


def spread_error(m: Measurement) -> float:
    """One standard error of the measured std ÷ the true one, by chance alone."""
    kurtosis = m.kurtosis if math.isfinite(m.kurtosis) else 3.0
    return math.sqrt(max(kurtosis - 1, 0.5) / (4 * max(m.finite, 1)))


def _repeats(keys: Keys, axis: int) -> Repeats | None:
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    same = (ranked[1:] == ranked[:-1]) & (ranked[1:] != 0)
    if not same.any():
        return None
    first, second = order[:-1][same], order[1:][same]
    lag = Counter((second - first).tolist()).most_common(1)[0][0]
    at = int(np.argmin(first))
    pair = int(first[at]), int(second[at])
    return Repeats(axis, len(keys), int(same.sum()), int(lag), pair)


def _runs(energies: Array, row: int) -> list[tuple[int, int]]:
    """Runs of rows whose scale is one, cut where it changes for good. Empty without rows.

    Each cut is the one of the largest likelihood ratio between two scales; it takes a change of
    10 % that chance does not make, and makes at once: the slow drift of a trained vocabulary does
    not. A single row of zeros is padding, and has no scale; nor is the first row a run by itself:
    none was added before all others.
    """
    zero = energies == 0
    if np.count_nonzero(zero) == 1:
        energies = np.where(zero, np.median(energies), energies)
    if len(energies) < 2:
        return []
    runs = _cuts(energies, row, 0, len(energies), 4)
    return [(0, runs[1][1]), *runs[2:]] if runs[0] == (0, 1) else runs


def _cuts(energies: Array, row: int, low: int, high: int, depth: int) -> list[tuple[int, int]]:
    part = energies[low:high]
    n = len(part)
    if n < 2 or not depth or not part.sum() > 0:
        return [(low, high)]
    left = np.cumsum(part)[:-1]
    count = np.arange(1, n)
    before, after = left / (count * row), (part.sum() - left) / ((n - count) * row)
    tiny = 1e-12 * part.sum() / (n * row)
    whole = part.sum() / (n * row)
    ratio = (
        0.5
        * row
        * (
            n * math.log(whole)
            - count * np.log(np.maximum(before, tiny))
            - (n - count) * np.log(np.maximum(after, tiny))
        )
    )
    at = int(np.argmax(ratio))
    change = math.sqrt(max(before[at], tiny) / max(after[at], tiny))
    # The rows of a trained vocabulary differ among themselves: their own spread is the measure.
    spread = part / row
    inside = np.concatenate([spread[: at + 1] - before[at], spread[at + 1 :] - after[at]])
    noise = float(np.sqrt(np.mean(inside**2)) * math.sqrt(1 / (at + 1) + 1 / (n - at - 1)))
    gap = abs(before[at] - after[at])
    near = min(12, at + 1, n - at - 1)
    here = abs(spread[at + 1 - near : at + 1].mean() - spread[at + 1 : at + 1 + near].mean())
    clear = gap > 8 * noise and here > 0.7 * gap
    if not (abs(math.log(change)) > 0.1 and clear and ratio[at] > 30):
        return [(low, high)]
    middle = low + at + 1
    return [
        *_cuts(energies, row, low, middle, depth - 1),
        *_cuts(energies, row, middle, high, depth - 1),
    ]


# --- all tensors --------------------------------------------------------------------------------

Result = TypeVar("Result")


def survey(
    source: Source, executor: Executor | None = None, progress: Progress | None = None
) -> list[Study]:
    """Measure and identify every tensor of a source.

    ``executor`` is any of ``concurrent.futures``; by default there are threads, one a core.
    ``progress`` is called in the caller's thread with the share of the values done and the name of
    a tensor; an exception of its own ends the survey. Raises InitError as ``entries`` does.
    """
    found = entries(source)
    known = _places(source, found)
    first: dict[Any, str] = {}
    studies: dict[int, Study] = {}
    pieces: list[_Piece] = []
    split: dict[int, list[_Piece]] = {}
    for number, (entry, place) in enumerate(zip(found, known, strict=True)):
        tied = first.setdefault(entry.memory, entry.name) if entry.memory is not None else None
        if entry.values is None or (tied and tied != entry.name):
            other = tied if entry.values is not None else None
            studies[number] = Study(entry, place, tied=other, note=entry.note)
        elif entry.count <= PIECE:
            pieces.append(_Piece(number, place, entry.values, 0, entry.count))
        else:
            values = entry.values
            head = values.part(0, min(_HEAD, entry.count))
            split[number] = [
                _Piece(number, place, values.part(*ends), *ends, head) for ends in in_pieces(entry)
            ]
    with _executor(executor) as pool:
        pieces += [piece for own in split.values() for piece in own]
        seen: dict[int, dict[int, _Seen]] = {}
        for piece, result in _run(pool, _work, pieces, _Teller(progress, pieces)):
            if isinstance(result, Study):
                studies[piece.number] = result
            elif isinstance(result, str):
                studies[piece.number] = Study(
                    found[piece.number], piece.place, note=result, absurd=True
                )
            else:
                seen.setdefault(piece.number, {})[piece.start] = result
                if len(seen[piece.number]) == len(split[piece.number]):
                    own = seen.pop(piece.number)
                    entry = found[piece.number]
                    joined = _join([own[start] for start in sorted(own)])
                    studies[piece.number] = _conclude(
                        piece.place, joined, joined.rows, _reader(entry)
                    )
    done = [replace(studies[number], entry=entry) for number, entry in enumerate(found)]
    by_name = {study.name: study for study in done}
    return [_with_tie(study, by_name) for study in done]


def _with_tie(study: Study, by_name: dict[str, Study]) -> Study:
    """A tied tensor with what is known of the one it is."""
    if study.tied is None:
        return study
    known = by_name[study.tied]
    return replace(
        known, entry=study.entry, place=study.place, tied=study.tied, blocks=known.blocks
    )


def _places(source: Source, found: list[Entry]) -> list[Place]:
    if isinstance(source, nn.Module):
        known = {place.name: place for place in places(source)}
        return [known[entry.name] for entry in found]
    return places({entry.name: (entry.shape, entry.dtype) for entry in found})


def _executor(given: Executor | None) -> AbstractContextManager[Executor]:
    if given is not None:
        return nullcontext(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # Each holds a piece: four stay within the memory that is promised.
    return workers(min(cores or 1, 4))


class _Teller:
    """Adds up what is done, in values, and tells."""

    def __init__(self, progress: Progress | None, pieces: list[_Piece]) -> None:
        self._progress = progress
        self._total = sum(piece.stop - piece.start for piece in pieces) or 1
        self._done = 0

    def __call__(self, piece: _Piece) -> None:
        self._done += piece.stop - piece.start
        if self._progress:
            self._progress(self._done / self._total, piece.place.name)


def _work(piece: _Piece) -> Study | _Seen | str:
    """A tensor's study, what was seen of a piece, or why a tensor cannot be measured."""
    try:
        return _study(piece) if piece.whole else _look(piece, piece.read())
    except InitError as error:
        if "cannot be measured" not in str(error):
            raise
        return str(error)


def _run(
    pool: Executor,
    work: Callable[[_Piece], Result],
    pieces: Iterable[_Piece],
    tell: Callable[[_Piece], None],
) -> Iterator[tuple[_Piece, Result]]:
    """The work's results in the order they come, few pieces at a time."""
    left = iter(pieces)
    waiting: dict[Future[Result], _Piece] = {}
    try:
        while True:
            for piece in itertools.islice(left, _WINDOW - len(waiting)):
                waiting[pool.submit(work, piece)] = piece
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                piece = waiting.pop(future)
                yield piece, future.result()
                tell(piece)
    except (BrokenExecutor, CancelledError) as error:
        raise InitError(f"the executor gave up: {type(error).__name__}") from None
    finally:
        for future in waiting:
            future.cancel()


def _join(seen: list[_Seen]) -> _Seen:
    """What was seen of the pieces of one tensor, in their order."""
    merged = reduce(Measurement.merge, (one.measurement for one in seen))
    blocks = [
        reduce(Measurement.merge, known) if (known := [m for m in own if m]) else None
        for own in zip(*(one.blocks for one in seen), strict=True)
    ]

    def all_of(name: str) -> Any:
        return np.concatenate([getattr(one, name) for one in seen])

    first = seen[0]
    return _Seen(
        measurement=merged,
        blocks=tuple(blocks),
        start=first.start,
        row_keys=all_of("row_keys"),
        column_keys=first.column_keys,
        energies=all_of("energies"),
        rows=torch.cat([one.rows for one in seen if one.rows.numel()]),
        columns=torch.cat([one.columns for one in seen]),
    )


def _reader(entry: Entry) -> Callable[[Index], Tensor]:
    """Reads part of a large tensor: at most about ``_PART`` values from its beginning."""
    assert entry.values is not None
    values, row = entry.values, math.prod(entry.shape[1:])

    def read(index: Index) -> Tensor:
        low, high, _ = index[0].indices(entry.shape[0])
        high = min(high, low + max(_PART // row, 1))
        rows = values.read(low * row, high * row).reshape(high - low, *entry.shape[1:])
        return rows[(slice(None), *index[1:])]

    return read


def layer_of_block(place: Place, index: Index) -> Layer | None:
    """The layer that one part of a packed matrix is, by its own shape; None where it is none."""
    shape = list(place.shape)
    for axis, at in enumerate(index):
        shape[axis] = len(range(*at.indices(shape[axis])))
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2 or 0 in shape:
        return None
    if place.transposed:
        shape.reverse()
    return Layer("linear", (shape[1], shape[0]))
