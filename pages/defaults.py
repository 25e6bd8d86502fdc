"""Defaults: what every parameterised torch.nn module does when you construct it."""

import pandas as pd
import streamlit as st
import torch

from initcore import DEFAULTS, measure_default
from ui import controls, show
from ui.entry import through_app

through_app()

with st.sidebar:
    seed = controls.seed()
controls.show_problems()


@st.cache_data(max_entries=8, show_spinner="Constructing every module …")
def measured(seed: int, torch_version: str) -> list[dict[str, object]]:
    """A row for each claim about each module; cached on two small values, never on tensors."""
    return [
        {
            "holds": "✓" if check.holds else "✗",
            "module": check.module,
            "tensors": check.names,
            "closed form": check.form,
            "law": check.law.notation if check.law else "–",
            "measured std": check.measurement.std if check.measurement else None,
            "values": check.measurement.count if check.measurement else None,
            "note": record.note,
            "constructed as": record.code,
        }
        for record in DEFAULTS
        for check in measure_default(record, seed)
    ]


st.title("What torch.nn does by default", anchor=False)
rows = measured(seed, torch.__version__)
frame = pd.DataFrame(rows)
broken = int((frame["holds"] == "✗").sum())
with st.container(border=True):
    if broken:
        icon, verdict = ":red[:material/error:]", f"{broken} of {len(frame)} claims do not hold"
    else:
        icon, verdict = ":green[:material/check_circle:]", f"All {len(frame)} claims hold"
    st.markdown(
        f"{icon} {verdict} on torch {torch.__version__}: {len(DEFAULTS)} modules were constructed "
        f"just now with seed {seed}, and each tensor measured against its closed form."
    )
found = controls.text(
    "Find a module or a tensor",
    "find",
    "Linear, weight_hh, norm …",
    icon=":material/search:",
)
st.caption(
    "in, out: features or channels; k: product of the kernel; E: embedding dimension; ff: width of "
    "the feed-forward part. A claim fails where fewer than one draw in a thousand lies as far off."
)
if found:
    text = frame["module"] + " " + frame["tensors"] + " " + frame["note"]
    frame = frame[text.str.contains(found, case=False, regex=False)]
if frame.empty:
    st.info(f"No module or tensor has “{found}” in its name.", icon=":material/search_off:")
    st.stop()
st.dataframe(
    frame.drop(columns="note"),
    hide_index=True,
    height=640,
    alt="Every default: module, tensors, closed form, law, measured std, and whether it holds",
    column_config={
        "holds": st.column_config.TextColumn("", width=30, pinned=True),
        "module": st.column_config.TextColumn(width=170, pinned=True),
        "tensors": st.column_config.TextColumn(width=160),
        "closed form": st.column_config.TextColumn(width=150),
        "law": st.column_config.TextColumn(width=140),
        "measured std": st.column_config.NumberColumn(format="%.4g"),
        "values": st.column_config.NumberColumn(format="localized"),
    },
)
notes = frame[frame["note"] != ""].groupby("note", sort=False)["module"].unique()
if len(notes):
    st.subheader("Worth knowing", anchor=False)
    st.markdown(
        "\n".join(f"- **{', '.join(names)}**: {show.plain(note)}." for note, names in notes.items())
    )
st.download_button(
    "Download as CSV",
    f"# torch {torch.__version__}, seed {seed}\n{frame.to_csv(index=False)}",
    "torch-defaults.csv",
    "text/csv",
    icon=":material/table:",
    on_click="ignore",
)
controls.full_link("defaults")
