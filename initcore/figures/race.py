"""Figures of a race: loss, accuracy and gradient norms over the steps, and the map of a sweep.

>>> from initcore.figures.style import LIGHT
>>> from initcore.schemes import Init
>>> from initcore.training import Entrant, RaceSpec, race
>>> spec = RaceSpec((Entrant(Init("xavier_normal")),), problem="spirals", widths=(8,), steps=20)
>>> curves(race(spec), "train_loss", LIGHT).alt.split(":")[0]
'Training loss over 20 steps'
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from initcore.figures.style import (
    DASHES,
    Chart,
    Palette,
    Trace,
    figure,
    light,
    line,
    title,
)
from initcore.laws import number
from initcore.training import Curve, Race, Sweep

Quantity = Literal["train_loss", "test_loss", "train_accuracy", "test_accuracy", "gradient"]
_TITLES = {
    "train_loss": "training loss",
    "test_loss": "test loss",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "gradient": "gradient norm",
}
# Values beyond are drawn at these: a loss of zero has no logarithm, and float32 has an end.
_FLOOR, _CEILING = 1e-12, 1e38


def curves(race: Race, quantity: Quantity, palette: Palette) -> Chart:
    """One quantity of all entrants over the steps: the mean over the seeds, and their range.

    Losses and norms stand on a logarithmic axis, with the loss of guessing as a dashed line. A seed
    that diverged ends the curve, at a cross.
    """
    percent = quantity.endswith("accuracy")
    traces: list[Trace] = []
    for index, runner in enumerate(race.runners):
        traces += _runner(runner, quantity, index, palette)
    if quantity.endswith("loss"):
        traces.append(_guessing(race, palette))
    y: dict[str, object] = {"showgrid": True, "title": title(_TITLES[quantity])}
    y |= {"range": [0, 1.02], "tickformat": ".0%"} if percent else _logarithmic(traces)
    shown = figure(
        traces,
        palette,
        340,
        {"range": [0, race.spec.steps], "showline": True, "title": title("step")},
        y,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
    )
    return Chart(shown, _curves_alt(race, quantity))


def _runner(runner: Curve, quantity: Quantity, index: int, palette: Palette) -> list[Trace]:
    values = getattr(runner, quantity)
    whole = np.isfinite(values).all(axis=1)
    end = len(whole) if whole.all() else int(whole.argmin())
    colour = palette.series[index % 6]
    pen = {"color": colour, "width": 2.2, "dash": DASHES[index % 6]}
    steps, kept = runner.steps[:end].astype(float), np.clip(values[:end], _FLOOR, _CEILING)
    shown = "%{y:.1%}" if quantity.endswith("accuracy") else "%{y:.3g}"
    hover = f"{shown} at step %{{x}}<extra>{runner.name}</extra>"
    mean = line(steps, kept.mean(axis=1), runner.name, pen, hover)
    mean |= {"legendgroup": runner.name}
    if end and end < len(whole):
        sizes = [0] * (end - 1) + [10]
        mean |= {"mode": "lines+markers", "marker": {"symbol": "x", "size": sizes}}
    if values.shape[1] < 2:
        return [mean]
    around = {
        "type": "scatter",
        "x": light(np.concatenate([steps, steps[::-1]])),
        "y": light(np.concatenate([kept.max(axis=1), kept.min(axis=1)[::-1]])),
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": _faint(colour),
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": runner.name,
    }
    return [around, mean]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _guessing(race: Race, palette: Palette) -> Trace:
    x, y = np.array([0.0, race.spec.steps]), np.full(2, race.spec.chance)
    pen = {"color": palette.law, "width": 1.5, "dash": "dash"}
    return line(x, y, "guessing", pen, "ln(classes) = %{y:.4g}<extra>guessing</extra>")


def _logarithmic(traces: list[Trace]) -> dict[str, object]:
    """A logarithmic axis around the values, and not far below or above where most of them are."""
    values = np.concatenate([np.asarray(trace["y"], float) for trace in traces])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return {"type": "log"}
    low, high = np.log10(values.min()), np.log10(values.max())
    # An exploding run would flatten all the others.
    high = min(high, np.log10(np.median(values)) + 4)
    low = max(low, np.log10(np.median(values)) - 8)
    return {"type": "log", "range": [low - 0.1, high + 0.1], "exponentformat": "power", "dtick": 1}


def _curves_alt(race: Race, quantity: Quantity) -> str:
    last = int(race.runners[0].steps[-1])
    ends = []
    for runner in race.runners:
        value = float(getattr(runner, quantity)[-1].mean())
        if math.isnan(value):
            ends.append(f"{runner.name} diverged")
        elif quantity.endswith("accuracy"):
            ends.append(f"{runner.name} ends at {value:.1%}")
        else:
            ends.append(f"{runner.name} ends at {number(value, 3)}")
    return f"{_TITLES[quantity].capitalize()} over {last:,} steps: {', '.join(ends)}."


def sweep_map(sweep: Sweep, palette: Palette) -> Chart:
    """The final training loss of each entrant at each learning rate.

    Colours are logarithmic, with the loss of guessing in the neutral middle; the best rate of each
    entrant is framed, and a run that diverged in any seed says so.
    """
    means = sweep.means
    guess = sweep.spec.chance
    ratio = np.log10(np.maximum(means, _FLOOR) / guess)
    limit = float(np.nanmax(np.abs(ratio), initial=0.3))
    words = [["" if np.isnan(v) else number(float(v), 2) for v in row] for row in means]
    rates = [f"{rate:.3g}" for rate in sweep.rates]
    names = list(sweep.spec.names)
    traces: list[Trace] = [
        {
            "type": "heatmap",
            "z": light(np.where(np.isnan(ratio), np.nan, ratio)),
            "x": rates,
            "y": names,
            "text": words,
            "texttemplate": "%{text}",
            "zmin": -limit,
            "zmax": limit,
            "colorscale": [[i / 4, colour] for i, colour in enumerate(palette.heat)],
            "showscale": False,
            "xgap": 3,
            "ygap": 3,
            "hoverongaps": False,
            "hovertemplate": "%{y}<br>rate %{x}<br>loss %{text}<extra></extra>",
        }
    ]
    # A frame around the best rate of each; categories stand at 0, 1, 2 …
    frames = [
        {
            "type": "rect",
            "x0": at - 0.47,
            "x1": at + 0.47,
            "y0": row - 0.45,
            "y1": row + 0.45,
            "line": {"color": palette.law, "width": 3},
        }
        for row, _ in enumerate(names)
        if (rate := sweep.best(row)) is not None
        for at in [sweep.rates.index(rate)]
    ]
    lost = np.argwhere(np.isnan(means))
    traces.append(
        {
            "type": "scatter",
            "x": [rates[j] for _, j in lost],
            "y": [names[i] for i, _ in lost],
            "mode": "text",
            "text": ["diverged"] * len(lost),
            "textfont": {"size": 10, "color": palette.ink},
            "hoverinfo": "skip",
        }
    )
    shown = figure(
        traces,
        palette,
        90 + 52 * len(names),
        {"type": "category", "title": title("learning rate")},
        {"type": "category", "autorange": "reversed"},
        showlegend=False,
        shapes=frames,
    )
    return Chart(shown, f"Final training loss by scheme and learning rate. {sweep.verdict}")
