"""HTML: an audit as one file, for people: no script, no request, light and dark.

>>> from torch import nn
>>> from initcore.audit import audit
>>> page = report(audit(nn.Linear(8, 8)))
>>> page.startswith("<!doctype html>"), "<script" in page
(True, False)

Names of tensors are input like any other: everything that is not written here is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
import torch

from initcore.audit import Audit
from initcore.findings import SEVERITIES, Audited, Finding
from initcore.laws import number
from initcore.measure import Measurement

# Bars of a histogram, and its size in pixels.
_BARS, _WIDTH, _HEIGHT = 32, 96, 24
_NAMES = 12

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2430; --page: #ffffff; --soft: #5c6470;
  --line: #d9dde3; --error: #b42318; --warning: #8a5a00; --info: #2f5d8a; --bar: #4269d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --page: #14171c; --soft: #a0a8b4;
  --line: #343a44; --error: #ff8a7a; --warning: #f0b849; --info: #8cb8e8; --bar: #7c9cf0; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.n { text-align: right; white-space: nowrap; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.error { color: var(--error); } .warning { color: var(--warning); } .info { color: var(--info); }
.error, .warning, .info { font-weight: 600; white-space: nowrap; }
.soft { color: var(--soft); } svg { display: block; } svg rect { fill: var(--bar); }
"""


def report(audit: Audit) -> str:
    """The audit as a self-contained HTML page: findings first, then every tensor."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Audit of {escape(audit.source)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Audit of <code>{escape(audit.source)}</code></h1>",
        f"<p>{escape(audit.sentence)}</p>",
        _paragraph(audit.dims.sentence),
        "<h2>Findings</h2>",
        _findings(audit.findings),
        *_chosen(audit),
        "<h2>Tensors</h2>",
        _tensors(audit),
        f'<p class="soft">torch {escape(torch.__version__)}. Standard deviations are torch\'s '
        "(n − 1). Expected laws are those of the recipe.</p>",
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _paragraph(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>' if text else ""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; a cell that begins with a digit stands right."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "\n".join(
        "<tr>" + "".join(f"<td{_side(cell)}>{cell}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n'
        "</tbody></table></div>"
    )


def _side(cell: str) -> str:
    return ' class="n"' if cell.lstrip("−")[:1].isdigit() else ""


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>Nothing amiss.</p>"
    assert set(SEVERITIES) == {"error", "warning", "info"}  # the classes of the style
    rows = [
        (
            f'<span class="{finding.severity}">{finding.severity}</span>',
            f"<code>{escape(finding.code)}</code>",
            _names(finding.tensors),
            escape(finding.cause),
            escape(finding.evidence),
            escape(finding.fix),
        )
        for finding in findings
    ]
    return _table(("", "Code", "Tensors", "Cause", "Evidence", "Mend"), rows)


def _names(names: Sequence[str]) -> str:
    shown = "<br>".join(f"<code>{escape(name)}</code>" for name in names[:_NAMES])
    more = len(names) - _NAMES
    return f"{shown}<br>and {more:,} more" if more > 0 else shown


def _chosen(audit: Audit) -> list[str]:
    if not audit.chosen:
        return []
    rows = [
        (
            f"<code>{escape(fit.recipe.slug)}</code>",
            escape(fit.recipe.title),
            f"{fit.agreeing:,} of {fit.tensors:,}",
            f"{100 * fit.share:.4g} %",
        )
        for fit in audit.chosen[:5]
    ]
    headings = ("Recipe", "", "Tensors that agree", "Parameters that agree")
    return ["<h2>Recipes that fit best</h2>", _table(headings, rows)]


def _tensors(audit: Audit) -> str:
    codes: dict[str, list[Finding]] = {}
    for finding in audit.findings:
        for name in finding.tensors:
            codes.setdefault(name, []).append(finding)
    rows = [_row(row, codes.get(row.name, [])) for row in audit.tensors]
    headings = (
        "Name",
        "Shape",
        "dtype",
        "Role",
        "Std",
        "Mean",
        "Values",
        "Identified as",
        "Expected",
        "Findings",
    )
    return _table(headings, rows)


def _row(row: Audited, findings: Sequence[Finding]) -> Sequence[str]:
    study = row.study
    m, found = study.measurement, study.identification
    inferred = ' <span class="soft">(inferred)</span>' if study.place.inferred else ""
    marks = " ".join(f'<span class="{f.severity}">{escape(f.code)}</span>' for f in findings)
    schemes = ", ".join(candidate.label for candidate in found.schemes[:3]) if found else ""
    identified = f"{found.family.replace('_', ' ')}: {schemes}" if found else study.note
    return (
        f"<code>{escape(study.name)}</code>",
        escape(" × ".join(f"{size:,}" for size in study.entry.shape) or "scalar"),
        escape(study.entry.dtype),
        escape(study.place.role) + inferred,
        _number(m.std) if m else "",
        _number(m.mean) if m else "",
        _histogram(m) if m else "",
        escape(identified.removesuffix(": ")),
        escape(row.expected.form if row.expected else ""),
        marks,
    )


def _number(value: float) -> str:
    return escape(number(value)) if math.isfinite(value) else "–"


def _histogram(m: Measurement) -> str:
    """The values' histogram as a small picture; its title says the range."""
    if not m.finite or m.min == m.max:
        return ""
    edges, counts = m.histogram(m.min, m.max, _BARS)
    density = counts / np.maximum(np.diff(edges), 1e-300)
    top = float(density.max())
    width = float(edges[-1] - edges[0])
    if not top > 0 or not math.isfinite(top) or not width > 0:
        return ""
    bars = "".join(
        f'<rect x="{_WIDTH * (edges[i] - edges[0]) / width:.1f}" y="{_HEIGHT - height:.1f}" '
        f'width="{_WIDTH * (edges[i + 1] - edges[i]) / width:.1f}" height="{height:.1f}"/>'
        for i, height in enumerate(_HEIGHT * density / top)
        if height >= 0.05
    )
    title = f"{number(m.min)} to {number(m.max)}"
    return (
        f'<svg role="img" aria-label="Histogram from {escape(title)}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"<title>{escape(title)}</title>{bars}</svg>"
    )
