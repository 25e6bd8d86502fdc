"""Figures of one weight or several: heat map, histogram, densities, the shape of a law.

>>> from initcore.draw import Spec
>>> from initcore.figures.style import LIGHT
>>> from initcore.layers import Layer
>>> from initcore.report import describe
>>> from initcore.schemes import Init
>>> chart = histogram(describe(Spec(Layer("linear", (5, 5)), Init("zeros"))), LIGHT)
>>> chart.alt
'Histogram of 25 weights, all 0: they fit the law all 0; Xavier bounds ±0.7746.'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

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
from initcore.laws import Law, number
from initcore.layers import Role
from initcore.measure import Heat, Measurement
from initcore.report import Part, Report
from initcore.schemes import xavier_bound

Show = Literal["extreme", "mean"]

# The most cells that still leave room for their values, and for a row of ticks.
_PRINTED_SIDE = 12
# The most cells a side where they have 180 px: more would be sent and not be seen.
_COMPACT_SIDE = 128
_MOST_BARS = 80
_CURVE_POINTS = 120
_PROBABILITIES = np.linspace(0.002, 0.998, 120)


# --- heat map -----------------------------------------------------------------------------------


def heat_range(reports: Sequence[Report]) -> float:
    """The magnitude at which the colours end, shared by all the reports."""
    measured = [report.weight.measurement for report in reports]
    return max(max(abs(m.min), abs(m.max)) for m in measured) or 1.0


def heatmap(
    report: Report,
    palette: Palette,
    *,
    show: Show = "extreme",
    magnitude: float | None = None,
    compact: bool = False,
) -> Chart:
    """The weight as a matrix; at most 256 cells a side, with the extremes kept and marked.

    ``show`` says what a cell of several weights holds: the one farthest from zero, or their mean.
    ``magnitude`` fixes the colour range; ``compact`` leaves out axes and colour bar, for at most
    128 cells a side.
    """
    part, layer = report.weight, report.spec.layer
    return matrix(
        part.heat,
        part.measurement,
        layer.weight_shape,
        layer.axis_names,
        palette,
        show=show,
        magnitude=magnitude or heat_range([report]),
        compact=compact,
    )


def matrix(
    heat: Heat,
    m: Measurement,
    shape: Sequence[int],
    axes: tuple[str, str],
    palette: Palette,
    *,
    show: Show = "extreme",
    magnitude: float | None = None,
    compact: bool = False,
) -> Chart:
    """Any tensor of ``shape`` as a matrix, as ``heatmap`` shows a weight; axes name its sides."""
    if compact:
        heat = heat.coarser(_COMPACT_SIDE)
    rows, columns = heat.rows, heat.columns
    row_name, column_name = axes
    z = heat.mean if show == "mean" else heat.extreme
    size = heat.cell
    magnitude = magnitude or max(abs(m.min), abs(m.max)) or 1.0
    if heat.is_exact:
        hover = f"{row_name} %{{y}}, {column_name} %{{x}}<br>weight %{{z:.4g}}<extra></extra>"
    else:
        what = "mean" if show == "mean" else "farthest from zero"
        hover = (
            f"{size[0]} × {size[1]} weights around<br>{row_name} %{{y:.0f}}, {column_name} "
            f"%{{x:.0f}}<br>{what} %{{z:.4g}}<extra></extra>"
        )
    text = "%{z:.2f}" if magnitude >= 0.095 else "%{z:.1e}"
    printed = heat.is_exact and max(rows, columns) <= _PRINTED_SIDE and not compact
    traces: list[Trace] = [
        {
            "type": "heatmap",
            "z": z,
            "x0": (size[1] - 1) / 2,
            "dx": size[1],
            "y0": (size[0] - 1) / 2,
            "dy": size[0],
            "zmin": -magnitude,
            "zmax": magnitude,
            "colorscale": [[i / 4, colour] for i, colour in enumerate(palette.heat)],
            "showscale": not compact,
            "colorbar": {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, "len": 1},
            "hovertemplate": hover,
            "texttemplate": text if printed else None,
            "textfont": {"size": 13 if max(rows, columns) <= 6 else 10},
            "xgap": 2 if printed else 0,
            "ygap": 2 if printed else 0,
        }
    ]
    if not heat.is_exact and not compact:
        traces.append(_extremes(heat, palette))
    x: dict[str, object] = {"visible": not compact, "constrain": "domain"}
    y: dict[str, object] = {"visible": not compact, "autorange": "reversed"}
    if 0.5 <= rows / columns <= 2:  # true to scale; what is longer would be a strip
        y |= {"scaleanchor": "x", "constrain": "domain"}
    for axis, name, count in ((x, column_name, columns), (y, row_name, rows)):
        if not compact:
            axis["title"] = title(name)
        if count <= _PRINTED_SIDE:
            axis["dtick"] = 1
    shown = figure(traces, palette, 180 if compact else 420, x, y, showlegend=False)
    return Chart(shown, _matrix_alt(heat, m, shape))


def _extremes(heat: Heat, palette: Palette) -> Trace:
    ends = (("smallest", heat.argmin), ("largest", heat.argmax))
    positions = [heat.position(flat) for _, (_, flat) in ends]
    return {
        "type": "scatter",
        "x": [column for _, column in positions],
        "y": [row for row, _ in positions],
        "mode": "markers",
        "marker": {
            "symbol": ["triangle-down-open", "triangle-up-open"],
            "size": 12,
            "color": palette.ink,
            "line": {"width": 2},
        },
        "text": [
            f"{name}: {number(value)}<br>row {row}, column {column}"
            for (name, (value, _)), (row, column) in zip(ends, positions, strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def extremes_sentence(heat: Heat, shape: Sequence[int]) -> str:
    """Where the smallest and the largest weight are, by their index in the tensor."""
    (low, at_low), (high, at_high) = heat.argmin, heat.argmax
    if low == high:
        return f"Every weight is {number(low)}."
    return (
        f"Smallest {number(low)} at weight{_position(at_low, shape)}, "
        f"largest {number(high)} at weight{_position(at_high, shape)}."
    )


def _position(flat: int, shape: Sequence[int]) -> str:
    return f"[{', '.join(str(int(i)) for i in np.unravel_index(flat, tuple(shape)))}]"


def _matrix_alt(heat: Heat, m: Measurement, shape: Sequence[int]) -> str:
    head = f"Heat map of the {heat.rows} × {heat.columns} weight matrix"
    if m.min == m.max:
        return f"{head}: every weight is {number(m.min)}."
    moments = f"mean {number(m.mean)}, std {number(m.std)}"
    return f"{head}: {moments}. {extremes_sentence(heat, shape)}"


# --- histogram ----------------------------------------------------------------------------------


def _own_range(m: Measurement, *laws: Law) -> tuple[float, float]:
    """What the bars tile: the measured values, and the support or else the bulk of the laws."""
    low, high = m.min, m.max
    for law in laws:
        of_law = law.low if law.low >= law.mean - 3 * law.std else float(law.quantile(0.001))
        low = min(low, of_law)
        of_law = law.high if law.high <= law.mean + 3 * law.std else float(law.quantile(0.999))
        high = max(high, of_law)
    return (low, high) if low < high else padded(low, high)


def value_range(parts: Sequence[Part], bound: float | None = None) -> tuple[float, float]:
    """An axis that holds all the parts' values and laws, and ±bound."""
    ends = [end for part in parts for end in _own_range(part.measurement, part.law)]
    ends += [-bound, bound] if bound else []
    return padded(min(ends), max(ends))


def density_top(parts: Sequence[Part]) -> float:
    """An axis for the densities of the parts.

    Patterns, whose density is infinite, have no say, and a peak over four times as high as the
    usual one is cut, so that one narrow law does not flatten all the others.
    """
    heights = [h for part in parts if (h := _height(part.measurement, part.law))]
    return 1.1 * min(max(heights), 4 * float(np.median(heights))) if heights else 1.0


def _height(m: Measurement, law: Law) -> float:
    return _reach(law, _bars(m, law)[2], _curve(law, *_own_range(m, law))[1])


def _reach(law: Law, bars: Floats, curve: Floats) -> float:
    """How high bars and curve reach; 0 where the law has no density."""
    if law.is_discrete:
        return 0.0
    peak = _peak(curve)
    # An atom's bar has no bound; every other bar is within reach of the curve.
    usual = bars if not law.atoms else bars[bars < 3 * peak]
    return max(float(usual.max(initial=0.0)), peak)


def histogram(
    report: Report,
    palette: Palette,
    *,
    role: Role = "weight",
    span: tuple[float, float] | None = None,
    top: float | None = None,
    compact: bool = False,
) -> Chart:
    """The measured density, the law's, and the Xavier bounds (weights only).

    A value with a probability of its own is a stem: its height is its share of the axis. ``span``
    and ``top`` fix the axes; ``compact`` leaves out titles and legend.
    """
    part = report.weight if role == "weight" else report.bias
    assert part is not None
    bound = xavier_bound(report.spec.layer) if role == "weight" else None
    shown = distribution(
        part.measurement,
        {"law": part.law},
        palette,
        name=role,
        bound=bound,
        span=span or value_range([part], bound),
        top=top,
        compact=compact,
    )
    return Chart(shown, _histogram_alt(part, bound))


def distribution(
    m: Measurement,
    laws: Mapping[str, Law],
    palette: Palette,
    *,
    name: str = "weight",
    bound: float | None = None,
    span: tuple[float, float] | None = None,
    top: float | None = None,
    compact: bool = False,
) -> dict[str, Any]:
    """The plot of ``histogram`` for any measurement, with laws by name, the first in their colour.

    Without ``span`` and ``top`` the axes hold the bars and all the laws.
    """
    low, high = span or padded(*_own_range(m, *laws.values()))
    edges, shares, density = _bars(m, *laws.values())
    curves = {label: _curve(law, low, high) for label, law in laws.items()}
    if top is None:
        reaches = (_reach(law, density, curves[label][1]) for label, law in laws.items())
        highest = max(reaches, default=0.0)
        if not highest and m.min < m.max:
            highest = float(density.max(initial=0.0))
        top = 1.1 * highest or 1.0
    traces: list[Trace] = [
        {
            "type": "bar",
            "x": light((edges[1:] + edges[:-1]) / 2),
            "y": light(density),
            "width": light(np.diff(edges)),
            "customdata": light(shares),
            "name": "measured",
            "marker": {"color": palette.measured, "line": {"width": 0}},
            "hovertemplate": "%{customdata:.3g} % around %{x:.4g}<extra>measured</extra>",
        }
    ]
    colours = (palette.law, *palette.series[1:])
    for i, (label, law) in enumerate(laws.items()):
        pen = {"color": colours[i], "width": 2.5} | ({"dash": DASHES[i]} if i else {})
        x, y = curves[label]
        if len(x):
            hover = f"density %{{y:.3g}} at %{{x:.4g}}<extra>{label}</extra>"
            traces.append(line(x, y, label, pen, hover))
        if law.atoms:
            traces.append(_stems(law, top / 1.1, label, pen) | {"showlegend": not len(x)})
    if bound:
        traces.append(_bounds(bound, top, palette))
    return figure(
        traces,
        palette,
        180 if compact else 420,
        {"range": [low, high], "showline": True} | ({} if compact else {"title": title(name)}),
        {"range": [0, top], "showgrid": True, "nticks": 6, "title": title("density")}
        | {"visible": not compact},
        bargap=0,
        barmode="overlay",
        showlegend=not compact,
    )


def _bars(m: Measurement, *laws: Law) -> tuple[Floats, Floats, Floats]:
    """Edges, shares in per cent and densities of the measured bars."""
    # Rice's rule, 2·∛n, within what a chart can show.
    bins = int(min(max(2 * m.count ** (1 / 3), 6), _MOST_BARS))
    edges, counts = m.histogram(*_own_range(m, *laws), bins)
    shares = counts / max(m.finite, 1)
    return edges, 100 * shares, shares / np.diff(edges)


def _peak(density: Floats) -> float:
    """The height of a curve; a density may be infinite at its ends, which do not rule an axis."""
    return float(np.percentile(density, 98)) if len(density) else 0.0


def _curve(law: Law, low: float, high: float) -> tuple[Floats, Floats]:
    """The density over the span, falling to zero at the ends of a bounded support."""
    if law.is_discrete:
        return np.empty(0), np.empty(0)
    start, end = max(low, law.low), min(high, law.high)
    # Evenly over the span and evenly over the law, so that a narrow peak is drawn in full. The ends
    # of the support themselves may hold an infinite density.
    x = np.concatenate([np.linspace(start, end, _CURVE_POINTS), law.quantile(_PROBABILITIES)])
    x = np.unique(x[(x > start) & (x < end)])
    y = law.pdf(x)
    before = [start] if start == law.low else []
    after = [end] if end == law.high else []
    x = np.concatenate([before, [start], x, [end], after])
    y = np.concatenate([np.zeros(len(before)), y[:1], y, y[-1:], np.zeros(len(after))])
    return x, y


def _stems(law: Law, top: float, name: str, pen: dict[str, object]) -> Trace:
    """The law's atoms, each as high as its share of ``top``."""
    x = [v for value, _ in law.atoms for v in (value, value, None)]
    y = [h for _, mass in law.atoms for h in (0.0, top * mass, None)]
    shares = [share for _, mass in law.atoms for share in (0.0, 100 * mass, None)]
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "customdata": shares,
        "mode": "lines+markers",
        "name": name,
        "line": pen,
        "marker": {"size": [s for _ in law.atoms for s in (0, 9, 0)]},
        "hovertemplate": "%{customdata:.3g} % exactly %{x:.4g}<extra>" + name + "</extra>",
    }


def _bounds(bound: float, top: float, palette: Palette) -> Trace:
    return {
        "type": "scatter",
        "x": [-bound, -bound, None, bound, bound],
        "y": [0, top, None, 0, top],
        "mode": "lines",
        "name": "Xavier bounds",
        "line": {"color": palette.xavier, "width": 2, "dash": "dash"},
        "hovertemplate": "Xavier bound %{x:.4g}<extra></extra>",
    }


def _histogram_alt(part: Part, bound: float | None) -> str:
    m = part.measurement
    what = "weights" if part.role == "weight" else "biases"
    spread = f"all {number(m.min)}" if m.min == m.max else f"{number(m.min)} to {number(m.max)}"
    fits = "they fit" if part.fit.agrees else "they do not fit"
    text = f"Histogram of {m.count:,} {what}, {spread}: {fits} the law {part.law.notation}"
    return f"{text}; Xavier bounds ±{number(bound)}." if bound else f"{text}."


# --- several schemes ----------------------------------------------------------------------------


def densities(reports: Sequence[Report], names: Sequence[str], palette: Palette) -> Chart:
    """The laws of several schemes over each other, with the Xavier bounds of their layer."""
    bound = xavier_bound(reports[0].spec.layer)
    parts = [report.weight for report in reports]
    low, high = value_range(parts, bound)
    top = density_top(parts)
    traces: list[Trace] = []
    for i, (part, name) in enumerate(zip(parts, names, strict=True)):
        x, y = _curve(part.law, low, high)
        for value, mass in part.law.atoms:
            x = np.concatenate([x, [np.nan, value, value]])
            y = np.concatenate([y, [np.nan, 0.0, top * mass]])
        pen = {"color": palette.series[i % 6], "width": 2.5, "dash": DASHES[i % 6]}
        hover = f"density %{{y:.3g}} at %{{x:.4g}}<extra>{name}</extra>"
        traces.append(line(x, y, name, pen, hover))
    shown = figure(
        [*traces, _bounds(bound, top, palette)],
        palette,
        360,
        {"range": [low, high], "showline": True, "title": title("weight")},
        {"range": [0, top], "showgrid": True, "title": title("density of the law")},
    )
    by_std = sorted(zip((part.law.std for part in parts), names, strict=True))
    (narrow, narrowest), (wide, widest) = by_std[0], by_std[-1]
    alt = (
        f"Densities of {len(parts)} laws: {widest} is the widest, std {number(wide)}; "
        f"{narrowest} the narrowest, std {number(narrow)}."
    )
    return Chart(shown, alt)


def law_shape(law: Law, palette: Palette) -> Chart:
    """A law's shape on its own scale: the density filled, atoms as stems."""
    low, high = padded(float(law.quantile(0.0005)), float(law.quantile(0.9995)))
    x, y = _curve(law, low, high)
    top = 1.15 * _peak(y) or 1.0
    pen: dict[str, object] = {"color": palette.law, "width": 2}
    traces = [line(x, y, "law", pen, "") | {"fill": "tozeroy"}]
    if law.atoms:
        traces.append(_stems(law, top, "law", pen | {"width": 2.5}))
    shown = figure(
        [trace | {"hoverinfo": "skip", "hovertemplate": None} for trace in traces],
        palette,
        120,
        {"range": [low, high], "showline": True, "nticks": 5},
        {"range": [0, top * 1.08], "visible": False},
        showlegend=False,
    )
    moments = f"mean {number(law.mean)}, std {number(law.std)}"
    return Chart(shown, f"Shape of the law {law.notation}: {moments}.")
