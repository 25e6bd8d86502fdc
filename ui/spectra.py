"""Spectra for the pages."""

from __future__ import annotations

from initcore.spectrum import Spectra, SpectrumSpec, measure_spectra
from ui.kept import Kept
from ui.work import long_work

# Each at most 33 times 1,024 values: 270 KB.
kept: Kept[SpectrumSpec, Spectra] = Kept(64)


def spectra(spec: SpectrumSpec) -> Spectra:
    """The spectra of a spec, with progress and Cancel while they are measured."""
    if (made := kept.get(spec)) is not None:
        return made
    slug = spec.weight.slug
    with long_work(f"Decomposing {spec.depth} layers of {slug}", slug, "Decompose") as progress:
        return kept.get_or_make(spec, lambda: measure_spectra(spec, progress), progress)
