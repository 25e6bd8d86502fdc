"""The house style of every figure: one palette per appearance, one way to build a figure.

Figures are plain data, as plotly.js takes it: to build, copy and validate Plotly's own objects
takes longer than all else on a page. ``Chart.figure`` makes one for a notebook.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
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

    plot: dict[str, Any]
    alt: str

    @property
    def figure(self) -> go.Figure:
        """As an object of Plotly, validated by it; a notebook shows it."""
        from plotly.graph_objects import Figure  # a quarter of a second that no page needs

        return Figure(self.plot)

    def for_browser(self) -> dict[str, Any]:
        """The plot as JSON can hold it: a trace's arrays in base64, as plotly.js takes them."""
        data = [
            {
                key: _packed(value) if isinstance(value, np.ndarray) else value
                for key, value in trace.items()
                if value is not None
            }
            for trace in self.plot["data"]
        ]
        return self.plot | {"data": data}


# The numbers a browser has arrays of, by plotly.js's names for them.
_TYPES = {"float32": "f4", "float64": "f8", "int32": "i4", "uint8": "u1"}


def _packed(array: npt.NDArray[Any]) -> dict[str, str] | list[float]:
    if not array.size:
        return []
    raw = np.ascontiguousarray(array).data
    spec = {"dtype": _TYPES[str(array.dtype)], "bdata": b64encode(raw).decode("ascii")}
    return spec | {"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else spec


def figure(
    traces: Sequence[Trace],
    palette: Palette,
    height: int,
    xaxis: dict[str, object],
    yaxis: dict[str, object],
    **layout: object,
) -> dict[str, Any]:
    """The traces in the house style."""
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
        "template": {"data": {"scatter": [{"type": "scatter"}]}},  # Plotly's "none"
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
    return {"data": list(traces), "layout": style | layout}


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
