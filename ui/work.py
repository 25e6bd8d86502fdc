"""Long work on a page: a bar that says what is being done, and a Cancel that ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from initcore import InitError
from initcore.measure import Progress


@contextmanager
def long_work(text: str, key: str, verb: str = "Do") -> Iterator[Progress]:
    """Show progress while the block runs; what it yields is told how far it is.

    Each report of progress is a point at which a click on Cancel, a changed control or a closed tab
    ends the run: report at least twice a second, and what the block holds is then freed. On Cancel
    the page stops here, with a button to start after all. An InitError takes the bar away.
    """
    slot = st.empty()
    with slot.container(border=True):
        bar = st.progress(0.0, text)
        cancelled = st.button("Cancel", icon=":material/close:", key=f"cancel-{key}")
    if cancelled:
        slot.empty()
        st.info("Cancelled. Change a control, or start again.", icon=":material/info:")
        st.button(f"{verb} it", icon=":material/play_arrow:")
        st.stop()
    shown = (-1, "")

    def report(share: float, now: str = "") -> None:
        nonlocal shown
        now = now or shown[1]
        # The browser is told of every step it can show, and of no more.
        if (int(50 * share), now) != shown:
            shown = (int(50 * share), now)
            bar.progress(min(share, 1.0), f"{text}: {now}" if now else text)
        else:
            st.session_state.get(f"cancel-{key}")  # to look is a point where Streamlit ends a run

    try:
        yield report
    except InitError:
        slot.empty()
        raise
    slot.empty()
