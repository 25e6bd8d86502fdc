"""Close-up: one tensor of a source as a matrix, for those who want to see it.

>>> from torch import nn
>>> seen = close_up(nn.Linear(8, 4), "weight")
>>> seen.heat.rows, seen.heat.columns, len(seen.singular_values)
(4, 8, 4)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from initcore.checkpoint import Entry, Source, entries, in_pieces
from initcore.errors import InitError
from initcore.laws import Array
from initcore.measure import Heat
from initcore.report import HEAT_SIDE

# Values of a matrix whose singular values are computed: half a second.
MAX_DECOMPOSED = 2**20


@dataclass(frozen=True, eq=False)
class CloseUp:
    """What one tensor looks like; the first axis is the rows, all others are the columns.

    singular_values: in units of the weights, the largest first; None for a vector, for more than
    ``MAX_DECOMPOSED`` values, and where one is not finite.
    """

    heat: Heat
    singular_values: Array | None


def close_up(source: Source, name: str) -> CloseUp:
    """Read one tensor again, piece by piece.

    Raises InitError for a source that cannot be read, and for a tensor that it does not hold or
    whose values cannot be measured.
    """
    found = next((entry for entry in entries(source) if entry.name == name), None)
    if found is None:
        raise InitError(f"there is no tensor {name[:80]!r}")
    if found.values is None:
        raise InitError(f"{name[:80]!r} is not measured: {found.note}")
    rows = found.shape[0] if len(found.shape) > 1 else 1
    heat = Heat.empty((rows, found.count // rows), HEAT_SIDE)
    for start, stop in in_pieces(found):
        piece = found.values.read(start, stop)
        heat.add(start, (piece if piece.itemsize > 2 else piece.float()).numpy())
    return CloseUp(heat, _singular_values(found))


def _singular_values(entry: Entry) -> Array | None:
    if len(entry.shape) < 2 or entry.count > MAX_DECOMPOSED or entry.values is None:
        return None
    matrix = entry.values.read(0, entry.count).reshape(entry.shape[0], -1).double()
    if not torch.isfinite(matrix).all():
        return None
    values: Array = torch.linalg.svdvals(matrix).numpy()
    return values


def independent_range(rows: int, columns: int, std: float) -> tuple[float, float]:
    """Where the singular values of a large matrix of independent entries of mean 0 lie.

    std·(√M ± √m) for sides m ≤ M. Source: Marchenko & Pastur 1967.
    """
    large, small = math.sqrt(max(rows, columns)), math.sqrt(min(rows, columns))
    return std * (large - small), std * (large + small)
