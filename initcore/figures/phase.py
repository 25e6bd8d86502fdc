"""Figures of mean field: the plane of σ_w and σ_b with its two phases, and the depth scales.

>>> from initcore.activations import get_activation
>>> from initcore.figures.style import LIGHT
>>> from initcore.meanfield import phase_plane
>>> relu = get_activation("relu")
>>> phase_diagram(relu, phase_plane(relu, cells=5), [Point("He", 2**0.5, 0.0)], LIGHT).alt[-23:]
'He at σ_w 1.414, σ_b 0.'
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from initcore.activations import Activation, Array
from initcore.figures.style import Chart, Palette, Trace, figure, light, line, title
from initcore.laws import number
from initcore.meanfield import DepthScales, PhasePlane

# Points that can be clicked, along each axis.
_CLICKS_WEIGHT, _CLICKS_BIAS = 41, 21
# The χ at which the colours end, and its reciprocal.
_END = 4.0


class Point(NamedTuple):
    """A place in the plane, and its name."""

    name: str
    weight_std: float
    bias_std: float


def phase_diagram(
    activation: Activation, plane: PhasePlane, points: list[Point], palette: Palette
) -> Chart:
    """The plane coloured by χ, neutral at exactly 1, with the critical line and points marked.

    The last trace is a grid of points that cannot be seen and can be clicked.
    """
    z = np.log10(np.maximum(plane.chi, 1e-3))
    high, top = float(plane.weight_std[-1]), float(plane.bias_std[-1])
    traces: list[Trace] = [
        {
            "type": "heatmap",
            "z": light(z),
            "x": light(plane.weight_std),
            "y": light(plane.bias_std),
            "zmin": -math.log10(_END),
            "zmax": math.log10(_END),
            "zsmooth": "best",
            "colorscale": [[i / 4, colour] for i, colour in enumerate(palette.heat)],
            "colorbar": {
                "title": {"text": "χ", "side": "top"},
                "thickness": 10,
                "outlinewidth": 0,
                "tickfont": {"size": 11},
                "tickvals": [math.log10(v) for v in (1 / _END, 0.5, 1, 2, _END)],
                "ticktext": ["≤ 0.25", "0.5", "1", "2", "≥ 4"],
            },
            "hoverinfo": "skip",
        },
        line(
            plane.critical,
            plane.bias_std,
            "critical line, χ = 1",
            {"color": palette.ink, "width": 2.5},
            "χ = 1 at σ_w %{x:.4g}, σ_b %{y:.4g}<extra></extra>",
        ),
    ]
    for index, point in enumerate(points):
        traces.append(
            {
                "type": "scatter",
                "x": [point.weight_std],
                "y": [point.bias_std],
                "mode": "markers",
                "name": point.name,
                "marker": {
                    "symbol": ("diamond", "circle")[index % 2],
                    "size": 13,
                    "color": palette.series[index + 2],
                    "line": {"width": 2, "color": palette.ink},
                },
                "hovertemplate": f"{point.name}: σ_w %{{x:.4g}}, σ_b %{{y:.4g}}<extra></extra>",
            }
        )
    x, y = np.meshgrid(np.linspace(0, high, _CLICKS_WEIGHT)[1:], np.linspace(0, top, _CLICKS_BIAS))
    chi = _chi_near(plane, x, y)
    traces.append(
        {
            "type": "scatter",
            "x": light(x.ravel()),
            "y": light(y.ravel()),
            "customdata": light(chi.ravel()),
            "mode": "markers",
            "marker": {"opacity": 0, "size": 10},
            "selected": {"marker": {"opacity": 0}},
            "unselected": {"marker": {"opacity": 0}},
            "showlegend": False,
            "hovertemplate": "σ_w %{x:.3g}, σ_b %{y:.3g}: χ %{customdata:.3g}<extra></extra>",
        }
    )
    labels = [
        {
            "text": text,
            "x": at,
            "y": 0.94,
            "xref": "paper",
            "yref": "paper",
            "xanchor": anchor,
            "showarrow": False,
            "font": {"size": 13, "color": palette.ink},
            "bgcolor": palette.heat[2],
            "borderpad": 3,
        }
        for text, at, anchor in (("ordered", 0.02, "left"), ("chaotic", 0.98, "right"))
    ]
    shown = figure(
        traces,
        palette,
        460,
        {"title": title("σ_w = std of a weight × √fan_in"), "range": [0, high]},
        {"title": title("σ_b = std of a bias"), "range": [-0.03, top + 0.03]},
        annotations=labels,
    )
    line_at = [f"{number(plane.critical[i])} at σ_b {number(plane.bias_std[i])}" for i in (0, -1)]
    places = [
        f"{point.name} at σ_w {number(point.weight_std)}, σ_b {number(point.bias_std)}"
        for point in points
    ]
    alt = (
        f"Phases of {activation.slug}: ordered left of the critical line, chaotic right of it; "
        f"it runs from σ_w {line_at[0]} to {line_at[1]}. {'; '.join(places)}."
    )
    return Chart(shown, alt)


def _chi_near(plane: PhasePlane, x: Array, y: Array) -> Array:
    """χ of the grid's nearest cells."""
    column = np.abs(plane.weight_std[:, None] - x.ravel()).argmin(axis=0)
    row = np.abs(plane.bias_std[:, None] - y.ravel()).argmin(axis=0)
    return np.asarray(plane.chi[row, column].reshape(x.shape))


def scales(made: DepthScales, point: Point, critical: float, palette: Palette) -> Chart:
    """ξ_q and ξ_c along σ_w, the critical value, and the point."""
    finite = np.concatenate(
        [part[np.isfinite(part) & (part > 0)] for part in (made.xi_q, made.xi_c)]
    )
    top = max(float(finite.max(initial=10.0)), 10.0)
    traces = [
        line(
            made.weight_std,
            np.where(np.isfinite(values), values, np.nan),
            name,
            {"color": palette.series[index], "width": 2.5, "dash": dash},
            f"{name} %{{y:.3g}} layers at σ_w %{{x:.3g}}<extra></extra>",
        )
        for index, (name, values, dash) in enumerate(
            (("ξ_c, of correlations", made.xi_c, "solid"), ("ξ_q, of lengths", made.xi_q, "dash"))
        )
    ]
    for name, at, pen in (
        ("critical", critical, {"color": palette.ink, "width": 1.5, "dash": "dot"}),
        (point.name, point.weight_std, {"color": palette.series[2], "width": 2}),
    ):
        hover = f"{name}: σ_w %{{x:.4g}}<extra></extra>"
        traces.append(line(np.array([at, at]), np.array([0.05, 10 * top]), name, pen, hover))
    shown = figure(
        traces,
        palette,
        460,
        {"title": title("σ_w"), "showline": True, "range": [0, float(made.weight_std[-1])]},
        {
            "title": title("layers"),
            "type": "log",
            "range": [-1, math.log10(2 * top)],
            "showgrid": True,
            "dtick": 1,
        },
    )
    near = int(np.abs(made.weight_std - point.weight_std).argmin())
    alt = (
        f"Depth scales at σ_b {number(made.bias_std)}: at σ_w {number(made.weight_std[near], 3)} "
        f"ξ_c is {_layers(made.xi_c[near])} and ξ_q {_layers(made.xi_q[near])}; ξ_c diverges at "
        f"the critical σ_w {number(critical)}."
    )
    return Chart(shown, alt)


def _layers(scale: float) -> str:
    return f"{number(scale, 3)} layers" if math.isfinite(scale) else "infinite"
