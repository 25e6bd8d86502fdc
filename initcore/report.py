"""Report: one spec drawn, measured and judged; what the command line prints and a page shows.

>>> from initcore.layers import Layer
>>> from initcore.schemes import Init
>>> report = describe(Spec(Layer("linear", (5, 5)), Init("xavier_uniform")))
>>> report.weight.measurement.count, report.weight.fit.outside_xavier
(25, 0.0)
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from initcore.draw import Limits, Spec, Stream, draw_spec
from initcore.fit import Fit, fit, std_error
from initcore.laws import Law, Normal, Uniform, number
from initcore.layers import Role
from initcore.measure import Heat, Measurement, Progress, grid_for, measure, measure_stream
from initcore.schemes import xavier_bound, xavier_std

# Cells of a heat map on each side: 256² float32 make 350 KB for the browser, and no screen shows
# more.
HEAT_SIDE = 256


@dataclass(frozen=True)
class Part:
    """The weight or the bias of a report."""

    role: Role
    law: Law
    measurement: Measurement
    fit: Fit
    heat: Heat


@dataclass(frozen=True)
class Report:
    """A spec drawn, measured and judged. ``streamed``: the weight was never held whole."""

    spec: Spec
    streamed: bool
    weight: Part
    bias: Part | None


def describe(spec: Spec, limits: Limits | None = None, progress: Progress | None = None) -> Report:
    """Draw a spec and measure it, block by block where it is too large to hold.

    ``progress`` is called with the share done of a streamed draw. Raises InitError, before anything
    is allocated, when the spec exceeds ``limits``.
    """
    if (limits or Limits()).plan(spec) == "stream":
        stream = Stream(spec)
        law, bound = spec.weight.law(spec.slot("weight")), xavier_bound(spec.layer)
        heat = Heat.empty(spec.layer.matrix_shape, HEAT_SIDE)
        grid = grid_for(law, spec.layer.count, spec.dtype, bound)
        measured = measure_stream(stream, grid, heat=heat, progress=progress)
        weight = Part("weight", law, measured, fit(measured, law, bound), heat)
        return Report(spec, True, weight, _part(spec, "bias", stream.bias()))
    drawn = draw_spec(spec)
    held = _part(spec, "weight", drawn.weight)
    assert held is not None
    return Report(spec, False, held, _part(spec, "bias", drawn.bias))


def _part(spec: Spec, role: Role, tensor: torch.Tensor | None) -> Part | None:
    init = spec.init(role)
    if tensor is None or init is None:
        return None
    law = init.law(spec.slot(role))
    bound = xavier_bound(spec.layer) if role == "weight" else None
    shape = spec.layer.matrix_shape if role == "weight" else (1, tensor.numel())
    heat = Heat.empty(shape, HEAT_SIDE)
    measured = measure(tensor, grid_for(law, tensor.numel(), spec.dtype, bound), heat=heat)
    return Part(role, law, measured, fit(measured, law, bound), heat)


# --- the comparison table -----------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A line of the comparison: a law or the measurement, in units of the weights.

    ``bound`` is the end of a bounded support. ``min`` and ``max`` of a law are the medians over
    draws of this size. ``ratio`` is measured std ÷ this std, ``error`` its standard error.
    """

    name: str
    bound: float
    std: float
    mean: float
    min: float
    max: float
    ratio: float = math.nan
    error: float = math.nan


def comparison(report: Report) -> list[Row]:
    """The scheme's law, Xavier uniform, Xavier normal and the measurement, side by side."""
    part, layer = report.weight, report.spec.layer
    laws: list[tuple[str, Law]] = [
        (report.spec.weight.slug, part.law),
        ("Xavier uniform", Uniform(-xavier_bound(layer), xavier_bound(layer))),
        ("Xavier normal", Normal(0.0, xavier_std(layer))),
    ]
    measured = part.measurement
    rows = []
    for name, law in laws:
        bound = max(abs(law.low), abs(law.high))
        rows.append(
            Row(
                name,
                bound if math.isfinite(bound) else math.nan,
                law.std,
                law.mean,
                law.expected_min(measured.count),
                law.expected_max(measured.count),
                measured.std / law.std if law.std else math.nan,
                std_error(law, measured.finite),
            )
        )
    largest = max(abs(measured.min), abs(measured.max))
    rows.append(Row("Measured", largest, measured.std, measured.mean, measured.min, measured.max))
    return rows


def outside_share(report: Report) -> float:
    """The share of the weights beyond Xavier's uniform bound, in per cent."""
    return 100 * (report.weight.fit.outside_xavier or 0.0)


def outside_sentence(report: Report) -> str:
    """How much of the weight lies beyond Xavier's uniform bound, in words."""
    part, bound = report.weight, xavier_bound(report.spec.layer)
    count = part.measurement.outside(bound)
    total = part.measurement.finite
    if not count:
        return f"No weight lies outside the Xavier bounds ±{number(bound)}."
    verb = "lies" if count == 1 else "lie"
    return (
        f"{count:,} of {total:,} weights ({number(100 * count / total, 3)} %) {verb} outside the "
        f"Xavier bounds ±{number(bound)}."
    )


# --- plain data ---------------------------------------------------------------------------------


def finite(value: Any) -> Any:
    """Plain data as JSON can hold it: without nan and infinity, which become null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _part_dict(part: Part) -> dict[str, Any]:
    law, m = part.law, part.measurement
    names = ("count", "min", "max", "mean", "std", "skewness", "kurtosis", "zeros", "nonfinite")
    return {
        "law": {
            "family": law.family,
            "notation": law.notation,
            "mean": law.mean,
            "std": law.std,
            "low": law.low,
            "high": law.high,
        },
        "measured": {name: getattr(m, name) for name in names},
        "fit": asdict(part.fit),
    }


def as_dict(report: Report) -> dict[str, Any]:
    """The report as plain data for JSON, in full precision."""
    spec, layer = report.spec, report.spec.layer
    data = {
        "layer": layer.slug,
        "module": layer.code,
        "size": list(layer.size),
        "groups": layer.groups,
        "shape": list(layer.weight_shape),
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "effective_fan_in": layer.effective_fan_in,
        "effective_fan_out": layer.effective_fan_out,
        "fans_note": layer.fans_note,
        "scheme": spec.weight.slug,
        "params": dict(spec.weight.params),
        "seed": spec.seed,
        "dtype": spec.dtype,
        "torch_version": torch.__version__,
        "streamed": report.streamed,
        "xavier": {"uniform_bound": xavier_bound(layer), "normal_std": xavier_std(layer)},
        **_part_dict(report.weight),
        "bias": None,
    }
    if report.bias is not None and spec.bias is not None:
        data["bias"] = {
            "scheme": spec.bias.slug,
            "params": dict(spec.bias.params),
            "shape": list(layer.bias_shape or ()),
            **_part_dict(report.bias),
        }
    plain = finite(data)
    assert isinstance(plain, dict)
    return plain
