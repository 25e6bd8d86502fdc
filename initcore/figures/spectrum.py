"""Figures of spectra: singular values against their law, and how depth spreads them.

>>> from initcore.figures.style import LIGHT
>>> from initcore.schemes import Init
>>> from initcore.spectrum import SpectrumSpec, measure_spectra
>>> spectra = measure_spectra(SpectrumSpec(Init("orthogonal"), 16, 16, 3, "linear"))
>>> histogram(spectra.weight, LIGHT).alt
'Singular values of the weight: 16 from 1 to 1, condition number 1; their law is all 1.'
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    title,
)
from initcore.laws import number
from initcore.spectrum import Kind, Spectra, Spectrum

_WHAT: dict[Kind, str] = {
    "weight": "the weight",
    "product": "the product",
    "jacobian": "the Jacobian",
}
_BARS, _POINTS = 40, 240


def _resolved(part: Spectrum) -> Floats:
    """The values that float64 resolves beside the largest, none of which is 0."""
    return part.values[part.values > 1e-14 * part.largest]


def span(parts: Sequence[Spectrum]) -> tuple[float, float]:
    """An axis for the histograms of several spectra of one kind: log₁₀ unless of a weight."""
    values = [_resolved(part) for part in parts]
    low = min((float(v.min()) for v in values if len(v)), default=0.1)
    high = max((float(v.max()) for v in values if len(v)), default=1.0)
    if parts[0].kind == "weight":
        # A value that stands apart from thousands would flatten them.
        bulk = max(float(np.quantile(part.values, 0.95)) for part in parts)
        return 0.0, 1.06 * min(high, 1.6 * bulk) or 1.0
    low, high = math.log10(low), math.log10(high)
    pad = max(0.04 * (high - low), 0.15)
    return low - pad, high + pad


def histogram(
    part: Spectrum, palette: Palette, *, axis: tuple[float, float] | None = None
) -> Chart:
    """The density of the singular values, of a weight's as they are, else of their log₁₀.

    With the law's curve, or for a law of one value its stem. ``axis`` as by ``span``.
    """
    logarithmic = part.kind != "weight"
    low, high = axis or span([part])
    values = _resolved(part)
    at = np.log10(values) if logarithmic else values
    counts, edges = np.histogram(at, np.linspace(low, high, _BARS + 1))
    density = counts / len(part.values) / np.diff(edges)
    middles = (edges[1:] + edges[:-1]) / 2
    name = "10^%{x:.2f}" if logarithmic else "%{x:.3g}"
    traces: list[Trace] = [
        {
            "type": "bar",
            "x": light(middles),
            "y": light(density),
            "width": light(np.diff(edges)),
            "customdata": counts.astype(np.int32),
            "name": "measured",
            "marker": {"color": palette.measured, "line": {"width": 0}},
            "hovertemplate": f"%{{customdata}} values around {name}<extra>measured</extra>",
        }
    ]
    top = 1.15 * float(density.max(initial=0.0)) or 1.0
    pen = {"color": palette.law, "width": 2.5}
    if part.law is not None and part.law.is_discrete:
        stems = [v for v, _ in part.law.atoms if v > 0]
        x = np.repeat(np.log10(stems) if logarithmic else np.array(stems), 3)
        y = np.tile([0.0, top / 1.08, math.nan], len(stems))
        traces.append(line(x, y, "law", pen, "all of the law's values<extra>law</extra>"))
    elif part.law is not None:
        x = np.linspace(low, high, _POINTS)
        s = 10**x if logarithmic else x
        y = part.law.pdf(s) * (s * math.log(10) if logarithmic else 1.0)
        traces.append(line(x, y, "law", pen, "density %{y:.3g}<extra>law</extra>"))
        top = max(top, 1.1 * float(y.max()))
    x_title = "log₁₀ of the singular value" if logarithmic else "singular value"
    shown = figure(
        traces,
        palette,
        320,
        {"range": [low, high], "showline": True, "title": title(x_title)},
        {"range": [0, top], "showgrid": True, "nticks": 6, "title": title("density")},
        bargap=0,
    )
    return Chart(shown, _histogram_alt(part))


def _histogram_alt(part: Spectrum) -> str:
    text = f"Singular values of {_WHAT[part.kind]}"
    text += f" of {part.depth} layers" if part.kind != "weight" else ""
    text += f": {len(part.values):,} from {number(float(part.values[-1]))} to "
    text += number(part.largest)
    if not math.isnan(part.condition):
        text += f", condition number {number(part.condition)}"
    return f"{text}; their law is {part.law.notation}." if part.law else f"{text}."


def with_depth(
    several: Sequence[Spectra], names: Sequence[str], kind: Kind, palette: Palette
) -> Chart:
    """Largest, median and smallest singular value by depth, of several schemes."""
    traces: list[Trace] = []
    ends = []
    for index, (spectra, name) in enumerate(zip(several, names, strict=True)):
        parts = spectra.jacobians if kind == "jacobian" else spectra.products
        depths = np.array([part.depth for part in parts], dtype=float)
        largest = np.array([part.largest or math.nan for part in parts])
        middle = np.array([float(np.median(part.values)) or math.nan for part in parts])
        smallest = np.array([part.smallest for part in parts])
        colour = palette.series[index]
        for label, y, dash in (
            ("largest", largest, "dash"),
            ("median", middle, "solid"),
            ("smallest", smallest, "dot"),
        ):
            pen = {"color": colour, "width": 2.2, "dash": dash}
            hover = f"{label} %{{y:.3g}} after %{{x}} layers<extra>{name}</extra>"
            traces.append(line(depths, np.empty(0), f"{name}: {label}", pen, hover) | _marked(y))
        ends.append(f"{name} from {number(float(parts[-1].values[-1]))} to {number(largest[-1])}")
    last = several[0].spec.depth
    shown = figure(
        traces,
        palette,
        340,
        {"range": [0.5, last + 0.5], "showline": True, "title": title("layers")},
        {"showgrid": True, "exponentformat": "power", "title": title("singular value")}
        | _decades(traces),
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
    )
    return Chart(shown, f"Singular values by depth; after {last} layers {'; '.join(ends)}.")


def _marked(y: Floats) -> Trace:
    """Points of few but huge numbers: float32 would not hold them."""
    return {"y": y, "mode": "lines+markers"}


def _decades(traces: Sequence[Trace]) -> dict[str, object]:
    values = np.concatenate([np.asarray(trace["y"], float) for trace in traces])
    values = np.log10(values[np.isfinite(values) & (values > 0)])
    if not len(values):
        return {"type": "log"}
    low, high = float(values.min()) - 0.3, float(values.max()) + 0.3
    return {"type": "log", "range": [low, high], "dtick": max(1, math.ceil((high - low) / 8))}


def conditions(
    several: Sequence[Spectra],
    names: Sequence[str],
    kind: Kind,
    palette: Palette,
    slope: float | None = None,
) -> Chart:
    """The condition number by depth, as far as float64 resolves it.

    ``slope`` adds the line of ln(condition) growing by it per layer, from the first point on.
    """
    traces: list[Trace] = []
    ends = []
    for index, (spectra, name) in enumerate(zip(several, names, strict=True)):
        parts = spectra.jacobians if kind == "jacobian" else spectra.products
        depths = np.array([part.depth for part in parts], dtype=float)
        values = np.array([part.condition for part in parts])
        pen = {"color": palette.series[index], "width": 2.2, "dash": DASHES[index]}
        hover = f"%{{y:.3g}} after %{{x}} layers<extra>{name}</extra>"
        traces.append(line(depths, np.empty(0), name, pen, hover) | _marked(values))
        growth = spectra.growth(kind)
        if not math.isnan(growth):
            ends.append(f"{name} grows by a factor of {number(growth, 3)} a layer")
        if index == 0 and slope is not None and len(values) > 1 and not math.isnan(values[0]):
            known = depths[~np.isnan(values)]
            y = values[0] * np.exp(slope * (known - known[0]))
            law = {"color": palette.law, "width": 2, "dash": "dash"}
            hover = "exponent of many factors<extra>theory</extra>"
            theory = line(known, np.empty(0), "theory, many layers", law, hover)
            traces.append(theory | {"y": y})
    last = several[0].spec.depth
    shown = figure(
        traces,
        palette,
        340,
        {"range": [0.5, last + 0.5], "showline": True, "title": title("layers")},
        {"showgrid": True, "exponentformat": "power", "title": title("condition number")}
        | _decades(traces),
    )
    alt = f"Condition number by depth, to {last} layers"
    return Chart(shown, f"{alt}: {'; '.join(ends)}." if ends else f"{alt}.")
