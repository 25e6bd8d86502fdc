"""Figures of a propagation: statistics against depth with theory through them, and histograms.

>>> from initcore.figures.style import LIGHT
>>> from initcore.network import Network
>>> from initcore.propagation import propagate
>>> made = propagate(Network(depth=3, width=8, batch=4, seeds=1))
>>> by_layer(made, "gradient_std", LIGHT).alt[:42]
'Std of the gradient by layer, from 1 to 3:'
"""

from __future__ import annotations

import math

import numpy as np

from initcore.activations import Array
from initcore.figures.style import (
    DASHES,
    Chart,
    Floats,
    Palette,
    Trace,
    figure,
    light,
    line,
    padded,
    title,
)
from initcore.laws import number
from initcore.propagation import Histogram, Propagation

NAMES = {
    "preactivation_std": "Std of the pre-activations",
    "activation_std": "Std of the activations",
    "gradient_std": "Std of the gradient",
    "correlation": "Correlation of two inputs",
}
# An axis is logarithmic where it spans more than this; float32 holds nothing below the floor.
_LOG_SPAN, _FLOOR = 20.0, 1e-45
_HEIGHT = 250


def _translucent(colour: str) -> str:
    """A colour of the palette at a third of its strength, for bands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.35)"


def _measured(
    x: Floats, runs: Array, name: str, pen: dict[str, object], palette: Palette
) -> list[Trace]:
    """The mean over the seeds, in the band from the smallest to the largest."""
    reached = np.isfinite(runs).all(axis=0)
    x, runs = x[reached], runs[:, reached]
    traces = []
    if len(runs) > 1:
        traces.append(
            {
                "type": "scatter",
                "x": light(np.concatenate([x, x[::-1]])),
                "y": light(np.concatenate([runs.min(axis=0), runs.max(axis=0)[::-1]])),
                "fill": "toself",
                "fillcolor": _translucent(palette.measured),
                "line": {"width": 0},
                "mode": "lines",
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    hover = f"layer %{{x}}: %{{y:.4g}}<extra>{name}</extra>"
    mode = "lines+markers" if len(x) == 1 else "lines"
    return [*traces, line(x, runs.mean(axis=0), name, pen, hover) | {"mode": mode}]


def by_layer(made: Propagation, name: str, palette: Palette) -> Chart:
    """A statistic of ``NAMES`` against depth: seeds as a band, their mean, and theory's curve."""
    depth = made.network.depth
    x = np.arange(1.0, depth + 1)
    runs, theory = made.measured[name], made.theory[name]
    reached = np.isfinite(runs).all(axis=0)
    # Theory goes on where float32 does not; it is drawn as far as there is something to compare.
    theory = np.where(reached, theory, np.nan)
    traces = _measured(x, runs, "measured", {"color": palette.series[0], "width": 2.5}, palette)
    if np.isfinite(theory).any():
        pen = {"color": palette.law, "width": 2, "dash": "dash"}
        hover = "layer %{x}: %{y:.4g}<extra>theory</extra>"
        traces.append(line(x, theory, "theory", pen, hover))
    values = np.concatenate([runs[:, reached].ravel(), theory[np.isfinite(theory)]])
    axis = _axis(values) if name != "correlation" else _correlation_axis(values)
    shown = figure(
        traces,
        palette,
        _HEIGHT,
        {"title": title("layer"), "showline": True, "range": _span(depth), "nticks": 8},
        {"showgrid": True} | axis,
        showlegend=bool(reached.any()),
        annotations=[] if reached.any() else [_nothing(palette)],
    )
    return Chart(shown, _by_layer_alt(made, name))


def _nothing(palette: Palette) -> dict[str, object]:
    """A word in the middle of an empty chart."""
    middle = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    return middle | {"text": "nothing: float32 overflows", "font": {"color": palette.ink}}


def _span(depth: int) -> list[float]:
    return [1 - 0.02 * depth, depth + 0.02 * depth] if depth > 1 else [0.5, 1.5]


def _axis(values: Floats) -> dict[str, object]:
    """Linear from 0, or logarithmic where the values span more than a decade or so."""
    positive = values[values > _FLOOR]
    if not len(positive):
        return {"range": [0, 1]}
    low, high = float(positive.min()), float(positive.max())
    if high / low < _LOG_SPAN:
        return {"range": [0, 1.08 * high], "nticks": 6}
    ends = padded(math.log10(low), math.log10(high))
    decades = max(1, round((ends[1] - ends[0]) / 5))
    return {"type": "log", "range": list(ends), "exponentformat": "power", "dtick": decades}


def _correlation_axis(values: Floats) -> dict[str, object]:
    return {"range": [min(-0.05, 1.05 * float(values.min(initial=0.0))), 1.05], "nticks": 6}


def _by_layer_alt(made: Propagation, name: str) -> str:
    what, layers = NAMES[name], np.flatnonzero(np.isfinite(made.measured[name]).all(axis=0))
    if not len(layers):
        return f"{what} by layer: nothing to show, it overflows float32 in layer {made.overflow}."
    first, last = int(layers[0]), int(layers[-1])
    mean, theory = made.mean(name), made.theory[name]
    text = (
        f"{what} by layer, from {first + 1} to {last + 1}: measured {number(mean[first])} to "
        f"{number(mean[last])}"
    )
    if np.isfinite(theory).any():
        text += f", theory {number(theory[first])} to {number(theory[last])}"
    return f"{text}."


def shares(made: Propagation, palette: Palette) -> Chart:
    """The share of saturated pre-activations and of dead units against depth."""
    x = np.arange(1.0, made.network.depth + 1)
    traces: list[Trace] = []
    for index, name in enumerate(("saturated", "dead")):
        pen = {"color": palette.series[index], "width": 2.5, "dash": DASHES[index]}
        traces += _measured(x, 100 * made.measured[name], name, pen, palette)
    reached = np.isfinite(made.measured["saturated"]).all(axis=0)
    theory = np.where(reached, 100 * made.theory["saturated"], np.nan)
    if np.isfinite(theory).any():
        pen = {"color": palette.law, "width": 2, "dash": "dot"}
        hover = "layer %{x}: %{y:.3g} %<extra>theory of saturated</extra>"
        traces.append(line(x, theory, "theory", pen, hover))
    largest = max((float(np.nanmax(trace["y"], initial=0.0)) for trace in traces), default=0.0)
    shown = figure(
        traces,
        palette,
        _HEIGHT,
        {"title": title("layer"), "showline": True, "range": _span(made.network.depth)},
        {"showgrid": True, "range": [0, min(max(1.1 * largest, 5), 103)], "ticksuffix": " %"},
    )
    at = np.flatnonzero(reached)
    if not len(at):
        return Chart(shown, f"Saturated: nothing to show, layer {made.overflow} overflows.")
    ends = [
        f"{name} {number(100 * made.mean(name)[at[0]], 3)} % in layer {at[0] + 1}, "
        f"{number(100 * made.mean(name)[at[-1]], 3)} % in layer {at[-1] + 1}"
        for name in ("saturated", "dead")
    ]
    return Chart(shown, f"Shares by layer: {'; '.join(ends)}.")


# --- small multiples ----------------------------------------------------------------------------


def histograms(shown: tuple[Histogram, ...], what: str, palette: Palette) -> Chart:
    """Histograms of several layers under each other, on the same two axes.

    ``what`` names the values: activation, gradient. The vertical axis ends at four times the lowest
    layer's peak, so that a layer whose values lie together does not flatten all others.
    """
    edges = shown[0].edges
    density = np.array([one.counts / one.total for one in shown]) / np.diff(edges)
    holds_zero = (edges[:-1] <= 0) & (edges[1:] > 0)
    # The bin at 0 holds what ReLU cuts off.
    peaks = np.where(holds_zero, 0.0, density).max(axis=1)
    peaks = peaks[peaks > 0]
    top = min(4 * peaks.min(), peaks.max()) if len(peaks) else float(density.max()) or 1.0
    x = np.repeat(edges, 2)
    traces: list[Trace] = []
    for row, one in enumerate(shown):
        base = float(len(shown) - 1 - row)
        heights = base + 0.88 * np.minimum(density[row] / top, 1.0)
        y = np.concatenate([[base], np.repeat(heights, 2), [base]])
        traces.append(
            {
                "type": "scatter",
                "x": light(np.concatenate([x, x[:1]])),
                "y": light(np.concatenate([y, [base]])),
                "mode": "lines",
                "fill": "toself",
                "fillcolor": palette.measured,
                "line": {"width": 1, "color": palette.series[0]},
                "name": f"layer {one.layer}",
                "hoveron": "fills",
                "hoverinfo": "name",
            }
        )
    rows = list(range(len(shown)))
    plot = figure(
        traces,
        palette,
        52 * len(shown) + 60,
        {"title": title(what), "showline": True, "range": [float(edges[0]), float(edges[-1])]},
        {
            "range": [-0.05, len(shown)],
            "tickvals": [len(shown) - 1 - row for row in rows],
            "ticktext": [f"layer {one.layer}" for one in shown],
            "showgrid": True,
        },
        showlegend=False,
    )
    stds = [_std(one) for one in (shown[0], shown[-1])]
    alt = (
        f"Histograms of {what}s in {len(shown)} layers, from {number(edges[0], 3)} to "
        f"{number(edges[-1], 3)}: std {number(stds[0], 3)} in layer {shown[0].layer}, "
        f"{number(stds[1], 3)} in layer {shown[-1].layer}."
    )
    return Chart(plot, alt)


def _std(one: Histogram) -> float:
    middles = (one.edges[1:] + one.edges[:-1]) / 2
    total = max(int(one.counts.sum()), 1)
    mean = float(one.counts @ middles) / total
    return math.sqrt(float(one.counts @ (middles - mean) ** 2) / total)
