"""Audit: what every tensor of a checkpoint was initialised with, and whether it was meant."""

import json
import re
from functools import partial

import pandas as pd
import streamlit as st

from initcore import InitError, html
from initcore.audit import Audit
from initcore.figures import spectrum
from initcore.figures.audit import expected_std, heatmap, histogram, with_depth
from initcore.figures.weights import extremes_sentence
from initcore.findings import SEVERITIES, Audited, Finding
from initcore.guard import guard
from initcore.recipes import Recipe
from ui import audits, controls, show
from ui.entry import through_app
from ui.reports import refuse

through_app()

REFUSED = "This cannot be audited"
MARKS = {
    "error": ":red-badge[:material/error: error]",
    "warning": ":orange-badge[:material/warning: warning]",
    "info": ":blue-badge[:material/info: note]",
}
MOST_FINDINGS, MOST_NAMES = 20, 6
TENSOR, TABLE = "tensor", "tensors"


def finding_text(finding: Finding) -> str:
    """A finding as markdown: severity and cause, then tensors, evidence and mend."""
    names = ", ".join(show.code(name) for name in finding.tensors[:MOST_NAMES])
    more = len(finding.tensors) - MOST_NAMES
    lines = [
        f"{MARKS[finding.severity]} **{show.plain(finding.cause)}**",
        f"{names}{f' and {more:,} more' if more > 0 else ''}",
        f"Evidence: {show.plain(finding.evidence)}",
        f"Mend: {show.plain(finding.fix)}",
    ]
    return "  \n".join(line for line in lines if line)


def show_findings(made: Audit) -> None:
    """Errors and warnings one by one, notes folded up."""
    grave = [finding for finding in made.findings if finding.severity != "info"]
    notes = [finding for finding in made.findings if finding.severity == "info"]
    for finding in grave[:MOST_FINDINGS]:
        with st.container(border=True):
            st.markdown(finding_text(finding))
    if len(grave) > MOST_FINDINGS:
        st.caption(f"And {len(grave) - MOST_FINDINGS:,} more, in the downloads.")
    if notes:
        with st.expander(f"{len(notes)} note{'' if len(notes) == 1 else 's'}"):
            st.markdown("\n\n".join(map(finding_text, notes[:MOST_FINDINGS])))


def line(row: Audited, findings: list[Finding]) -> dict[str, object]:
    """A tensor's line of the table; findings: those that name it, the gravest first."""
    study, m, found = row.study, row.study.measurement, row.study.identification
    std, expected = m.std if m else float("nan"), expected_std(row)
    return {
        "worst": findings[0].severity if findings else "",
        "tensor": row.name,
        "shape": " × ".join(map(str, study.entry.shape)),
        "role": study.place.role.replace("_", " "),
        "std": std,
        "expected std": expected,
        "ratio": std / expected if expected else float("nan"),
        "mean": m.mean if m else float("nan"),
        "identified as": (found.schemes[0].label if found.schemes else found.family)
        if found
        else study.note,
        "expected": row.expected.form if row.expected else "",
        "findings": ", ".join(dict.fromkeys(finding.code for finding in findings)),
    }


def open_row(names: list[str]) -> None:
    """A row of the table was selected, or no longer is."""
    rows = st.session_state[TABLE].selection.rows
    st.session_state[TENSOR] = names[rows[0]] if rows else None


def show_table(made: Audit, by_name: dict[str, list[Finding]]) -> None:
    """All tensors, to sort, to filter and to open."""
    left, right = st.columns([3, 1])
    with left:
        found = controls.text(
            "Find a tensor", "find", "c_proj, layers.3, embedding …", icon=":material/search:"
        )
    with right:
        severity = controls.choice(
            "Findings", ["all", *SEVERITIES], "all", "severity", "The gravest finding."
        )
    lines = [line(row, by_name.get(row.name, [])) for row in made.tensors]
    lines = [
        one
        for one in lines
        if found.lower() in f"{one['tensor']} {one['role']}".lower()
        and severity in ("all", one["worst"])
    ]
    if not lines:
        st.info("No tensor is like that.", icon=":material/search_off:")
        return
    # Also keeps the table's own buttons, above its right end, off the controls.
    st.caption(f"{len(lines):,} of {len(made.tensors):,} tensors.")
    names = [str(one["tensor"]) for one in lines]
    opened = st.session_state.get(TENSOR)
    # All three, as the browser states it: what differs would count as a choice of the visitor's.
    rows = [names.index(opened)] if opened in names else []
    st.session_state[TABLE] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    numeric = ("std", "expected std", "ratio", "mean")
    st.dataframe(
        pd.DataFrame(lines),
        hide_index=True,
        height=min(38 + 35 * len(lines), 420),
        placeholder="–",
        key=TABLE,
        on_select=partial(open_row, names),
        selection_mode="single-row",
        alt=f"The {len(lines)} tensors: std, the recipe's, what each is identified as, findings",
        column_config={
            "worst": st.column_config.TextColumn("", width=70),
            "tensor": st.column_config.TextColumn(pinned=True, width=260),
        }
        | {name: st.column_config.NumberColumn(format="%.4g") for name in numeric},
    )


def show_tensor(what: audits.Subject, made: Audit, row: Audited, findings: list[Finding]) -> None:
    """One tensor: what it is, what it should be, how it looks."""
    study, m, found = row.study, row.study.measurement, row.study.identification
    st.subheader(show.code(row.name), anchor=False)
    shape = " × ".join(f"{size:,}" for size in study.entry.shape) or "a scalar"
    said = "inferred from its name and shape" if study.place.inferred else "by its module"
    facts = [f"{shape}, {study.entry.dtype}; role: {study.place.role.replace('_', ' ')}, {said}."]
    if study.tied:
        facts.append(f"The same tensor in memory as {show.code(study.tied)}.")
    if study.note:
        facts.append(f"Not measured: {show.plain(study.note)}.")
    if found:
        facts += ["", f"**Identified:** {show.plain(' '.join([found.sentence, *found.notes]))}"]
    if row.expected:
        verdict = "It agrees." if row.agrees else "It does not agree."
        note = f" {show.plain(row.expected.note)}" if row.expected.note else ""
        source = show.plain(row.expected.source)
        facts += ["", f"**Expected:** {show.plain(row.expected.form)}. {verdict}{note} ({source})"]
    if findings:
        facts += ["", f"**Findings:** {'; '.join(show.plain(one.cause) for one in findings)}."]
    st.markdown("\n".join(facts))
    if m is None or not m.finite:
        return
    palette = show.palette()
    seen = audits.closed_up(what, study)
    left, right = st.columns(2, gap="medium")
    with left:
        show.chart(histogram(row, palette), "values")
        st.caption("Bars: measured. Lines: the laws it is identified with and it should have.")
    with right:
        show.chart(heatmap(row, seen, palette), "matrix")
        st.caption(extremes_sentence(seen.heat, study.entry.shape))
    parts = [*study.blocks, *study.segments]
    both = bool(parts) and seen.spectrum is not None
    left, right = st.columns(2, gap="medium") if both else [st.container()] * 2
    if seen.spectrum is not None:
        with left:
            show.chart(spectrum.histogram(seen.spectrum, palette), "singular-values")
            st.caption("Bars: measured singular values. Line: their law, where there is one.")
    if parts:
        blocks = [
            {
                "part": part.name,
                "values": part.measurement.count,
                "mean": part.measurement.mean,
                "std": part.measurement.std,
                "family": part.identification.family.replace("_", " ")
                if part.identification
                else "as the whole",
            }
            for part in parts
        ]
        with right:
            show.table(blocks, f"The {len(parts)} parts of the tensor")


def show_downloads(what: audits.Subject, made: Audit) -> None:
    st.subheader("Keep it", anchor=False)
    name = f"audit-{re.sub(r'[^a-z0-9]+', '-', made.source.lower()).strip('-')[:60]}"
    recipe = made.recipe
    with st.container(horizontal=True):
        st.download_button(
            "Report (HTML)",
            lambda: html.report(made),
            f"{name}.html",
            "text/html",
            icon=":material/description:",
            on_click="ignore",
        )
        st.download_button(
            "Audit (JSON)",
            lambda: json.dumps(made.as_dict(), indent=2, ensure_ascii=False, allow_nan=False),
            f"{name}.json",
            "application/json",
            icon=":material/data_object:",
            on_click="ignore",
        )
        st.download_button(
            "Tensors (CSV)",
            lambda: made.frame().to_csv(index=False),
            f"{name}.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
        )
        st.download_button(
            "Test (pytest)",
            lambda: guard(recipe, *what.code) if recipe else "",
            "test_init.py",
            "text/x-python",
            icon=":material/code:",
            disabled=recipe is None,
            help="Fails when a tensor is not as the recipe has it."
            if recipe
            else "There is no recipe to assert: choose one in the sidebar.",
            on_click="ignore",
        )


held: str | Recipe | InitError | None
with st.sidebar:
    chosen = audits.subject()
    try:
        held = audits.recipe(chosen.recipe if chosen else "auto")
    except InitError as error:
        held = error

heading = st.empty()
what = chosen or audits.upload()
controls.show_problems()
if what is None:
    heading.title("Audit", anchor=False)
    st.markdown(
        "Every tensor of a checkpoint is measured, identified and held against a recipe: what was "
        "it initialised with, and was that meant? What is amiss comes with its cause, the evidence "
        "and the mend; your file is deleted after the audit, and no code in it is run."
    )
    st.button(
        "Try a real bug: GPT-2 without its depth scaling",
        type="primary",
        icon=":material/bug_report:",
        on_click=lambda: st.session_state.update(audits.EXAMPLE),
    )
    st.stop()

heading.title(f"Audit of {show.plain(what.title)}", anchor=False)
if isinstance(what, audits.Known):
    threads = ", ".join(what.bug.threads)
    st.caption(show.plain(f"{what.bug.story} Reported as {threads}."))
if isinstance(held, InitError):
    refuse(held, REFUSED)
try:
    made = audits.audited(what, held)
except InitError as error:
    refuse(error, REFUSED)

with st.container(border=True):
    if made.count("error"):
        icon = ":red[:material/error:]"
    elif made.count("warning"):
        icon = ":orange[:material/warning:]"
    else:
        icon = ":green[:material/check_circle:]"
    st.markdown(f"{icon} {show.plain(made.sentence)}")
    if made.dims.sentence:
        st.caption(made.dims.sentence)
show_findings(made)
if made.chosen:
    with st.expander("How well each recipe fits"):
        fits = [
            {
                "recipe": fit.recipe.slug,
                "title": fit.recipe.title,
                "tensors that agree (%)": 100 * fit.agreeing / max(fit.tensors, 1),
                "parameters that agree (%)": 100 * fit.share,
            }
            for fit in made.chosen
        ]
        show.table(fits, f"How well {len(fits)} recipes fit, the best first")

depth = with_depth(made, show.palette())
if depth:
    st.subheader("Scale against depth", anchor=False)
    show.chart(depth, "depth")
    bars = " Bars: the recipe's. A dotted line leads from one to the other."
    st.caption(f"Marks: measured.{bars if made.recipe else ''}")

st.subheader("Tensors", anchor=False)
by_name: dict[str, list[Finding]] = {}
for finding in made.findings:  # the gravest first
    for name in finding.tensors:
        by_name.setdefault(name, []).append(finding)
show_table(made, by_name)
rows = {row.name: row for row in made.tensors}
opened = controls.one_or_none("Open a tensor", list(rows), TENSOR, "Choose one, or select a row")
if opened:
    try:
        show_tensor(what, made, rows[opened], by_name.get(opened, []))
    except InitError as error:
        refuse(error, REFUSED)
show_downloads(what, made)
if chosen and not audits.has_own_recipe():
    controls.full_link("audit")
else:
    st.caption("No link holds an upload or a recipe of one's own: keep the files.")
