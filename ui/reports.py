"""Reports for the pages: cached by their spec, for all sessions, bounded in number and load."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from initcore import InitError, Limits, Report, Spec, describe
from ui.kept import Kept
from ui.show import plain
from ui.work import long_work

# A report holds at most about 1.5 MB (a fine histogram and a heat map), however large the tensor.
_KEPT = 32
_reports: Kept[Spec, Report] = Kept(_KEPT)
# Tensors of more entries are drawn one at a time, so that thirty people need the memory of one.
_LARGE = 2**18


def report(spec: Spec) -> Report:
    """The report of a spec, with progress while a large one is drawn.

    Stops the page with a message when the spec exceeds the server's limits, or on Cancel.
    """
    if (kept := _reports.get(spec)) is not None:
        return kept
    try:
        limits = Limits.from_environment()
        plan = limits.plan(spec)
    except InitError as error:
        refuse(error)
    if plan == "stream":
        text = f"Drawing {spec.layer.count:,} weights block by block …"
        with long_work(text, spec.weight.slug, "Draw") as progress:

            def told(share: float, now: str = "") -> None:
                progress(share, f"{share:.0%}")

            return _reports.get_or_make(spec, lambda: describe(spec, limits, told), progress)
    if spec.layer.count > _LARGE:
        with st.spinner(f"Drawing {spec.layer.count:,} weights …"):
            return _reports.get_or_make(spec, lambda: describe(spec, limits))
    made = describe(spec, limits)
    _reports.put(spec, made)
    return made


def refuse(error: InitError, title: str = "This cannot be drawn") -> NoReturn:
    """Show why something cannot be, and stop the page; the controls keep their values."""
    st.error(f"{plain(str(error))}.", title=title, icon=":material/block:")
    st.stop()
