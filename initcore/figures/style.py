"""The house style of every figure: one palette per appearance, one way to build a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

Floats = npt.NDArray[np.float64]
Trace = dict[str, Any]


@dataclass(frozen=True)
class Palette:
    """The colours of one appearance; contrasts were checked against its background.

    ``heat`` runs from negative over a neutral middle, at exactly zero, to positive; blue and orange
    stay apart for every common kind of colour blindness. ``series`` tells schemes apart, in none of
    the colours that already mean something.
    """

    measured: str
    law: str
    xavier: str
    ink: str
    line: str
    heat: tuple[str, str, str, str, str]
    series: tuple[str, ...]


LIGHT = Palette(
    measured="#9DB7E4",
    law="#C2410C",
    xavier="#0F766E",
    ink="#1F2937",
    line="#D5DAE1",
    heat=("#173F86", "#7FA3DB", "#F5F5F4", "#EBA677", "#9A3412"),
    series=("#2357B5", "#BE185D", "#A16207", "#7C3AED", "#475569", "#4D7C0F"),
)
DARK = Palette(
    measured="#456298",
    law="#FB923C",
    xavier="#2DD4BF",
    ink="#E5E7EB",
    line="#374151",
    heat=("#93C5FD", "#3B6FB5", "#20242C", "#B45A2A", "#FDBA74"),
    series=("#7CA7F5", "#F472B6", "#FACC15", "#B794F6", "#CBD5E1", "#A3E635"),
)
# Lines of one chart differ by dash as well as by colour.
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


class Chart(NamedTuple):
    """A figure and the sentence that says what it shows."""

    figure: go.Figure
    alt: str


def figure(
    traces: Sequence[Trace],
    palette: Palette,
    height: int,
    xaxis: dict[str, object],
    yaxis: dict[str, object],
    **layout: object,
) -> go.Figure:
    """The house style. Built in one call: Plotly validates each update anew."""
    axis: dict[str, object] = {
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": 11},
        "linecolor": palette.line,
        "tickcolor": palette.line,
        "gridcolor": palette.line,
    }
    style = {
        "template": "none",
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": palette.ink, "size": 13},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "dragmode": False,
        "xaxis": axis | xaxis,
        "yaxis": axis | yaxis,
    }
    return go.Figure(traces, style | layout)


def title(text: str) -> dict[str, object]:
    return {"text": text, "font": {"size": 12}}


def padded(low: float, high: float) -> tuple[float, float]:
    pad = 0.04 * (high - low) or max(abs(low), 1.0) / 2
    return low - pad, high + pad


def light(values: Floats) -> npt.NDArray[np.float32]:
    """Half the bytes for the browser, and more digits than a screen shows."""
    return values.astype(np.float32)


def line(x: Floats, y: Floats, name: str, line: dict[str, object], hover: str) -> Trace:
    return {
        "type": "scatter",
        "x": light(x),
        "y": light(y),
        "mode": "lines",
        "name": name,
        "line": line,
        "hovertemplate": hover,
    }
