"""Close-up: one tensor of a source as a matrix, for those who want to see it.

>>> from torch import nn
>>> from initcore.survey import survey
>>> layer = nn.Linear(8, 4)
>>> seen = close_up(layer, survey(layer)[0])
>>> seen.heat.rows, seen.heat.columns, len(seen.spectrum.values)
(4, 8, 4)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from initcore.checkpoint import Entry, Source, entries, in_pieces
from initcore.errors import InitError
from initcore.laws import HaarCoordinate, Law, constant
from initcore.measure import Heat
from initcore.report import HEAT_SIDE
from initcore.spectrum import MarchenkoPastur, Spectrum, spectrum_of
from initcore.survey import Study

# Values of a matrix whose singular values are computed: half a second.
MAX_DECOMPOSED = 2**20


@dataclass(frozen=True, eq=False)
class CloseUp:
    """What one tensor looks like; the first axis is the rows, all others are the columns.

    spectrum: the singular values, in units of the weights; None for a vector, for more than
    ``MAX_DECOMPOSED`` values, and where one is not finite.
    """

    heat: Heat
    spectrum: Spectrum | None


def close_up(source: Source, study: Study) -> CloseUp:
    """Read a tensor again, piece by piece, of which ``survey`` or ``audit`` gave the study.

    Raises InitError for a source that cannot be read, and for a tensor that it does not hold or
    whose values cannot be measured.
    """
    name = study.name
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
    return CloseUp(heat, _spectrum(found, study, heat))


def _spectrum(entry: Entry, study: Study, heat: Heat) -> Spectrum | None:
    if len(entry.shape) < 2 or entry.count > MAX_DECOMPOSED or entry.values is None:
        return None
    matrix = entry.values.read(0, entry.count).reshape(heat.rows, heat.columns)
    if not torch.isfinite(matrix).all():
        return None
    return spectrum_of("weight", 1, matrix, _law(study, heat))


def _law(study: Study, heat: Heat) -> Law | None:
    """The law of the singular values, by what the tensor is identified as."""
    found, m = study.identification, study.measurement
    if found is None or m is None:
        return None
    if found.family in ("uniform", "normal", "truncated_normal"):
        return MarchenkoPastur(heat.rows, heat.columns, m.std)
    laws = [candidate.law for candidate in found.schemes]
    return next((constant(law.scale) for law in laws if isinstance(law, HaarCoordinate)), None)
