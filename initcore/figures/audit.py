"""Figures of an audit: scales against depth, and one tensor with the laws it has and should have.

>>> from initcore.audit import audit
>>> from initcore.figures.style import LIGHT
>>> from initcore.models import build_model
>>> with_depth(audit(build_model("gpt", blocks=2), "gpt2"), LIGHT).alt.split(";")[0]
'Std of 8 weights in 2 blocks'
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from initcore.audit import Audit
from initcore.closeup import CloseUp
from initcore.figures.style import Chart, Palette, Trace, figure, light, line, title
from initcore.figures.weights import distribution, matrix
from initcore.findings import Audited, is_weight
from initcore.laws import Law, number
from initcore.verdicts import held_against

# How far roles stand apart in a block; and as many as a chart has colours and symbols for.
_APART = 0.14
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")


def expected_std(row: Audited) -> float:
    """The std that the recipe expects of all of a tensor; nan where it has none, or several."""
    if row.expected is None or row.study.measurement is None:
        return math.nan
    stds = {verdict.option.law.std for verdict in held_against(row.study, row.expected)}
    return stds.pop() if len(stds) == 1 else math.nan


# --- against depth ------------------------------------------------------------------------------


class _Point(NamedTuple):
    """A weight: the block it is in, counted through all stacks, its std and the recipe's.

    x: the block's, moved a little for each role, so that equal scales stand side by side.
    """

    row: Audited
    block: int
    x: float
    std: float
    expected: float


def with_depth(audit: Audit, palette: Palette) -> Chart | None:
    """The std of the weights in each block, a series a role, beside what the recipe expects.

    Of many roles it shows those that errors and warnings name, then the most frequent. A thin line
    leads from a weight to the recipe's bar. Weights that are all zero have no place on a
    logarithmic axis. None where there are weights in fewer than two blocks.
    """
    by_role: dict[str, list[_Point]] = defaultdict(list)
    for point in _points(audit):
        by_role[point.row.study.place.role].append(point)
    grave = {name for found in audit.findings if found.severity != "info" for name in found.tensors}
    amiss = {
        role for role, points in by_role.items() if grave & {point.row.name for point in points}
    }
    roles = sorted(by_role, key=lambda role: (role not in amiss, -len(by_role[role])))
    roles, left = roles[: len(_SYMBOLS)], roles[len(_SYMBOLS) :]
    for i, role in enumerate(roles):
        aside = (i - (len(roles) - 1) / 2) * _APART
        by_role[role] = [point._replace(x=point.block + aside) for point in by_role[role]]
    shown = [point for role in roles for point in by_role[role]]
    if len({point.block for point in shown}) < 2:
        return None
    expected = [point for point in shown if point.expected > 0]
    traces = [_bars(expected, palette)] if expected else []
    for role, colour, symbol in zip(roles, palette.series, _SYMBOLS, strict=False):
        own = by_role[role]
        traces += [_gaps(own, colour), _marks(own, role, colour, symbol)]
    blocks = max(point.block for point in shown) + 1
    plot = figure(
        traces,
        palette,
        360,
        {"title": title("block"), "showline": True, "dtick": 1 if blocks <= 24 else None},
        {"title": title("std"), "showgrid": True} | _logarithmic(shown),
    )
    others = f" Left to the table: {', '.join(map(_in_words, left))}." if left else ""
    return Chart(plot, _depth_alt(shown, expected, blocks) + others)


# Ticks of a logarithmic axis within a decade: the first that are enough.
_TICKS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0))


def _logarithmic(points: Sequence[_Point]) -> dict[str, object]:
    values = [v for point in points for v in (point.std, point.expected) if v > 0]
    low, high = min(values) / 1.4, max(values) * 1.4
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _TICKS:
        ticks = [v for k in decades for step in steps if low <= (v := step * 10.0**k) <= high]
        if len(ticks) > 3:
            break
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [number(tick) for tick in ticks],
    }


def _points(audit: Audit) -> list[_Point]:
    rows = [row for row in audit.tensors if is_weight(row.study)]
    stacks = list(dict.fromkeys(row.study.place.stack for row in rows))
    blocks = [
        (stacks.index(row.study.place.stack), row.study.place.depth, row)
        for row in rows
        if row.study.place.depth is not None
    ]
    order = {at: i for i, at in enumerate(sorted({(stack, depth) for stack, depth, _ in blocks}))}
    return [
        _Point(row, order[stack, depth], order[stack, depth], m.std, expected_std(row))
        for stack, depth, row in blocks
        if (m := row.study.measurement) and m.std > 0
    ]


def _bars(points: Sequence[_Point], palette: Palette) -> Trace:
    return {
        "type": "scatter",
        "x": light(np.array([point.x for point in points])),
        "y": light(np.array([point.expected for point in points])),
        "mode": "markers",
        "name": "recipe",
        "marker": {"symbol": "line-ew", "size": 14, "line": {"width": 3, "color": palette.law}},
        "text": [escape(point.row.name) for point in points],
        "hovertemplate": "%{text}<br>std %{y:.4g}<extra>recipe</extra>",
    }


def _gaps(points: Sequence[_Point], colour: str) -> Trace:
    known = [point for point in points if point.expected > 0]
    x = np.repeat([point.x for point in known], 3)
    y = np.array([y for point in known for y in (point.std, point.expected, math.nan)])
    silent = {"hoverinfo": "skip", "hovertemplate": None, "showlegend": False}
    return line(x, y, "gap", {"color": colour, "width": 1, "dash": "dot"}, "") | silent


def _marks(points: Sequence[_Point], role: str, colour: str, symbol: str) -> Trace:
    return {
        "type": "scatter",
        "x": light(np.array([point.x for point in points])),
        "y": light(np.array([point.std for point in points])),
        "mode": "markers",
        "name": _in_words(role),
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "text": [escape(point.row.name) for point in points],
        "hovertemplate": "%{text}<br>std %{y:.4g}<extra>measured</extra>",
    }


def _in_words(role: str) -> str:
    return role.replace("_", " ")


def _depth_alt(shown: Sequence[_Point], expected: Sequence[_Point], blocks: int) -> str:
    low, high = (end(shown, key=lambda point: point.std) for end in (min, max))
    text = (
        f"Std of {len(shown)} weights in {blocks} blocks; smallest {number(low.std)} in "
        f"{low.row.name}, largest {number(high.std)} in {high.row.name}"
    )
    if not expected:
        return f"{text}."
    off = [point for point in expected if not point.row.agrees]
    if not off:
        return f"{text}; all {len(expected)} are as the recipe has them."
    worst = max(off, key=lambda point: abs(math.log(point.std / point.expected)))
    return (
        f"{text}; {len(off)} of {len(expected)} are not as the recipe has them, such as "
        f"{worst.row.name}, {number(worst.std / worst.expected)} × its std."
    )


# --- one tensor ---------------------------------------------------------------------------------


def histogram(row: Audited, palette: Palette) -> Chart:
    """A measured tensor's values, the law they are identified with and the one expected."""
    m, found = row.study.measurement, row.study.identification
    assert m is not None
    laws: dict[str, Law] = {}
    if found and found.schemes:
        laws["identified"] = found.schemes[0].law
    for part in row.expected.parts if row.expected else ():
        if not part.name:
            laws["expected"] = part.options[0].law
    plot = distribution(m, laws, palette, name="value")
    spread = f"all {number(m.min)}" if m.min == m.max else f"{number(m.min)} to {number(m.max)}"
    said = "; ".join(f"{name}: {law.notation}" for name, law in laws.items())
    return Chart(plot, f"Histogram of {m.finite:,} values, {spread}{'; ' + said if said else ''}.")


def heatmap(row: Audited, seen: CloseUp, palette: Palette) -> Chart:
    """The tensor as a matrix: its first axis down, all others across."""
    place, m = row.study.place, row.study.measurement
    assert m is not None
    axes = ("row", "column") if len(place.shape) == 2 else ("first axis", "other axes")
    if place.layer and place.shape == place.layer.weight_shape:
        axes = place.layer.axis_names
    elif place.layer and place.transposed:
        axes = place.layer.axis_names[::-1]
    elif len(place.shape) < 2:
        axes = ("", "index")
    return matrix(seen.heat, m, place.shape, axes, palette)
