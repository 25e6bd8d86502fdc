"""Papers: classic claims about initialisation, the paper's number beside ours, computed now."""

import json
import re

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from initcore.laws import number
from initcore.papers import PAPERS, Paper, Result, as_dict
from ui.checks import check, kept
from ui.entry import through_app
from ui.link import open_preset

through_app()

BADGES = {
    "agrees": ":green-badge[:material/check: agrees]",
    "disagrees": ":red-badge[:material/close: disagrees]",
    "not computed": ":gray-badge[:material/question_mark: not computed]",
}


def outcome(result: Result) -> None:
    """The claim's numbers: the paper's, what counts as equal, and ours."""
    lines = ["| number | paper | ours |", "|---|---|---|"]
    for row in result.rows:
        colour, mark = ("green", "✓") if row.agrees else ("red", "✗")
        paper = re.sub(r" (?=[±%])|(?<=[±<>≤]) ", "\u00a0", row.paper)
        cells = (row.what, paper, f":{colour}[{mark}\u00a0{number(row.ours)}]")
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    st.markdown("\n".join(lines) if result.rows else "")
    st.markdown(f"{BADGES[result.state]} {result.sentence}".replace("|", "&#124;"))


def card(paper: Paper) -> DeltaGenerator:
    """What a paper says, and a slot for what comes out."""
    with st.container(border=True):
        st.subheader(f"{paper.authors} {paper.year}", anchor=False)
        st.markdown(paper.claim)
        st.caption(f"[{paper.title}]({paper.url}), {paper.venue}. {paper.where}: {paper.number}.")
        slot = st.empty()
        with st.expander("How it is checked"):
            st.caption(f"**Here:** {paper.setting}")
            st.caption(f"**Counts as equal:** {paper.tolerance}")
        open_preset(paper.preset)
    return slot


st.title("Ten papers, checked now", anchor=False)
st.caption(
    "Each number is measured or derived on this server with the parts that the other pages show, "
    "at a size that takes seconds. What counts as equal is stated with its reason."
)
with st.container(horizontal=True, vertical_alignment="center"):
    all_asked = st.button("Check all", icon=":material/done_all:")
    summary = st.empty()

asked: list[tuple[Paper, DeltaGenerator]] = []
with st.grid(2, min_column_width=400, gap="medium") as grid:
    for paper in PAPERS:
        with grid.cell():
            slot = card(paper)
        known = kept.get(paper.slug)
        with slot.container():
            if known:
                outcome(known)
                continue
            one_asked = st.button(
                "Check it", key=f"check-{paper.slug}", icon=":material/play_arrow:"
            )
        if one_asked or all_asked:
            asked.append((paper, slot))


def results() -> list[tuple[Paper, Result]]:
    """What is checked so far, and how much of it agrees."""
    found = [(paper, known) for paper in PAPERS if (known := kept.get(paper.slug))]
    agree = sum(known.state == "agrees" for _, known in found)
    summary.markdown(f"{len(found)} of {len(PAPERS)} checked, {agree} agree.")
    return found


checked = results()
for paper, slot in asked:
    with slot.container():
        result = check(paper)
    with slot.container():
        outcome(result)
    checked = results()

if checked:
    st.download_button(
        "Results (JSON)",
        lambda: json.dumps(
            [as_dict(*pair) for pair in checked], indent=2, ensure_ascii=False, allow_nan=False
        ),
        "papers.json",
        "application/json",
        icon=":material/data_object:",
        on_click="ignore",
    )
