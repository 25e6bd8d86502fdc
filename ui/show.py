"""How the pages show charts and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import streamlit as st
from plotly.basedatatypes import BaseFigure

from initcore.figures.style import DARK, LIGHT, Chart, Palette
from initcore.laws import number


def palette() -> Palette:
    """The colours of the visitor's appearance."""
    return DARK if st.context.theme.type == "dark" else LIGHT


class _Plot(BaseFigure):  # type: ignore[misc]
    """A chart's plain data in the form of a figure, of which Streamlit asks ``to_dict`` alone.

    Given a dict, it would first have Plotly build and validate one.
    """

    def __init__(self, chart: Chart) -> None:
        self._plot = chart.for_browser()

    def to_dict(self) -> dict[str, Any]:
        return self._plot


def chart(shown: Chart, key: str, on_click: Callable[[], None] | None = None) -> None:
    """A chart with its text alternative; still, so that a phone scrolls past it.

    ``on_click`` is called before the run that follows a click on a point; see ``clicked``.
    """
    still = {"displayModeBar": False}
    st.plotly_chart(
        _Plot(shown),
        key=f"chart-{key}",
        alt=shown.alt,
        config=still,
        on_select=on_click or "ignore",
        selection_mode="points",
    )


def clicked(key: str) -> list[tuple[float, float]]:
    """The points of a chart that were clicked, as (x, y)."""
    selection = st.session_state[f"chart-{key}"]["selection"]
    return [(float(point["x"]), float(point["y"])) for point in selection["points"]]


def cell(value: object) -> str:
    """A number for people, or any other value as it is; a dash for what does not exist."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else number(value).replace("inf", "∞")
    return str(value)


def plain(text: str) -> str:
    """A text that others wrote, such as a name from a file, as markdown shows it literally."""
    return re.sub(r"([\\`*{}\[\]<>#!|~$:&]|\b_|_\b)", r"\\\1", " ".join(text.split()))


def code(name: str) -> str:
    """A name that others chose, as code."""
    name = " ".join(name.split())
    return plain(name) if "`" in name or not name else f"`{name}`"


def table(lines: Sequence[Mapping[str, object]], alt: str) -> None:
    """A small table: numbers to the right, 4 significant digits, a dash for what does not exist.

    Every line has the same columns.
    """
    # Straight into the form that Streamlit sends, which costs a tenth of the way over a data frame.
    columns = {name: [line[name] for line in lines] for name in lines[0]}
    numeric = [
        name for name, column in columns.items() if any(isinstance(v, float) for v in column)
    ]
    # Streamlit's numbers have no infinity.
    endless = [name for name in numeric if any(v in (math.inf, -math.inf) for v in columns[name])]
    columns |= {name: [cell(value) for value in columns[name]] for name in endless}
    st.dataframe(
        pa.table({name: pa.array(column, from_pandas=True) for name, column in columns.items()}),
        hide_index=True,
        height="content",
        placeholder="–",
        alt=alt,
        column_config={next(iter(columns)): st.column_config.TextColumn(pinned=True)}
        | {name: st.column_config.NumberColumn(format="%.4g") for name in numeric}
        | {name: st.column_config.TextColumn(alignment="right") for name in endless},
    )
