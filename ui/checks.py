"""Claims of papers, checked for the pages: results are kept for all sessions."""

from __future__ import annotations

from initcore.papers import PAPERS, Paper, Result
from ui.kept import Kept
from ui.work import long_work

# A result is a few numbers, and depends on nothing but its paper.
kept: Kept[str, Result] = Kept(len(PAPERS))


def check(paper: Paper) -> Result:
    """The result of a paper's claim, with progress and Cancel while it is measured."""
    with long_work(f"Checking {paper.authors}", paper.slug) as progress:
        return kept.get_or_make(paper.slug, lambda: paper.measure(progress), progress)
