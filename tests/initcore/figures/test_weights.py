"""Figures: small, true to the data, readable in both appearances."""

import copy
import itertools
import math

import numpy as np
import pytest

from initcore.draw import Spec, draw_spec
from initcore.figures.style import DARK, LIGHT
from initcore.figures.weights import (
    densities,
    density_top,
    heat_range,
    heatmap,
    histogram,
    law_shape,
    value_range,
)
from initcore.laws import number
from initcore.layers import Layer
from initcore.report import as_dict, describe
from initcore.schemes import Init, Slot, schemes, xavier_bound

PALETTES = {"light": (LIGHT, "#FFFFFF"), "dark": (DARK, "#14171C")}
LINEAR, CONV = Layer("linear", (40, 30)), Layer("conv2d", (6, 8, 3))


def on_a_layer(slug):
    """A layer that the scheme can fill."""
    refused = schemes()[slug].why_not(Slot(LINEAR, "weight"))
    return Spec(CONV if refused else LINEAR, Init(slug), seed=1)


def trace(chart, name):
    return next(trace for trace in chart.figure.data if trace.name == name)


def area(x, y):
    return float(np.trapezoid(np.asarray(y, float), np.asarray(x, float)))


def channels(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def contrast(first, second):
    """The contrast ratio of WCAG 2."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    low, high = sorted(luminance(channels(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


every_palette = pytest.mark.parametrize(
    ("palette", "background"), PALETTES.values(), ids=list(PALETTES)
)
every_scheme = pytest.mark.parametrize("slug", schemes())


@pytest.fixture(scope="module")
def large():
    """4096 × 4096 weights, 16 times as many as cells on each side of a heat map."""
    return describe(Spec(Layer("linear", (4096, 4096)), Init("xavier_normal"), seed=3))


@pytest.fixture(scope="module")
def medium():
    """A matrix whose cells, 3 × 2 weights, do not divide its sides."""
    spec = Spec(Layer("linear", (500, 601)), Init("normal", {"std": 0.02}), seed=5)
    return describe(spec), draw_spec(spec).weight.numpy()


# --- payloads -----------------------------------------------------------------------------------


def test_the_heat_map_of_a_large_matrix_is_at_most_400_kb(large):
    for show in ("extreme", "mean"):
        assert len(heatmap(large, LIGHT, show=show).figure.to_json()) <= 400_000
    compact = heatmap(large, LIGHT, compact=True).figure
    assert len(compact.to_json()) <= 100_000
    m = large.weight.measurement
    assert np.abs(compact.data[0].z).max() == max(-m.min, m.max)


def test_the_histogram_of_a_large_matrix_is_at_most_10_kb(large):
    assert len(histogram(large, LIGHT).figure.to_json()) <= 10_000


# --- heat map -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (8, 16), (16, 8), (8, 17), (40, 8)])
def test_a_matrix_is_true_to_scale_unless_it_would_be_a_strip(size):
    report = describe(Spec(Layer("linear", size), Init("xavier_uniform")))
    anchored = heatmap(report, LIGHT).figure.layout.yaxis.scaleanchor == "x"
    assert anchored == (max(size) <= 2 * min(size))


@every_palette
@pytest.mark.parametrize(
    "init", [Init("normal"), Init("uniform", {"a": 0.0, "b": 3.0}), Init("zeros")], ids=str
)
def test_a_neutral_grey_stands_at_exactly_zero(palette, background, init):
    shown = heatmap(describe(Spec(LINEAR, init)), palette).figure.data[0]
    assert shown.zmin == -shown.zmax < 0
    middle = dict(shown.colorscale)[0.5]
    assert np.ptp(channels(middle)) < 0.06


@every_palette
def test_both_ends_of_the_heat_map_stand_out_from_its_middle(palette, background):
    negative, _, middle, _, positive = palette.heat
    assert contrast(negative, middle) >= 3
    assert contrast(positive, middle) >= 3
    assert contrast(middle, background) < 1.3


def test_a_small_matrix_is_shown_entry_by_entry():
    spec = Spec(Layer("linear", (7, 3)), Init("normal"))
    shown = heatmap(describe(spec), LIGHT).figure.data[0]
    np.testing.assert_array_equal(shown.z, draw_spec(spec).weight.numpy())
    assert shown.texttemplate  # and each weight is printed


def test_the_extremes_are_marked_where_they_are(medium):
    report, weight = medium
    cells, marks = heatmap(report, LIGHT).figure.data
    places = [np.unravel_index(at, weight.shape) for at in (weight.argmin(), weight.argmax())]
    assert [(y, x) for x, y in zip(marks.x, marks.y, strict=True)] == places
    for (row, column), value in zip(places, (weight.min(), weight.max()), strict=True):
        i, j = round((row - cells.y0) / cells.dy), round((column - cells.x0) / cells.dx)
        assert cells.z[i, j] == value
        assert cells.zmin <= value <= cells.zmax


def test_a_cell_shows_the_extreme_or_the_mean_of_its_weights(medium):
    report, weight = medium
    extreme = heatmap(report, LIGHT, show="extreme").figure.data[0]
    mean = heatmap(report, LIGHT, show="mean").figure.data[0]
    # The last cells are smaller than the others; the middle ones are as good as any.
    for i, j in ((0, 0), (100, 77), (len(mean.z) - 1, len(mean.z[0]) - 1)):
        block = weight[i * 3 : i * 3 + 3, j * 2 : j * 2 + 2]
        assert mean.z[i, j] == pytest.approx(block.mean(), rel=1e-4)
        assert extreme.z[i, j] == block.flat[np.abs(block).argmax()]
    assert (mean.dy, mean.dx) == (3, 2)


def test_several_heat_maps_share_the_range_they_are_given():
    reports = [describe(on_a_layer(slug)) for slug in ("normal", "sparse")]
    magnitude = heat_range(reports)
    largest = max(abs(draw_spec(report.spec).weight).max().item() for report in reports)
    assert magnitude == largest
    assert {heatmap(r, LIGHT, magnitude=magnitude).figure.data[0].zmax for r in reports} == {
        magnitude
    }


# --- histogram ----------------------------------------------------------------------------------


@every_scheme
def test_the_bars_hold_every_weight_once(slug):
    bars = trace(histogram(describe(on_a_layer(slug)), LIGHT), "measured")
    assert sum(bars.customdata) == pytest.approx(100, rel=1e-6)
    assert np.dot(np.float64(bars.y), bars.width) == pytest.approx(1, rel=1e-5)


@every_scheme
def test_the_laws_curve_holds_the_mass_that_its_atoms_leave(slug):
    report = describe(on_a_layer(slug))
    law = report.weight.law
    chart = histogram(report, LIGHT)
    curves = [t for t in chart.figure.data if t.name == "law" and t.mode == "lines"]
    mass = sum(area(curve.x, curve.y) for curve in curves)
    assert mass == pytest.approx(1 - sum(share for _, share in law.atoms), abs=0.01)


@every_scheme
def test_atoms_are_stems_as_high_as_their_share(slug):
    report = describe(on_a_layer(slug))
    # A stem of height 1 on this axis would stand for all of the weights.
    traces = histogram(report, LIGHT, top=1.1).figure.data
    stems = [t for t in traces if t.type == "scatter" and t.mode == "lines+markers"]
    heights = {x: y for t in stems for x, y in zip(t.x, t.y, strict=True) if y}
    assert heights == pytest.approx(dict(report.weight.law.atoms))


@pytest.mark.parametrize("layer", [LINEAR, CONV], ids=lambda layer: layer.slug)
def test_the_xavier_bounds_are_drawn_at_their_values(layer):
    chart = histogram(describe(Spec(layer, Init("default"))), LIGHT)
    bound = math.sqrt(6 / (layer.fan_in + layer.fan_out))
    drawn = sorted({x for x in trace(chart, "Xavier bounds").x if x})
    assert drawn == pytest.approx([-bound, bound])
    low, high = chart.figure.layout.xaxis.range
    assert low < -bound < bound < high


def test_a_bias_has_no_xavier_bounds():
    chart = histogram(describe(Spec(LINEAR, Init("default"))), LIGHT, role="bias")
    assert [t.name for t in chart.figure.data] == ["measured", "law"]


@every_scheme
def test_bars_and_curve_lie_within_the_axes(slug):
    chart = histogram(describe(on_a_layer(slug)), LIGHT)
    low, high = chart.figure.layout.xaxis.range
    bars = trace(chart, "measured")
    left, right = bars.x - bars.width / 2, bars.x + bars.width / 2
    assert low <= min(left)
    assert max(right) <= high
    assert chart.figure.layout.yaxis.range[1] > 0


# --- text alternatives --------------------------------------------------------------------------


@every_scheme
def test_the_text_alternatives_state_the_numbers(slug):
    report = describe(on_a_layer(slug))
    m, layer = report.weight.measurement, report.spec.layer
    heat, bars = heatmap(report, LIGHT).alt, histogram(report, LIGHT).alt
    rows, columns = layer.matrix_shape
    assert f"{rows} × {columns}" in heat
    assert number(m.min) in heat
    assert f"{m.count:,}" in bars
    assert number(xavier_bound(layer)) in bars
    assert report.weight.law.notation in bars
    if m.min < m.max:
        assert number(m.std) in heat
        assert number(m.max) in heat
        assert number(m.max) in bars


@every_scheme
def test_a_laws_shape_states_its_std(slug):
    spec = on_a_layer(slug)
    law = spec.weight.law(spec.slot("weight"))
    chart = law_shape(law, LIGHT)
    assert number(law.std) in chart.alt
    assert len(chart.figure.data) >= 1


# --- palettes -----------------------------------------------------------------------------------


@every_palette
def test_lines_stand_out_from_the_background(palette, background):
    for colour in (palette.law, palette.xavier, *palette.series):
        assert contrast(colour, background) >= 3, colour
    assert contrast(palette.ink, background) >= 4.5


@every_palette
def test_no_two_colours_are_the_same(palette, background):
    assert len({palette.measured, palette.law, palette.xavier, palette.ink}) == 4
    assert len(set(palette.series)) == len(palette.series) == 6


# --- several schemes ----------------------------------------------------------------------------


def test_densities_show_each_scheme_by_its_own_line():
    slugs = ["xavier_uniform", "normal", "sparse", "orthogonal", "kaiming_normal", "zeros"]
    reports = [describe(Spec(LINEAR, Init(slug))) for slug in slugs]
    chart = densities(reports, slugs, LIGHT)
    assert [t.name for t in chart.figure.data] == [*slugs, "Xavier bounds"]
    lines = [(t.line.color, t.line.dash) for t in chart.figure.data[:-1]]
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in itertools.combinations(lines, 2))
    assert "normal" in chart.alt
    assert number(1.0) in chart.alt
    assert "zeros" in chart.alt


def test_the_shared_axes_hold_every_part():
    parts = [describe(on_a_layer(slug)).weight for slug in ("normal", "uniform", "constant")]
    low, high = value_range(parts)
    assert low < min(part.measurement.min for part in parts)
    assert high > max(part.measurement.max for part in parts)
    # A uniform on [0, 1] has density 1; the constant's, which is infinite, has no say.
    assert 1 < density_top(parts) < 2


# --- pure functions -----------------------------------------------------------------------------


@every_scheme
def test_drawing_a_figure_leaves_the_report_as_it_was(slug):
    report = describe(on_a_layer(slug))
    before, heat = as_dict(report), copy.deepcopy(report.weight.heat)
    first = [c.figure.to_json() for c in (heatmap(report, DARK), histogram(report, DARK))]
    densities([report], [slug], LIGHT)
    second = [c.figure.to_json() for c in (heatmap(report, DARK), histogram(report, DARK))]
    assert first == second
    assert as_dict(report) == before
    for name in ("total", "low", "high"):
        np.testing.assert_array_equal(getattr(report.weight.heat, name), getattr(heat, name))
