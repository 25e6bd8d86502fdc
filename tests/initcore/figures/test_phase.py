"""The plane of the phases: neutral at exactly χ = 1, the critical line, points to click."""

import math

import numpy as np
import pytest

from initcore.activations import ACTIVATIONS, get_activation
from initcore.figures.phase import Point, phase_diagram, scales
from initcore.figures.style import LIGHT
from initcore.meanfield import depth_scales, phase_plane, phase_sentence

TANH = get_activation("tanh")


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.slug)
def test_the_plane_of_every_activation(activation):
    plane = phase_plane(activation, cells=7)
    points = [Point("point", 1.5, 0.2), Point("scheme", 1.0, 0.0)]
    chart = phase_diagram(activation, plane, points, LIGHT)
    heat, line, *marks, clicks = chart.plot["data"]
    assert np.isfinite(heat["z"]).all()
    assert heat["zmin"] == -heat["zmax"]
    # Ordered left of the line, chaotic right of it.
    for row, critical in enumerate(line["x"]):
        cells = heat["z"][row]
        assert (cells[heat["x"] < 0.99 * critical] < 0).all()
        assert (cells[heat["x"] > 1.01 * critical] > 0).all()
    assert [mark["name"] for mark in marks] == ["point", "scheme"]
    assert clicks["marker"]["opacity"] == 0
    assert clicks["x"].max() == pytest.approx(plane.weight_std[-1])
    assert activation.slug in chart.alt
    assert chart.figure


def test_depth_scales_diverge_at_the_critical_value():
    made = depth_scales(TANH, 0.2, points=41)
    critical = 1.3037
    chart = scales(made, Point("point", 2.0, 0.2), critical, LIGHT)
    peak = made.weight_std[np.nanargmax(np.where(np.isfinite(made.xi_c), made.xi_c, np.nan))]
    assert abs(peak - critical) < 0.1
    assert "1.304" in chart.alt
    assert chart.figure


@pytest.mark.parametrize(
    ("slug", "point", "words"),
    [
        ("tanh", (0.8, 0.0), ["Ordered", "alike", "critical σ_w is 1."]),
        ("tanh", (2.0, 0.2), ["Chaotic", "part", "6 ξ_c", "1.304"]),
        ("relu", (math.sqrt(2), 0.0), ["Critical", "keeps its size", "1.414"]),
        ("relu", (2.0, 0.0), ["Chaotic", "without end"]),
    ],
)
def test_the_sentence(slug, point, words):
    sentence = phase_sentence(get_activation(slug), *point)
    assert all(word in sentence for word in words), sentence
