"""Figures of spectra: bars hold every value, the law's curve its mass."""

import numpy as np
import pytest

from initcore.figures.spectrum import conditions, histogram, span, with_depth
from initcore.figures.style import DARK, LIGHT
from initcore.laws import number
from initcore.schemes import Init
from initcore.spectrum import SpectrumSpec, measure_spectra

GAUSSIAN = measure_spectra(SpectrumSpec(Init("xavier_normal"), 80, 80, 4, "linear"))
ORTHOGONAL = measure_spectra(SpectrumSpec(Init("orthogonal"), 80, 80, 4, "linear"))
TANH = measure_spectra(SpectrumSpec(Init("xavier_normal"), 40, 80, 4, "tanh"))


def trace(chart, name):
    return next(t for t in chart.plot["data"] if t["name"] == name)


@pytest.mark.parametrize("part", [GAUSSIAN.weight, GAUSSIAN.product, TANH.jacobian], ids=str)
def test_the_bars_hold_every_value(part):
    chart = histogram(part, LIGHT)
    bars = trace(chart, "measured")
    assert bars["customdata"].sum() == len(part.values)
    assert np.dot(bars["y"].astype(float), bars["width"]) == pytest.approx(1, rel=1e-5)
    assert number(part.largest) in chart.alt


@pytest.mark.parametrize("part", [GAUSSIAN.weight, GAUSSIAN.product], ids=str)
def test_the_laws_curve_holds_its_mass(part):
    curve = trace(histogram(part, LIGHT), "law")
    low, high = span([part])
    s = [low, high] if part.kind == "weight" else [10**low, 10**high]
    mass = float(np.diff(part.law.cdf(s))[0])
    area = np.trapezoid(curve["y"].astype(float), curve["x"])
    assert area == pytest.approx(mass, abs=0.02)


def test_one_value_is_a_stem_and_no_law_is_no_line():
    stem = trace(histogram(ORTHOGONAL.product, DARK), "law")
    assert stem["x"][:2] == pytest.approx([0, 0], abs=1e-6)
    names = [t["name"] for t in histogram(TANH.jacobian, LIGHT).plot["data"]]
    assert names == ["measured"]


def test_two_histograms_share_the_axis_they_are_given():
    axis = span([GAUSSIAN.product, ORTHOGONAL.product])
    for spectra in (GAUSSIAN, ORTHOGONAL):
        chart = histogram(spectra.product, LIGHT, axis=axis)
        assert chart.plot["layout"]["xaxis"]["range"] == list(axis)
        assert trace(chart, "measured")["customdata"].sum() == 80


def test_a_value_that_stands_apart_does_not_flatten_the_others():
    part = measure_spectra(SpectrumSpec(Init("uniform"), 100, 100, 1)).weight
    assert span([part])[1] < 0.3 * part.largest


def test_depth_shows_largest_median_and_smallest_of_each():
    chart = with_depth([GAUSSIAN, ORTHOGONAL], ["normal", "orthogonal"], "product", LIGHT)
    assert len(chart.plot["data"]) == 6
    smallest = trace(chart, "normal: smallest")["y"]
    np.testing.assert_allclose(smallest, [part.smallest for part in GAUSSIAN.products], rtol=1e-6)
    assert "orthogonal from 1 to 1" in chart.alt


def test_the_condition_number_is_drawn_with_its_exponent():
    chart = conditions([GAUSSIAN, ORTHOGONAL], ["a", "b"], "product", LIGHT, slope=0.5)
    values = [part.condition for part in GAUSSIAN.products]
    np.testing.assert_allclose(trace(chart, "a")["y"], values, rtol=1e-6)
    theory = trace(chart, "theory, many layers")["y"].astype(float)
    np.testing.assert_allclose(np.diff(np.log(theory)), 0.5, rtol=1e-4)
    assert number(GAUSSIAN.growth("product"), 3) in chart.alt
    assert len(conditions([GAUSSIAN], ["a"], "product", LIGHT).plot["data"]) == 1
